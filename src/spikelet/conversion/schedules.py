"""When the neurons of a converted network emit.

    barrier   every neuron integrates all its T steps first, then emits its count 0..T at once: T levels in one step
    stream    every neuron emits a spike at every step that reaches its threshold, and all layers work at all steps

Both integrate z(t) without leak, from half a threshold (a stream also from what images ask for, starts.py), and lose
theta with each spike (soft reset), so

    v(T) - v(0) = sum of z(t) - theta * number of spikes

and with the barrier the count is clip(floor(T z / theta + 1/2), 0, T) for the mean z of its inputs: the network's own
activation at T = L, without loss (arXiv:2303.04347). In the stream a neuron has fired before it knows what still comes;
its mean output reaches the activation's as T grows. The Masked Spiking Transformer (arXiv:2210.01208) evaluates so.

A product of two spike trains, as attention computes it, is not the product of their means, nor is the largest of
several the largest mean. In the stream both take each train's mean so far, m(t) = (s(1) + .. + s(t)) / t in 8 bits, and
what reads a product p(t) of them is given t p(t) - (t - 1) p(t - 1), whose mean over t steps is p(t). (That of p(t) is
the mean of p(1) .. p(t): what is off by a / t would be off by about a log(t) / t behind each product.) Both are ours;
the authors take the spikes of each step, and so tend to another value.

A stream tends to the network of infinitely many levels, a barrier of T steps is that of T levels; norms that were
measured with other levels are off in both (with_levels.py).
"""

from __future__ import annotations

import abc
import math

import torch
from torch import Tensor, nn

from spikelet.conversion.numbered import InPlace
from spikelet.neurons import Levels, LIFParams, Soft
from spikelet.neurons.divided import Divided
from spikelet.neurons.levels import MOST_LEVELS
from spikelet.nn import Saturate, Scale
from spikelet.nn.increments import Increments


class IntegrateAndFire(Divided):
    """Spikes of neurons that start at theta / 2 and lose theta with each: no leak, no other reset.

    Args:
        time_steps: T.
        threshold: theta.
    """

    def __init__(self, time_steps: int, threshold: float) -> None:
        super().__init__(time_steps, LIFParams(1.0, 1.0, reset=Soft(), start=0.5), threshold)


class OverBatch(InPlace):
    """A neuron, or increments, on time folded into the batch, [T * B, ...].

    Args:
        neuron: of T steps.
    """

    def __init__(self, neuron: IntegrateAndFire | Increments) -> None:
        super().__init__()
        self.neuron = neuron

    def forward(self, x: Tensor) -> Tensor:
        """[T * B, ...] -> the same."""
        return self.neuron(x.unflatten(0, (self.neuron.time_steps, -1))).flatten(0, 1)


class MeanSoFar(nn.Module):
    """The mean of a spike train up to each step, in whole 1 / 256 below the power of two at or above `largest`.

    Args:
        time_steps: T.
        largest: what a spike is worth.
        is_folded: whether time is folded into the batch, [T * B, ...], or has its axis, [T, B, ...].
    """

    def __init__(self, time_steps: int, largest: float, is_folded: bool) -> None:
        super().__init__()
        self.time_steps, self.is_folded = time_steps, is_folded
        self.over = Scale((1 / torch.arange(1.0, time_steps + 1))[:, None], learn=False)
        self.bits = Saturate(9 + max(0, math.ceil(math.log2(largest))), fraction_bits=8)

    def forward(self, s: Tensor) -> Tensor:
        """Spikes -> their means, of the same shape."""
        if not self.is_folded:
            return self.bits(self.over(s.cumsum(0)))
        return self.bits(self.over(s.unflatten(0, (self.time_steps, -1)).cumsum(0))).flatten(0, 1)


class ScaledNeuron(InPlace):
    """A neuron whose spikes are multiplied by a number, on the grid, where their values are read as they are.

    Args:
        neuron: gives the spikes.
        gain: the number.
    """

    def __init__(self, neuron: nn.Module, gain: float) -> None:
        super().__init__()
        self.neuron, self.scale = neuron, Scale(gain, learn=False)

    def forward(self, x: Tensor) -> Tensor:
        """Currents -> values of the same shape."""
        return self.scale(self.neuron(x))


class PoolOfMeans(InPlace):
    """A pool of the means so far of spike trains [T, B, ...].

    Args:
        means: of the trains.
        pool: of spikelet's layers.
    """

    def __init__(self, means: nn.Module, pool: nn.Module) -> None:
        super().__init__()
        self.means, self.pool = means, pool

    def forward(self, s: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] -> [T, B, C, H', W']."""
        return self.pool(self.means(s))


class Schedule(abc.ABC):
    """How the neurons of a twin are made.

    Args:
        time_steps: T.

    Attributes:
        steps: how many steps the twin's layers compute.
    """

    name: str
    most: int

    def __init__(self, time_steps: int) -> None:
        self.time_steps = time_steps

    @property
    @abc.abstractmethod
    def steps(self) -> int: ...

    @abc.abstractmethod
    def neuron(self, threshold: float, is_folded: bool) -> nn.Module:
        """A neuron of this threshold whose mean output is the activation over it."""

    def mean_so_far(self, largest: float, is_folded: bool) -> nn.Module | None:
        """What products and maxima take in the place of a spike train, a spike of which is worth `largest`; None: the
        spikes."""
        return None

    def increments(self, largest: float, is_folded: bool) -> nn.Module | None:
        """What stands behind a product of means so far, which reaches `largest`; None: nothing."""
        return None


class Barrier(Schedule):
    """Counts 0..T in one step; T is a power of two to 128."""

    name, most = "barrier", MOST_LEVELS

    @property
    def steps(self) -> int:
        return 1

    def neuron(self, threshold: float, is_folded: bool) -> nn.Module:
        return Levels(self.time_steps, threshold)


class Stream(Schedule):
    """Spikes of 0 and 1 at T steps."""

    name, most = "stream", 1024

    @property
    def steps(self) -> int:
        return self.time_steps

    def neuron(self, threshold: float, is_folded: bool) -> nn.Module:
        neuron = IntegrateAndFire(self.time_steps, threshold)
        return OverBatch(neuron) if is_folded else neuron

    def mean_so_far(self, largest: float, is_folded: bool) -> nn.Module | None:
        return MeanSoFar(self.time_steps, largest, is_folded)

    def increments(self, largest: float, is_folded: bool) -> nn.Module | None:
        made = Increments(self.time_steps, largest)
        return OverBatch(made) if is_folded else made


SCHEDULES: dict[str, type[Schedule]] = {"barrier": Barrier, "stream": Stream}
