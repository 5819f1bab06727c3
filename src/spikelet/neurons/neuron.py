"""What every spiking neuron offers, so that a second neuron class can join the first.

    h[t] = charge(x[t], v[t-1])        before it fires
    s[t] = fire(h[t])                  spikes
    v[t] = reset(h[t], s[t])           what is kept for the next step

A subclass writes these three functions of one time step, and `lowered`, the integers that do the same. The base runs
them over time: `forward` gives the spikes, `run` also takes and returns the membrane (streaming), `trace` gives charge,
spikes and membrane of every step. No neuron keeps state between calls.
"""

from __future__ import annotations

import abc
import dataclasses
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError, WrongType
from spikelet.base.whole import is_whole
from spikelet.quant.grid import FRACTION_BITS, round_to_grid
from spikelet.quant.recording import is_traced

Constant = int | NDArray[np.int32]
"""One integer for all channels, or an array [C]."""


@dataclasses.dataclass(frozen=True)
class Trace:
    """A neuron's whole sequence, each [T, B, ...]; in evaluation charge and membrane are float64, which holds them
    exactly.

    charge: h, before the neuron fires.
    spikes: s, what `forward` returns.
    membrane: v, after reset and rounding; the next step starts from it.
    """

    charge: Tensor
    spikes: Tensor
    membrane: Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class IntegerNeuron:
    """The constants of a neuron on integers (spec O6); each `Constant` is one integer, or an array [C].

        h = (leak * v + gain * x + r) >> leak_bits         r = 0 ("floor") or half of 2^leak_bits ("half")
        s = clip((h - threshold) div step + 1, 0, levels)
        v = membrane(0 if s > 0 else h)  or  membrane(h - drop * s)          from v = start

    leak, gain: multiples of 2^-leak_bits.
    threshold, step, start, drop: in units of 2^-fraction_bits, as the current x.
    reset: "hard", "soft" (drop = step), or drop.
    membrane: (bits, shift) of a quantized membrane whose step is 2^shift units; None keeps it in full.
    levels: most spikes in one step.
    rounding: of the charge.
    value: real value of one spike; a neuron's output is the count s times it.
    input_gain: what currents are multiplied by, and rounded to whole units, before the neuron takes them as x: m * 2^-e
        with |m| < 2^15.
    fraction_bits: a unit is 2^-fraction_bits.
    """

    leak: Constant
    gain: Constant
    leak_bits: int
    threshold: Constant
    reset: Literal["hard", "soft"] | Constant
    membrane: tuple[int, int] | None = None
    levels: int = 1
    step: Constant | None = None
    start: Constant = 0
    rounding: Literal["floor", "half"] = "floor"
    value: float = 1.0
    input_gain: float = 1.0
    fraction_bits: int = FRACTION_BITS


