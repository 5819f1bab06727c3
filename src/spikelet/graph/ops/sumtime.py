"""O10 sumtime: the sum over time, at the end or so far."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Operation, State, Work, example
from spikelet.graph.ops.record import Attribute, Record, between


@dataclasses.dataclass(frozen=True, eq=False)
class SumTime(Operation):
    """Sum over the T time steps; no time axis after it. A still edge counts T times. O10.

    running: y[t] = x[0] + ... + x[t] instead, which keeps the time axis.
    """

    running: bool = False

    word: ClassVar[str] = "sumtime"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record(
        (Attribute("running", lambda node, version: int(node.running), between(0, 1), since=3),),
        lambda name, inputs, stated, arrays: SumTime(name, inputs, bool(stated.get("running", 0))),
    )

    def since(self, *sources: Shape) -> int:
        """Format 3 where it runs."""
        return 3 if self.running else 1

    def output_shape(self, *sources: Shape) -> Shape:
        """As the input."""
        return sources[0]

    def timed(self, *sources: Edge) -> bool:
        """Whether it runs."""
        return self.running

    def check(self, *sources: Edge) -> None:
        """C1."""
        self.require(sources[0].timed, "input", self.inputs[0], "before any other sumtime")
        self.require(type(self.running) is bool, "running", self.running, "True or False")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """T times the input's; of a running sum from one time on."""
        (x,) = sources
        low, high = x.low * T, x.high * T
        return (np.minimum(x.low, low), np.maximum(x.high, high)) if self.running else (low, high)

    def advance(self, *xs: Int64, steps: range, state: State) -> tuple[Int64, State]:
        """The sum so far [1, B, ...], or of every step; the state is the sum [1, B, ...]."""
        (x,) = xs
        before = np.zeros_like(x[:1]) if state is None else state
        if self.running:
            every = np.broadcast_to(x, (len(steps), *x.shape[1:]))
            sums = before + every.cumsum(0)
            return sums, sums[-1:]
        total = before + (x.sum(0, keepdims=True) if len(x) > 1 else x * len(steps))
        return total, total

    def endless(self, *sources: Edge, T: int) -> bool:
        """False: the sum grows."""
        return False

    def work(self, *sources: Shape) -> Work:
        """An addition for every value."""
        return Work(additions=math.prod(sources[0]))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A still edge, frames, a running sum of frames."""
        return (
            example(cls("n", ("x",)), [[[3]]], [[15]], time_steps=5),
            example(cls("n", ("x",)), [[[1], [3], [5]]], [[9]], time_steps=3),
            example(cls("n", ("x",), True), [[[1], [3], [5]]], [[1], [4], [9]], time_steps=3),
        )
