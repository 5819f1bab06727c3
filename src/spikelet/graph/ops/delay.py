"""O16 delay: the step before; the one operation that may read a later node."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Operation, State, Work, example
from spikelet.graph.ops.record import Record, dims, field


@dataclasses.dataclass(frozen=True, eq=False)
class Delay(Operation):
    """y[0] = 0, y[t] = x[t-1]. O16.

    shape: that of x, stated because x may be a later node, which must be a lif.
    """

    shape: tuple[int, ...]

    word: ClassVar[str] = "delay"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 3
    record: ClassVar[Record] = Record(
        (field("shape", dims(1, 3)),), lambda name, inputs, stated, arrays: Delay(name, inputs, stated["shape"])
    )
    reads_later: ClassVar[bool] = True

    def since(self, *sources: Shape) -> int:
        """Format 3."""
        return 3

    def output_shape(self, *sources: Shape) -> Shape:
        """`shape`."""
        return self.shape

    def check(self, *sources: Edge) -> None:
        """C1, C2."""
        (x,) = sources
        self.require(x.timed, "input", self.inputs[0], "before any sumtime")
        fits = len(self.shape) in (1, 3) and tuple(self.shape) == tuple(x.shape)
        self.require(fits, "shape", self.shape, f"that of its input, {x.shape}")

    def timed(self, *sources: Edge) -> bool:
        """True."""
        return True

    def interval(self, *sources: Edge, T: int) -> Interval:
        """The input's, and 0."""
        return sources[0].with_zero()

    def advance(self, *xs: Int64, steps: range, state: State) -> tuple[Int64, State]:
        """The values one step later; the state is the last of them [1, B, ...]."""
        (x,) = xs
        every = np.broadcast_to(x, (len(steps), *x.shape[1:]))
        before = np.zeros_like(every[:1]) if state is None else state
        return np.concatenate([before, every[:-1]]), every[-1:]

    def endless(self, *sources: Edge, T: int) -> bool:
        """True."""
        return True

    def work(self, *sources: Shape) -> Work:
        """No arithmetic."""
        return Work()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Three frames; a still edge."""
        return (
            example(cls("n", ("x",), (1,)), [[[1], [3], [5]]], [[0], [1], [3]], time_steps=3),
            example(cls("n", ("x",), (1,)), [[[7]]], [[0], [7], [7]], time_steps=3),
        )
