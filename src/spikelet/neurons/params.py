"""The constants of a leaky integrate-and-fire neuron, checked."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Literal

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import power_of_two_from, whole
from spikelet.neurons.constants import LEAK_BITS, LIMIT, Real, numbers, off_grid, real
from spikelet.neurons.reset import Hard, Reset, Soft
from spikelet.neurons.surrogate import Rectangle, Surrogate, Triangle
from spikelet.quant.grid import FRACTION_BITS

BY_CHANNEL = ("leak", "threshold", "gain", "step", "start")
MAX_LEVELS = 255


@dataclasses.dataclass(frozen=True)
class LIFParams:
    """The constants of LIF neurons. See lif.py for the equations.

    A constant that may go by channel is one number, or a sequence or tensor [C] of one number a channel, which is
    kept as a tuple.

    Example:
        >>> params = spikelet.LIFParams(leak=1.0, reset=spikelet.neurons.Soft())  # adds up, and keeps what is too much
        >>> spikelet.LIF(4, params)(torch.full((1, 1), 0.75)).flatten().tolist()
        [0.0, 1.0, 1.0, 1.0]

    Args:
        leak: membrane kept per step, dimensionless, a multiple of 2^-12 in [0, 1]; 1 - 1/tau. By channel.
        threshold: charge of the first spike, in units of the current, a multiple of 2^-12 above 0. By channel.
        scale_input: multiply the current by 1 - leak.
        reset: Hard(), or Soft(drop).
        surrogate: the derivative that training takes for that of a spike.
        levels: D, the most spikes in one step, 1 to 255.
        step: charge between one spike and the next, in units of the current, a multiple of 2^-12 above 0; None is the
            threshold. Only with levels above 1. By channel.
        start: membrane before the first step, in units of the current, a multiple of 2^-12. By channel.
        gain: what the current is multiplied by, a multiple of 2^-12 in (0, 1]; None is 1, or 1 - leak with
            `scale_input`. By channel.
    Raises:
        SpikeletError: a constant is out of range or off its grid; names it.
    """

    leak: Real = 0.5
    threshold: Real = 1.0
    scale_input: bool = False
    reset: Reset = dataclasses.field(default_factory=Hard)
    surrogate: Surrogate = dataclasses.field(default_factory=Triangle)
    levels: int = 1
    step: Real | None = None
    start: Real = 0.0
    gain: Real | None = None

    def __post_init__(self) -> None:
        for name in BY_CHANNEL:
            value = getattr(self, name)
            if value is not None:
                object.__setattr__(self, name, real(value, f"LIFParams.{name}"))
        if not isinstance(self.reset, Reset):
            raise SpikeletError(f"LIFParams.reset must be Hard() or Soft(drop), got {shown(self.reset)}.")
        if not isinstance(self.surrogate, Surrogate):
            raise SpikeletError(
                f"LIFParams.surrogate must be a Surrogate such as Triangle(1.0), got {shown(self.surrogate)}."
            )
        self._check_leak_and_gain()
        _check_above_0("threshold", self.threshold)
        levels = whole(self.levels, "LIFParams.levels", 1, MAX_LEVELS, error=SpikeletError)
        object.__setattr__(self, "levels", levels)
        if self.step is not None:
            if self.levels == 1:
                raise SpikeletError(
                    f"LIFParams.step takes levels above 1, got step={self.step} and levels=1. "
                    "(What a spike takes from the membrane is Soft(drop).)"
                )
            _check_above_0("step", self.step)
        if off_grid(self.start) or any(abs(v) >= LIMIT for v in numbers(self.start)):
            raise SpikeletError(
                f"LIFParams.start must be a multiple of 2^-{FRACTION_BITS} between -{LIMIT} and {LIMIT}, "
                f"got {self.start}."
            )
        if self.channels is not None and any(
            isinstance(v, tuple) and len(v) != self.channels for v in self._by_channel().values()
        ):
            counts = {name: len(v) for name, v in self._by_channel().items() if isinstance(v, tuple)}
            raise SpikeletError(f"LIFParams must have its constants for one number of channels, got {counts}.")

    def _check_leak_and_gain(self) -> None:
        for leak in numbers(self.leak):
            if not 0 <= leak <= 1:
                raise SpikeletError(f"LIFParams.leak must lie in [0, 1], got {leak}. (leak = 1 - 1/tau.)")
            if off_grid(leak, LEAK_BITS):
                raise SpikeletError(
                    f"LIFParams.leak must be a multiple of 2^-{LEAK_BITS}, got {leak}; "
                    f"the nearest is {round(leak * 2**LEAK_BITS) / 2**LEAK_BITS}."
                )
        if self.scale_input and 1 in numbers(self.leak):
            raise SpikeletError("LIFParams.scale_input with leak = 1 multiplies every current by 0; choose leak < 1.")
        if self.gain is None:
            return
        if self.scale_input:
            raise SpikeletError("LIFParams takes scale_input or a gain, got both; scale_input is a gain of 1 - leak.")
        for gain in numbers(self.gain):
            if not 0 < gain <= 1 or off_grid(gain, LEAK_BITS):
                raise SpikeletError(
                    f"LIFParams.gain must be a multiple of 2^-{LEAK_BITS} above 0 and at most 1, got {gain}. "
                    "(Larger gains go into the normalisation before the neuron.)"
                )

    def _by_channel(self) -> dict[str, Real | None]:
        drop = self.reset.drop if isinstance(self.reset, Soft) else None
        return {**{name: getattr(self, name) for name in BY_CHANNEL}, "reset.drop": drop}

    @classmethod
    def rounding(cls, levels: int, top: float = 1.0) -> LIFParams:
        """A neuron without memory that rounds its current to the nearest of 0, top/D .. top, D = `levels`.

        threshold = top / 2D and step = top / D: the counts are those of IE-LIF (QSD-Transformer, arXiv:2501.13492) and
        of quantization-clip-floor-shift (Bu et al., ICLR 2022) at threshold `top`, halves up. Its surrogate makes the
        gradient straight through on 0..top, and 0 outside. LIF's output for n spikes is n / 2^ceil(log2 D), so
        n top / D for top = 1 and a power of two D.

        Raises:
            SpikeletError: top / 2D is off the grid 2^-12.
        """
        surrogate = Rectangle(top / levels)
        step = top / levels if levels > 1 else None
        return cls(leak=0.0, threshold=top / levels / 2, levels=levels, step=step, surrogate=surrogate)

    @property
    def channels(self) -> int | None:
        """C where a constant goes by channel, None where each is one number."""
        return next((len(v) for v in self._by_channel().values() if isinstance(v, tuple)), None)

    def keep(self, channels: Sequence[int]) -> LIFParams:
        """The constants of these channels, in this order."""

        def cut(value: Real | None) -> Real | None:
            return tuple(value[c] for c in channels) if isinstance(value, tuple) else value

        changed = {name: cut(getattr(self, name)) for name in BY_CHANNEL}
        reset = Soft(cut(self.reset.drop)) if isinstance(self.reset, Soft) else self.reset
        return dataclasses.replace(self, reset=reset, **changed)

    @property
    def input_gain(self) -> Real:
        """What a current is multiplied by: `gain`, or 1 - leak with `scale_input`, or 1."""
        if self.gain is not None:
            return self.gain
        if not self.scale_input:
            return 1.0
        return tuple(1 - v for v in self.leak) if isinstance(self.leak, tuple) else 1 - self.leak

    @property
    def spacing(self) -> Real:
        """Charge between one spike of a step and the next: `step`, or the threshold."""
        return self.threshold if self.step is None else self.step

    @property
    def value(self) -> float:
        """What one spike is worth in the output: 1 over the power of two at or above `levels`."""
        return 1 / power_of_two_from(self.levels)

    @property
    def charge_rounding(self) -> Literal["floor", "half"]:
        """How evaluation rounds the charge to the grid.

        "floor" where leak is 0, or 2^-k with a gain that is a multiple of it: floors of integers nest there, so the
        spikes are those of a membrane without rounding. "half" (up) where any channel has another leak: a floor would
        lower the membrane by half a unit a step on average, 1/(1 - leak) steps long; that includes 1 - 2^-k.
        """
        leaks, gains = numbers(self.leak), numbers(self.input_gain)
        count = max(len(leaks), len(gains))
        pairs = zip(leaks * (count // len(leaks)), gains * (count // len(gains)), strict=True)
        return "floor" if all(_nests(leak, gain) for leak, gain in pairs) else "half"


def _nests(leak: float, gain: float) -> bool:
    return leak == 0 or (math.frexp(leak)[0] == 0.5 and gain / leak % 1 == 0)


def _check_above_0(name: str, value: Real) -> None:
    if off_grid(value) or any(not 0 < v < LIMIT for v in numbers(value)):
        raise SpikeletError(
            f"LIFParams.{name} must be a multiple of 2^-{FRACTION_BITS} above 0 and below {LIMIT}, got {value}."
        )
