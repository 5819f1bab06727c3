"""What stands for the result of a call that is refused, so that the calls behind it can be looked at too.

The integers are taken to lie where the example's lay: 0 and 1 where they were spikes, else multiples of 2^-12 between
the smallest and the largest. They prove nothing; a graph with one is never handed out.
"""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import GraphError
from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work
from spikelet.graph.ops.record import Record
from spikelet.lowering.builder import Builder
from spikelet.lowering.trace import Call
from spikelet.lowering.values import GRID, Time, Value


@dataclasses.dataclass(frozen=True, eq=False)
class StandIn(Pointwise):
    """Values of `shape` in low..high, of which nothing else is known."""

    shape: tuple[int, ...]
    low: int
    high: int

    word: ClassVar[str] = "stand_in"
    arity: ClassVar[tuple[int, int]] = (0, 0)
    first_format: ClassVar[int] = 3
    record: ClassVar[Record] = Record((), lambda name, inputs, stated, arrays: StandIn(name, inputs, (1,), 0, 0))

    def since(self, *sources: Shape) -> int:
        """Never written."""
        return self.first_format

    def output_shape(self, *sources: Shape) -> Shape:
        """`shape`."""
        return self.shape

    def check(self, *sources: Edge) -> None:
        """Nothing to look at."""

    def timed(self, *sources: Edge) -> bool:
        """True."""
        return True

    def interval(self, *sources: Edge, T: int) -> Interval:
        """low..high."""
        return np.full(self.shape[0], self.low, np.int64), np.full(self.shape[0], self.high, np.int64)

    def run(self, *xs: Int64, steps: range) -> Int64:
        """It can't run."""
        raise GraphError(f"{self.name}: stands for something that has no integer form.")

    def work(self, *sources: Shape) -> Work:
        """None that is known."""
        return Work()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """None."""
        return ()


def stand_in(b: Builder, call: Call) -> Value | None:
    """A value of the shape of the call's output, on an edge of its own; None where no edge has such a shape."""
    shape = tuple(call.output.shape)
    layout = _layout(b, shape)
    if layout is None:
        return None
    time, lead, order = layout
    inner = shape[lead:]
    edge = (inner[0], 1, inner[1]) if len(inner) == 2 else inner
    if len(edge) not in (1, 3) or not all(edge):
        return None
    scale, low, high = _integers(call.output)
    node = StandIn(b.extra_name(call.named("refused")), (), tuple(edge), low, high)
    source = b.append(node, tuple(edge), np.array(scale), time)
    if order is None:
        return Value(shape, source)
    return Value(shape, None, source.addresses().reshape(*order, *inner).transpose(0, 1).contiguous())


def _layout(b: Builder, shape: tuple[int, ...]) -> tuple[Time, int, tuple[int, int] | None] | None:
    """Whether a tensor has time, how many of its axes stand before a sample, and (T, B) where batch comes first.

    The example's batch is neither 1 nor T.
    """
    T, batch = b.time_steps, b.batch
    if shape[:2] == (T, batch):
        return "steps", 2, None
    if shape[:2] == (batch, T) and len(shape) > 2:
        return "steps", 2, (T, batch)
    if shape[:2] == (1, batch):
        return "still", 2, None
    if shape[:1] == (T * batch,):
        return "steps", 1, None
    return ("summed", 1, None) if shape[:1] == (batch,) else None


def _integers(x: Tensor) -> tuple[float, int, int]:
    """A scale for what was seen, and the smallest and the largest integer."""
    real = x.detach().double().nan_to_num(0.0, 0.0, 0.0)
    low, high = (float(end) for end in torch.aminmax(real)) if x.numel() else (0.0, 0.0)
    if bool(((real == 0) | (real == 1)).all()):
        return 1.0, 0, 1
    first, last = (min(max(n, -(2**23)), 2**23 - 1) for n in (math.floor(low / GRID), math.ceil(high / GRID)))
    return GRID, first, last
