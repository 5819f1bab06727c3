"""The leaky integrate-and-fire neuron, time first, stateless between calls.

    h[t] = leak * v[t-1] + gain * x[t]        charge;  gain = 1, or 1 - leak with `scale_input`
    s[t] = 1 if h[t] >= threshold else 0      a tie fires (spec N1)
    r[t] = h (1 - s)  or  h - drop * s        hard or soft reset; drop = threshold unless given
    v[t] = membrane(r[t])                     full precision, or k bits (see membrane.py)

leak = 1 - 1/tau is dimensionless and a multiple of 2^-8; leak = 1 is the integrate-and-fire neuron.
In eval mode x is rounded to the grid 2^-12 and the charge floors to it, so that an int32 membrane
gives the same spikes; training leaves both out. Evaluation charges in float64, where leak * v, of up to
20 fraction bits, is exact.

Q-SNN's neuron is `LIF(leak=0.5, reset=Hard(), membrane=QuantizedMembrane(k), surrogate=Triangle(1.0))`
with its order charge, fire, reset, quantise (its eq. 10; its algorithm 1 quantises before it fires).
Differences from the authors' code: h >= threshold fires (theirs is strict), the membrane's step is static.
"""

from __future__ import annotations

import dataclasses
from typing import Literal

import torch
from torch import Tensor, nn

from spikelet.base.errors import LoweringError
from spikelet.neurons.membrane import FullMembrane, QuantizedMembrane
from spikelet.neurons.neuron import IntegerNeuron, Neuron
from spikelet.neurons.reset import Hard, Reset, Soft
from spikelet.neurons.surrogate import Surrogate, Triangle
from spikelet.quant.grid import FRACTION_BITS, floor_to_grid

LEAK_BITS = 8


@dataclasses.dataclass(frozen=True)
class LIFParams:
    """A neuron's constants. Raises ValueError where one is out of range."""

    leak: float = 0.5  # membrane kept per step, dimensionless, a multiple of 2^-8 in [0, 1]
    threshold: float = 1.0  # in units of the current, a multiple of 2^-12 above 0
    scale_input: bool = False  # multiply the current by 1 - leak
    reset: Reset = dataclasses.field(default_factory=Hard)
    surrogate: Surrogate = dataclasses.field(default_factory=Triangle)

    def __post_init__(self) -> None:
        if not 0 <= self.leak <= 1:
            raise ValueError(f"LIFParams.leak must lie in [0, 1], got {self.leak}. (leak = 1 - 1/tau.)")
        if self.leak * 2**LEAK_BITS % 1:
            raise ValueError(
                f"LIFParams.leak must be a multiple of 2^-{LEAK_BITS}, got {self.leak}; "
                f"the nearest is {round(self.leak * 2**LEAK_BITS) / 2**LEAK_BITS}."
            )
        if not 0 < self.threshold < 2 ** (23 - FRACTION_BITS) or self.threshold * 2**FRACTION_BITS % 1:
            raise ValueError(
                f"LIFParams.threshold must be a multiple of 2^-{FRACTION_BITS} above 0 and below 2048, "
                f"got {self.threshold}."
            )
        if self.scale_input and self.leak == 1:
            raise ValueError("LIFParams.scale_input with leak = 1 multiplies every current by 0; choose leak < 1.")

    @property
    def input_gain(self) -> float:
        """What a current is multiplied by: 1, or 1 - leak."""
        return 1 - self.leak if self.scale_input else 1.0


class LIF(Neuron):
    """Leaky integrate-and-fire neurons over a whole sequence.

    Args:
        time_steps: T. A current with a time axis of 1 (a still image) is held for T steps.
        params: the constants, LIFParams().
        membrane: FullMembrane(), QuantizedMembrane(bits), or any module from membrane to membrane (which must be one
            of the two to be lowered).

    Shapes: current x [T or 1, B, ...] -> spikes [T, B, ...] of 0 and 1. Every call starts from a
    membrane of zero; `run` takes and returns the membrane for streaming.
    """

    def __init__(
        self,
        time_steps: int,
        params: LIFParams | None = None,
        membrane: nn.Module | None = None,
    ) -> None:
        super().__init__(time_steps)
        self.params = params or LIFParams()
        self.membrane = membrane or FullMembrane()

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """leak * v + gain * x, on the grid in evaluation."""
        p = self.params
        h = p.leak * v + (x if p.input_gain == 1 else p.input_gain * x)
        return h if self.training else floor_to_grid(h)

    def fire(self, h: Tensor) -> Tensor:
        """1 where h >= threshold, else 0."""
        return self.params.surrogate(h - self.params.threshold)

    def reset(self, h: Tensor, s: Tensor) -> Tensor:
        """membrane(h after reset)."""
        return self.membrane(self.params.reset(h, s, self.params.threshold))

    def lowered(self) -> IntegerNeuron:
        """See Neuron. Raises LoweringError for another reset or membrane, or a subclass with other steps."""
        if any(getattr(type(self), step) is not getattr(LIF, step) for step in ("charge", "fire", "reset", "initial")):
            raise LoweringError(
                f"{type(self).__name__} changes LIF's steps and has no integer form of its own. Write its `lowered`."
            )
        p = self.params
        bits = next(k for k in range(LEAK_BITS + 1) if p.leak * 2**k % 1 == 0)
        return IntegerNeuron(
            leak=round(p.leak * 2**bits),
            gain=round(p.input_gain * 2**bits),
            leak_bits=bits,
            threshold=round(p.threshold * 2**FRACTION_BITS),
            reset=_lowered_reset(p),
            membrane=_lowered_membrane(self.membrane),
        )

    def extra_repr(self) -> str:
        return f"time_steps={self.time_steps}, params={self.params}"


def _lowered_reset(p: LIFParams) -> Literal["hard", "soft"] | int:
    if type(p.reset) is Hard:
        return "hard"
    if type(p.reset) is not Soft:
        raise LoweringError(f"{type(p.reset).__name__} has no integer form. Use Hard() or Soft(drop).")
    return "soft" if p.reset.drop in (None, p.threshold) else round(p.reset.drop * 2**FRACTION_BITS)


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
