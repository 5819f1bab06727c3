"""The meaning of one operation on given values: what the reference does, without a graph."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir

Int64 = NDArray[np.int64]


def meaning(node: ir.Operation, *xs: Int64, T: int) -> Int64:
    """Values [T or 1, B, ...] of `node` over T steps from the start."""
    return node.advance(*xs, steps=range(T), state=None)[0]
