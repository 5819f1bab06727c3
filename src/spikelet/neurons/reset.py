"""What happens to a membrane that fired: it goes to zero, or loses one threshold.

hard: v = h (1 - s)        soft: v = h - theta s
"""

from __future__ import annotations

import dataclasses

from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Hard:
    """v = h (1 - s)."""

    def __call__(self, h: Tensor, s: Tensor, threshold: float) -> Tensor:
        return h * (1 - s)


@dataclasses.dataclass(frozen=True)
class Soft:
    """v = h - threshold * s."""

    def __call__(self, h: Tensor, s: Tensor, threshold: float) -> Tensor:
        return h - threshold * s


Reset = Hard | Soft
