"""Shapes of elementwise operations of several edges (O5 add, O13 mul): a dimension of 1 is repeated."""

from __future__ import annotations

import numpy as np

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Operation


def broadcast_shape(*shapes: Shape) -> Shape:
    """The shape of the result; of shapes that don't fit, any."""
    rank = max(map(len, shapes))
    return tuple(max(s[i] for s in shapes if len(s) > i) for i in range(rank))


def check_broadcast(node: Operation, *sources: Edge) -> None:
    """Raises GraphError unless shapes fit and all sources are before, or all after, a sumtime."""
    shapes = [e.shape for e in sources]
    same_rank = len({len(s) for s in shapes}) == 1
    fits = same_rank and all(len({d for d in sizes if d != 1}) <= 1 for sizes in zip(*shapes, strict=False))
    node.require(fits, "input shapes", shapes, "all the same, but for dimensions of 1, which are repeated")
    node.require(len({e.timed for e in sources}) == 1, "inputs", node.inputs, "all before or all after a sumtime")


def by_channel(values: Int64, shape: Shape) -> Int64:
    """Bounds of one channel, or of all, for the channels of `shape`."""
    return np.broadcast_to(values, (shape[0],))
