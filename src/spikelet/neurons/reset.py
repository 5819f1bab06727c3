"""What happens to a membrane that fired: it goes to zero, or loses an amount.

    hard: v = h (1 - s)        soft: v = h - drop * s,   drop = threshold unless it is given

A drop other than the threshold stands for rules of other libraries. snnTorch's default subtracts the threshold a step
late, h[t+1] = leak * h[t] + x - threshold * s[t], which is a drop of threshold / leak at once; its "none" is one of 0.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor

from spikelet.quant.grid import FRACTION_BITS


@dataclasses.dataclass(frozen=True)
class Hard:
    """v = h (1 - s)."""

    def __call__(self, h: Tensor, s: Tensor, threshold: float) -> Tensor:
        return h * (1 - s)


@dataclasses.dataclass(frozen=True)
class Soft:
    """v = h - drop * s; a drop of None is the threshold.

    Raises:
        ValueError: drop is negative, 2048 or more, or off the grid 2^-12.
    """

    drop: float | None = None

    def __post_init__(self) -> None:
        if self.drop is None:
            return
        if not 0 <= self.drop < 2 ** (23 - FRACTION_BITS) or self.drop * 2**FRACTION_BITS % 1:
            raise ValueError(
                f"Soft.drop must be a multiple of 2^-{FRACTION_BITS} from 0 to below 2048, or None for the threshold, "
                f"got {self.drop}."
            )

    def __call__(self, h: Tensor, s: Tensor, threshold: float) -> Tensor:
        return h - (threshold if self.drop is None else self.drop) * s


Reset = Hard | Soft
