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

import torch
from torch import Tensor, nn

from spikelet.neurons.membrane import FullMembrane, on_grid
from spikelet.neurons.one_pass import OnePass, one_pass_of
from spikelet.neurons.reset import Hard, Reset
from spikelet.neurons.surrogate import Surrogate, Triangle
from spikelet.quant.grid import FRACTION_BITS, round_to_grid

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


def lif_step(x: Tensor, v: Tensor, p: LIFParams, *, exact: bool) -> tuple[Tensor, Tensor]:
    """One time step: (spikes, membrane after reset), each of the shape of `x`.

    `exact` floors the charge to the grid (evaluation).
    """
    h = on_grid(p.leak * v + (x if p.input_gain == 1 else p.input_gain * x), training=not exact)
    s = p.surrogate(h - p.threshold)
    return s, p.reset(h, s, p.threshold)


class LIF(nn.Module):
    """LIF neurons over a whole sequence.

    Args:
        time_steps: T. A current with a time axis of 1 (a still image) is held for T steps.
        params: the constants, LIFParams().
        membrane: FullMembrane(), QuantizedMembrane(bits), or any module from membrane to membrane (which must be one
            of the two to be lowered).

    Shapes: current x [T or 1, B, ...] -> spikes [T, B, ...] of 0 and 1. Every call starts from a
    membrane of zero; `run` takes and returns the membrane for streaming. After `train_in_one_pass` the training mode
    maps a still image's currents [1, B, ...] to rates [1, B, ...] (one_pass.py); evaluation takes the T steps.
    """

    def __init__(
        self,
        time_steps: int,
        params: LIFParams | None = None,
        membrane: nn.Module | None = None,
    ) -> None:
        super().__init__()
        if not isinstance(time_steps, int) or not 1 <= time_steps <= 1024:
            raise ValueError(f"LIF.time_steps must be a whole number from 1 to 1024, got {time_steps!r}.")
        self.time_steps = time_steps
        self.params = params or LIFParams()
        self.membrane = membrane or FullMembrane()
        self.one_pass: OnePass | None = None

    def run(self, x: Tensor, v: Tensor | None) -> tuple[Tensor, Tensor]:
        """Spikes [T, B, ...] and the membrane after the last step [B, ...], from the membrane `v`."""
        spikes, v = self._steps(x, v, keep_last=True)
        assert v is not None
        return spikes, v

    def train_in_one_pass(self, yes: bool = True) -> None:
        """From now on trains on rates, or (False) on time steps again."""
        self.one_pass = one_pass_of(self) if yes else None

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, ...] from a membrane of zero."""
        if self.training and self.one_pass is not None:
            self._check(x)
            if x.shape[0] != 1:
                raise ValueError(
                    f"LIF trains in one pass on still images, of a time axis of 1; got a current of {tuple(x.shape)}. "
                    "Train on frames with Phase(epochs, time_steps)."
                )
            return self.one_pass(x, self.params.surrogate, self.params.input_gain)
        return self._steps(x, None, keep_last=False)[0]

    def _check(self, x: Tensor) -> None:
        if x.dim() < 2 or x.shape[0] not in (1, self.time_steps):
            raise ValueError(
                f"LIF with time_steps={self.time_steps} got a current of shape {tuple(x.shape)}; the first axis "
                f"is time and must be 1 (a still input) or {self.time_steps}, the second the batch."
            )
        if not x.is_floating_point():
            raise TypeError(
                f"LIF takes a floating-point current, got {x.dtype}. (Bytes go through spikelet.nn.Encode().)"
            )

    def _steps(self, x: Tensor, v: Tensor | None, keep_last: bool) -> tuple[Tensor, Tensor | None]:
        self._check(x)
        exact = not self.training
        # chunks of [T*B, ...] and not slices of [T, B, ...], whose gradients lose channels-last (results/LOG.md)
        currents = (round_to_grid(x).double() if exact else x).flatten(0, 1).chunk(x.shape[0])
        spikes = []
        for t in range(self.time_steps):
            current = currents[t if x.shape[0] > 1 else 0]
            v = torch.zeros_like(current) if v is None else v.to(current.dtype)
            s, r = lif_step(current, v, self.params, exact=exact)
            spikes.append(s)
            last = t == self.time_steps - 1
            v = self.membrane(r) if keep_last or not last else None
        out = torch.cat(spikes) if len(spikes) > 1 else spikes[0]
        out = out.unflatten(0, (self.time_steps, x.shape[1]))
        return out.to(x.dtype), None if v is None else v.to(x.dtype)

    def extra_repr(self) -> str:
        return f"time_steps={self.time_steps}, params={self.params}"
