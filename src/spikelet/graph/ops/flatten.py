"""O9 flatten: a map as one vector."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Record

MAX_FLAT = 2**24  # values of a flattened edge: its interval is held value by value


@dataclasses.dataclass(frozen=True, eq=False)
class Flatten(Pointwise):
    """(C, H, W) -> (C*H*W,), row-major. O9."""

    word: ClassVar[str] = "flatten"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record((), lambda name, inputs, stated, arrays: Flatten(name, inputs))

    def since(self, *sources: Shape) -> int:
        """Format 1."""
        return 1

    def output_shape(self, *sources: Shape) -> Shape:
        """One vector."""
        return (math.prod(sources[0]),)

    def check(self, *sources: Edge) -> None:
        """C1."""
        self.require(sources[0].size <= MAX_FLAT, "input size", sources[0].size, f"at most {MAX_FLAT} values")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """Each channel's, once for each of its positions."""
        (x,) = sources
        per_channel = x.size // x.shape[0]
        return np.repeat(x.low, per_channel), np.repeat(x.high, per_channel)

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The same values."""
        return xs[0].reshape(*xs[0].shape[:2], -1)

    def work(self, *sources: Shape) -> Work:
        """No arithmetic."""
        return Work()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Two channels."""
        x = [[[[1, 2], [3, 4]], [[5, 6], [7, 8]]]]
        return (example(cls("n", ("x",)), [x], [[1, 2, 3, 4, 5, 6, 7, 8]]),)
