"""O5 add: the sum of two or more edges."""

from __future__ import annotations

import dataclasses
import math
import operator
from typing import ClassVar

import numpy as np

from spikelet.graph.edge import Edge, Int64, Shape, padded
from spikelet.graph.ops.broadcast import broadcast_shape, check_broadcast
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Record

_LOW, _HIGH = operator.attrgetter("low"), operator.attrgetter("high")


def _by_channel(ends: list[Int64], channels: int) -> Int64:
    """[inputs, channels]; the bounds of one channel stand for all."""
    if all(len(e) == channels for e in ends):
        return np.array(ends)
    return np.array([np.broadcast_to(e, channels) for e in ends])


@dataclasses.dataclass(frozen=True, eq=False)
class Add(Pointwise):
    """The sum of two or more edges, elementwise; a dimension of 1 is repeated. O5."""

    word: ClassVar[str] = "add"
    arity: ClassVar[tuple[int, int]] = (2, 64)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record((), lambda name, inputs, stated, arrays: Add(name, inputs))

    def since(self, *sources: Shape) -> int:
        """Format 3 where a dimension is repeated."""
        return 1 if len(set(sources)) == 1 else 3

    def output_shape(self, *sources: Shape) -> Shape:
        """The larger of each dimension."""
        return broadcast_shape(*sources)

    def check(self, *sources: Edge) -> None:
        """C2, C3."""
        check_broadcast(self, *sources)

    def interval(self, *sources: Edge, T: int) -> Interval:
        """The sum of the intervals; in any order, partial sums fit 32 bits too."""
        channels = self.output_shape(*(e.shape for e in sources))[0]
        low, high = (_by_channel([ends(e) for e in sources], channels) for ends in (_LOW, _HIGH))
        self.require_int32("a partial sum", np.minimum(low, 0).sum(0), np.maximum(high, 0).sum(0))
        return low.sum(0), high.sum(0)

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The sum; a still edge is added to every step."""
        return sum(xs[1:], start=xs[0])

    def laid_out(self, *sources: Shape) -> int:
        """What a spike and none count for, by channel of every input."""
        return sum(8 * padded(x[0], 8) for x in sources)

    def work(self, *sources: Shape) -> Work:
        """An addition for every value and further input."""
        return Work(additions=math.prod(self.output_shape(*sources)) * (len(sources) - 1))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Three vectors; a column and a row."""
        rows = [[[[[1, 2]]]], [[[[10], [20]]]]]
        return (
            example(cls("n", ("a", "b", "c")), [[[1, -2]], [[10, 20]], [[-100, 300]]], [[-89, 318]]),
            example(cls("n", ("a", "b")), rows, [[[[11, 12], [21, 22]]]]),
        )
