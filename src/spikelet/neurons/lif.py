"""The leaky integrate-and-fire neuron, time first, stateless between calls.

    h[t] = round(leak * v[t-1] + gain * x[t])                 charge;  v[-1] = start
    n[t] = clip(floor((h - threshold) / step) + 1, 0, D)      spikes in the step; a tie fires (spec N1)
    r[t] = h where n = 0, else 0   or   h - drop * n          hard or soft reset;  drop = step unless given
    v[t] = membrane(r[t])                                     full precision, or k bits (see membrane.py)
    s[t] = n[t] / 2^ceil(log2 D)                              output

D = `levels` = 1 is the neuron of the field: n = 1 if h >= threshold, s = n. Every constant but D may go by channel
(LIFParams). leak = 1 - 1/tau is dimensionless and a multiple of 2^-12; leak = 1 is the integrate-and-fire neuron.
With more levels it is a neuron that emits a count, as IE-LIF (QSD-Transformer, arXiv:2501.13492) and quantized ReLU
(Bu et al., ICLR 2022) do: leak 0, threshold u/2D, step u/D (`LIFParams.rounding`).

In eval mode x is rounded to the grid 2^-12 and so is the charge, so that an int32 membrane gives the same spikes;
training leaves both out. The charge floors where that is exact (leak 0 or 2^-k), and rounds half up otherwise
(`LIFParams.charge_rounding`). Evaluation charges in float64, where leak * v, of up to 24 fraction bits, is exact.

Gradient of n: the sum over the levels d of surrogate'(h - threshold - d * step). With Rectangle(step) that is the
straight-through estimator on the range in which the count changes.

Q-SNN's neuron (Wei et al., ACM MM 2024, arXiv:2406.13672) is
`LIF(T, LIFParams(leak=0.5, reset=Hard(), surrogate=Triangle(1.0)), QuantizedMembrane(k))` with its order charge, fire,
reset, quantise (its eq. 10; its algorithm 1 quantises before it fires). Differences from the authors' code:
h >= threshold fires (theirs is strict), the membrane's step is static.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from spikelet.base.errors import LoweringError, WrongType
from spikelet.neurons.constants import LEAK_BITS as LEAK_BITS
from spikelet.neurons.constants import fewest_bits, integers, like
from spikelet.neurons.long import LONG, long_run
from spikelet.neurons.membrane import FullMembrane, QuantizedMembrane
from spikelet.neurons.neuron import Constant, IntegerNeuron, Neuron
from spikelet.neurons.params import LIFParams as LIFParams
from spikelet.neurons.reset import Hard, Soft
from spikelet.quant.grid import FRACTION_BITS, floor_to_grid, round_to_grid
from spikelet.quant.recording import is_recorded


class LIF(Neuron):
    """Leaky integrate-and-fire neurons over a whole sequence.

    Example:
        >>> spikes = spikelet.LIF(3)(torch.full((1, 1), 0.75))  # one neuron, its current held for three steps
        >>> spikes.flatten().tolist()
        [0.0, 1.0, 0.0]

    Args:
        time_steps: T. A current with a time axis of 1 (a still image) is held for T steps.
        params: the constants, LIFParams().
        membrane: FullMembrane(), QuantizedMembrane(bits), or any module from membrane to membrane (which must be one
            of the two to be lowered).

    Shapes: current x [T or 1, B, ...] -> spikes [T, B, ...]: 0 and 1, or multiples of `value` with several levels.
    Constants by channel take [T, B, C, ...]. Every call starts from `start`; `run` takes and returns the membrane for
    streaming.
    """

    def __init__(
        self,
        time_steps: int,
        params: LIFParams | None = None,
        membrane: nn.Module | None = None,
    ) -> None:
        super().__init__(time_steps)
        if not isinstance(params, LIFParams | None):
            raise WrongType(f"LIF.params must be LIFParams(...), got {params!r}.")
        self.params = params or LIFParams()
        self.membrane = membrane or FullMembrane()

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, ...] from the initial membrane; in training long sequences go through long.py."""
        p = self.params
        if not isinstance(x, Tensor) or not self._trains_long(x):
            return super().forward(x)
        self.check(x)
        return long_run(x if p.input_gain == 1 else like(p.input_gain, x[0]) * x, like(p.leak, x[0]),
                        like(p.threshold, x[0]), p.surrogate)  # fmt: skip

    def _trains_long(self, x: Tensor) -> bool:
        p, steps = self.params, ("charge", "fire", "reset", "initial")
        usual = all(getattr(type(self), step) is getattr(LIF, step) for step in steps)
        simple = p.levels == 1 and p.start == 0 and isinstance(p.reset, Hard) and type(self.membrane) is FullMembrane
        long = x.dim() > 1 and x.shape[0] == self.time_steps >= LONG and x.dtype == torch.float32
        return self.training and long and usual and simple and self.rate is None and not is_recorded()

    @property
    def value(self) -> float:
        """What one spike is worth in the output: 1 / 2^ceil(log2 levels)."""
        return self.params.value

    def initial(self, current: Tensor) -> Tensor:
        """`start` in every neuron."""
        if self.params.start == 0:
            return torch.zeros_like(current)
        return torch.zeros_like(current) + like(self.params.start, current)

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """leak * v + gain * x, on the grid in evaluation."""
        p = self.params
        h = like(p.leak, x) * v + (x if p.input_gain == 1 else like(p.input_gain, x) * x)
        if self.training:
            return h
        return floor_to_grid(h) if p.charge_rounding == "floor" else round_to_grid(h)

    def fire(self, h: Tensor) -> Tensor:
        """Spikes of one step: their count times `value`."""
        p = self.params
        above = h - like(p.threshold, h)
        if p.levels == 1:
            return p.surrogate(above)
        return p.surrogate.count(above, like(p.spacing, h), p.levels) * p.value

    def reset(self, h: Tensor, s: Tensor) -> Tensor:
        """membrane(h after reset)."""
        p = self.params
        if p.levels > 1:
            s = s / p.value
            s = s.clamp(max=1) if isinstance(p.reset, Hard) else s
        return self.membrane(p.reset(h, s, p.spacing))

    def keep_channels(self, channels: Sequence[int]) -> None:
        """Keeps the constants of these channels, in this order."""
        self.params = self.params.keep(channels)

    def lowered(self) -> IntegerNeuron:
        """See Neuron. Raises LoweringError for another reset or membrane, or a subclass with other steps."""
        return self.integers()

    def integers(self, input_gain: float = 1.0) -> IntegerNeuron:
        """What `lowered` states, behind a gain. Raises LoweringError as it does."""
        if any(getattr(type(self), step) is not getattr(LIF, step) for step in ("charge", "fire", "reset", "initial")):
            raise LoweringError(
                f"{type(self).__name__} changes LIF's steps and has no integer form of its own. Write its `lowered`."
            )
        p = self.params
        bits = fewest_bits(p.leak, p.input_gain)
        threshold = integers(p.threshold)
        step = None if p.step is None or _same(integers(p.step), threshold) else integers(p.step)
        return IntegerNeuron(
            leak=integers(p.leak, bits),
            gain=integers(p.input_gain, bits),
            leak_bits=bits,
            threshold=threshold,
            reset=_lowered_reset(p, threshold if step is None else step),
            membrane=_lowered_membrane(self.membrane),
            levels=p.levels,
            step=step,
            start=integers(p.start),
            rounding=p.charge_rounding,
            value=self.value,
            input_gain=input_gain,
        )

    def extra_repr(self) -> str:
        return f"time_steps={self.time_steps}, params={self.params}"


def _lowered_reset(p: LIFParams, spacing: Constant) -> Literal["hard", "soft"] | Constant:
    if type(p.reset) is Hard:
        return "hard"
    if type(p.reset) is not Soft:
        raise LoweringError(f"{type(p.reset).__name__} has no integer form. Use Hard() or Soft(drop).")
    if p.reset.drop is None or _same(integers(p.reset.drop), spacing):
        return "soft"
    return integers(p.reset.drop)


def _same(a: Constant, b: Constant) -> bool:
    return bool(np.array_equal(a, b))


def _lowered_membrane(membrane: nn.Module) -> tuple[int, int] | None:
    if type(membrane) is FullMembrane:
        return None
    if type(membrane) is not QuantizedMembrane:  # a subclass may compute something else
        raise LoweringError(
            f"{type(membrane).__name__} has no integer form. "
            "Use FullMembrane() or QuantizedMembrane(bits), whose scale does not depend on the batch."
        )
    if not torch.isfinite(membrane.log2_step):
        raise LoweringError("its membrane's log2_step must be finite, got NaN or infinity.")
    return membrane.bits, FRACTION_BITS - int(membrane.exponent())
