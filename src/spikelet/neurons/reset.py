"""How a membrane is reset when the neuron fires: to zero, or by an amount that is subtracted.

    hard: v = h (1 - s)        soft: v = h - drop * n,   drop = step (the threshold at one level) unless it is given

s is whether the neuron fired, n how many spikes it gave in the step (at one level the same).

A drop other than the threshold stands for rules of other libraries. snnTorch's default subtracts the threshold a step
late, h[t+1] = leak * h[t] + x - threshold * s[t], which is a drop of threshold / leak at once; its "none" is one of 0.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.neurons.constants import LIMIT, Real, like, numbers, off_grid, real
from spikelet.quant.grid import FRACTION_BITS


@dataclasses.dataclass(frozen=True)
class Hard:
    """The membrane becomes 0 where the neuron fired: v = h (1 - s)."""

    def __call__(self, h: Tensor, s: Tensor, step: Real) -> Tensor:
        return h * (1 - s)


@dataclasses.dataclass(frozen=True)
class Soft:
    """v = h - drop * n; a drop of None is the neuron's step, which is its threshold at one level.

    drop may go by channel: a sequence or tensor [C], kept as a tuple.

    Raises:
        SpikeletError: drop is negative, 2048 or more, or off the grid 2^-12.
    """

    drop: Real | None = None

    def __post_init__(self) -> None:
        if self.drop is None:
            return
        object.__setattr__(self, "drop", real(self.drop, "Soft.drop"))
        if off_grid(self.drop) or any(not 0 <= v < LIMIT for v in numbers(self.drop)):
            raise SpikeletError(
                f"Soft.drop must be a multiple of 2^-{FRACTION_BITS} from 0 to below {LIMIT}, or None for the "
                f"threshold, got {self.drop}."
            )

    def __call__(self, h: Tensor, s: Tensor, step: Real) -> Tensor:
        return h - like(step if self.drop is None else self.drop, h) * s


Reset = Hard | Soft
