"""Facts about an edge before anything runs: shape, interval of every channel, whether it has a time axis."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

Shape = tuple[int, ...]
Int64 = NDArray[np.int64]
INT32 = (-(2**31), 2**31 - 1)


@dataclasses.dataclass(frozen=True, eq=False)
class Edge:
    """A node's output: sample shape, interval [low, high] per channel (axis 0), and whether it has a time axis
    (every edge has until a `SumTime` adds it up)."""

    shape: Shape
    low: Int64
    high: Int64
    timed: bool

    @property
    def size(self) -> int:
        """Values per sample and step."""
        return math.prod(self.shape)

    @property
    def is_spikes(self) -> bool:
        """Whether every value is 0 or 1."""
        return bool(self.low.min() >= 0 and self.high.max() <= 1)

    @property
    def reach(self) -> int:
        """The largest magnitude of a value."""
        return max(-int(self.low.min()), int(self.high.max()))

    def with_zero(self) -> tuple[Int64, Int64]:
        """The interval widened to hold 0, so that a sum's parts stay inside the whole sum's bounds in any order."""
        return np.minimum(self.low, 0), np.maximum(self.high, 0)


def as_map(shape: Shape) -> tuple[int, int, int]:
    """(C, H, W); a vector (F,) is (F, 1, 1)."""
    c, h, w = shape if len(shape) == 3 else (math.prod(shape), 1, 1)
    return c, h, w


def padded(n: int, to: int) -> int:
    """The smallest multiple of `to` that is not below `n`."""
    return -(-n // to) * to