class Neuron(nn.Module, abc.ABC):
    """A layer of spiking neurons over a whole sequence: current [T or 1, B, ...] to spikes [T, B, ...].

    A current with a time axis of 1 (a still image) is held for T steps. Every call starts from the neuron's initial
    membrane.

    Args:
        time_steps: T, 1 to 1024.

    Attributes:
        rate: None, or the function that training uses instead of T steps: currents [1, B, ...] to firing rates
            [1, B, ...] (see one_pass.py). Evaluation always takes the steps.

    Raises:
        SpikeletError: time_steps out of range.
    """

    def __init__(self, time_steps: int) -> None:
        super().__init__()
        if not is_whole(time_steps) or not 1 <= time_steps <= 1024:
            raise SpikeletError(
                f"{type(self).__name__}.time_steps must be a whole number from 1 to 1024, got {time_steps!r}."
            )
        self.time_steps = int(time_steps)
        self.rate: Callable[[Tensor], Tensor] | None = None

    @abc.abstractmethod
    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        """Membrane before the neuron fires, h [B, ...], from one step's current and the last membrane."""

    @abc.abstractmethod
    def fire(self, h: Tensor) -> Tensor:
        """Spikes of one step, of the shape of `h`; a tie fires (spec N1)."""

    @abc.abstractmethod
    def reset(self, h: Tensor, s: Tensor) -> Tensor:
        """Membrane after the step: reset where it fired, then rounded to what the neuron stores."""

    @abc.abstractmethod
    def lowered(self) -> IntegerNeuron:
        """The integers that compute what evaluation computes. Raises LoweringError where integers can't."""

    @property
    def value(self) -> float:
        """What one spike is worth in the output: 1."""
        return 1.0

    def keep_channels(self, channels: Sequence[int]) -> None:
        """Keeps what the neuron holds for these channels, in this order. This base holds nothing by channel."""

    def current(self, x: Tensor) -> Tensor:
        """`x` as the neuron integrates it: in evaluation rounded to the grid, in float64."""
        return x if self.training else round_to_grid(x).double()

    def initial(self, current: Tensor) -> Tensor:
        """Membrane before the first step, of the shape of one step's current [B, ...]: 0."""
        return torch.zeros_like(current)

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [T, B, ...] from the initial membrane."""
        if self.training and is_traced():
            warnings.warn(
                f"torch.jit.trace records no surrogate gradients, and {type(self).__name__} is training. Trace "
                "model.eval(); to train faster, use torch.compile.",
                UserWarning,
                stacklevel=2,
            )
        if self.training and self.rate is not None:
            self.check(x)
            if x.shape[0] != 1:
                raise SpikeletError(
                    f"{type(self).__name__} trains in one pass on still images, of a time axis of 1; got a current of "
                    f"{tuple(x.shape)}. Train on frames with Phase(epochs, time_steps)."
                )
            return self.rate(x)
        return self._joined([s for _, s, _ in self._steps(x, None, keep_last=False)], x).to(x.dtype)

    def run(self, x: Tensor, v: Tensor | None) -> tuple[Tensor, Tensor]:
        """Spikes [T, B, ...] and the membrane after the last step [B, ...], from the membrane `v` (None: initial)."""
        spikes = []
        for _, s, last in self._steps(x, v, keep_last=True):
            spikes.append(s)
            v = last
        assert v is not None
        return self._joined(spikes, x).to(x.dtype), v

    def step(self, x: Tensor, v: Tensor | None) -> tuple[Tensor, Tensor]:
        """Spikes [1, B, ...] and membrane of one step, from its current [1, B, ...] and the membrane before (None:
        initial)."""
        current = self.current(x[0])
        h = self.charge(current, self.initial(current) if v is None else v.to(current.dtype))
        s = self.fire(h)
        return s[None].to(x.dtype), self.reset(h, s)

    def trace(self, x: Tensor) -> Trace:
        """Charge, spikes and membrane of every step, from the initial membrane."""
        steps: list[tuple[Tensor, ...]] = list(self._steps(x, None, keep_last=True))  # type: ignore[arg-type]
        charge, spikes, membrane = (self._joined(list(parts), x) for parts in zip(*steps, strict=True))
        return Trace(charge, spikes.to(x.dtype), membrane)

    def _steps(self, x: Tensor, v: Tensor | None, keep_last: bool) -> Iterator[tuple[Tensor, Tensor, Tensor | None]]:
        """Charge, spikes and membrane of each step; the last membrane only if `keep_last`."""
        self.check(x)
        given = self.time_steps if x.shape[0] > 1 else 1
        # parts of [T*B, ...] and not slices of [T, B, ...], whose gradients lose channels-last (results/LOG.md); of
        # stated sizes, which an exported program can keep for any B
        currents = self.current(x).flatten(0, 1).split([x.shape[1]] * given)
        for t in range(self.time_steps):
            current = currents[t if given > 1 else 0]
            h = self.charge(current, self.initial(current) if v is None else v.to(current.dtype))
            s = self.fire(h)
            v = self.reset(h, s) if keep_last or t < self.time_steps - 1 else None
            yield h, s, v

    def _joined(self, steps: list[Tensor], x: Tensor) -> Tensor:
        joined = torch.cat(steps) if len(steps) > 1 else steps[0]
        return joined.unflatten(0, (self.time_steps, x.shape[1]))

    def check(self, x: Tensor) -> None:
        """Raises SpikeletError unless `x` is [T or 1, B, ...], TypeError unless its type can be computed in.

        Training takes any floating-point type; evaluation float32 and float64, which are exact.
        """
        name = type(self).__name__
        if not isinstance(x, Tensor):
            raise WrongType(f"{name} takes a current, a tensor [T, B, ...], got {type(x).__name__}.")
        if x.dim() < 2 or x.shape[0] not in (1, self.time_steps):
            raise SpikeletError(
                f"{name} with time_steps={self.time_steps} got a current of shape {tuple(x.shape)}; the first axis "
                f"is time and must be 1 (a still input) or {self.time_steps}, the second the batch."
            )
        self.check_type(x)

    def check_type(self, x: Tensor) -> None:
        """Raises WrongType unless `x` is of a type that can be computed in."""
        name = type(self).__name__
        if not x.is_floating_point():
            raise WrongType(
                f"{name} takes a floating-point current, got {x.dtype}. (Bytes go through spikelet.nn.Encode().)"
            )
        if not self.training and x.dtype not in (torch.float32, torch.float64):
            raise WrongType(
                f"{name} evaluates in float32 or float64, which are exact, got {x.dtype}. "
                "Evaluate within spikelet.nn.evaluation_mode(model), which turns autocast off."
            )


WRITTEN_OUT = (
    "Neurons that a network's loop writes out are recognised by from_snntorch and from_spikingjelly where mem = leak * "
    "mem * (1 - spike) + current, or with a threshold subtracted, and spike = mem > threshold. Not recognised are "
    "a membrane that is clamped, spikes made by torch.sign, thresholds that adapt, constants by channel, and loops "
    "that end early. Make such neurons a class, class MyLIF(nn.Module), that takes a current and gives spikes, and "
    "convert the network with neurons={MyLIF: LIFParams(leak=0.5, threshold=1.0)}."
)
"""Which neurons a conversion finds in code, which it does not, and the way out."""


def neurons_of(model: nn.Module) -> dict[str, Neuron]:
    """The model's neurons by their full names, in the order of `named_modules`."""
    return {name: module for name, module in model.named_modules() if isinstance(module, Neuron)}


def time_steps_of(model: nn.Module) -> int:
    """T, which all neurons of a model share.

    Raises:
        SpikeletError: the model has no neurons, or neurons of different T; names them.
    """
    steps: dict[str, Any] = {name: neuron.time_steps for name, neuron in neurons_of(model).items()}
    if not steps:
        raise SpikeletError(f"the model has no spiking neurons, such as spikelet.neurons.LIF. {WRITTEN_OUT}")
    if len(set(steps.values())) > 1:
        raise SpikeletError(f"all neurons must have the same time_steps, got {steps}.")
    return next(iter(steps.values()))
