"""O13 mul: the product of two edges."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.broadcast import broadcast_shape, by_channel, check_broadcast
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Record


def corners(a_low: Int64, a_high: Int64, b_low: Int64, b_high: Int64) -> Interval:
    """The interval of a * b for a and b in theirs, elementwise over broadcastable arrays."""
    products = np.stack(np.broadcast_arrays(a_low * b_low, a_low * b_high, a_high * b_low, a_high * b_high))
    return products.min(0), products.max(0)


@dataclasses.dataclass(frozen=True, eq=False)
class Mul(Pointwise):
    """The product of two edges, elementwise; a dimension of 1 is repeated. On spikes this is AND. O13."""

    word: ClassVar[str] = "mul"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    first_format: ClassVar[int] = 3
    record: ClassVar[Record] = Record((), lambda name, inputs, stated, arrays: Mul(name, inputs))

    def since(self, *sources: Shape) -> int:
        """Format 3."""
        return 3

    def output_shape(self, *sources: Shape) -> Shape:
        """The larger of each dimension."""
        return broadcast_shape(*sources)

    def check(self, *sources: Edge) -> None:
        """C1, C2."""
        check_broadcast(self, *sources)

    def interval(self, *sources: Edge, T: int) -> Interval:
        """The smallest and largest of the four products of ends."""
        shape = self.output_shape(*(e.shape for e in sources))
        a, b = sources
        return corners(*(by_channel(v, shape) for v in (a.low, a.high, b.low, b.high)))

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The product."""
        return xs[0] * xs[1]

    def work(self, *sources: Shape) -> Work:
        """A multiplication for every value."""
        return Work(macs=math.prod(self.output_shape(*sources)))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Two vectors; a value for each channel, a value for each position."""
        return (
            example(cls("n", ("a", "b")), [[[1, -2, 3]], [[10, 20, 0]]], [[10, -40, 0]]),
            example(cls("n", ("a", "b")), [[[[[2]], [[-3]]]], [[[[1, 5]]]]], [[[[2, 10]], [[-3, -15]]]]),
        )
