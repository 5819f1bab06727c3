"""O3 linear: a matrix of codes times a vector."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from spikelet.base.codes import Codes, stored, values_of
from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Attribute, Record, dims, plain
from spikelet.graph.ops.synapses import (
    BITS,
    GRID,
    Grid,
    check_codes,
    dot_interval,
    grid_of,
    rows_bytes,
    since_grid,
    weight_stream,
)


@dataclasses.dataclass(frozen=True, eq=False)
class Linear(Pointwise):
    """n[o] = sum over i of code[o, i] * x[i]; weight: w int8 [O, I], codes as in Conv. O3."""

    weight: Codes
    bits: int
    grid: Grid = "symmetric"

    word: ClassVar[str] = "linear"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record(
        (BITS, GRID, Attribute("shape", lambda node, version: plain(node.weight.shape), dims(2, 2))),
        lambda name, inputs, a, arrays: Linear(name, inputs, arrays[0], a["bits"], grid_of(a)),
        weight_stream,
    )

    def since(self, *sources: Shape) -> int:
        """Format 3 for a full grid, 2 for odd codes."""
        return since_grid(self.bits, self.grid)

    def output_shape(self, *sources: Shape) -> Shape:
        """(O,)."""
        return (self.weight.shape[0],)

    def check(self, *sources: Edge) -> None:
        """C1."""
        (x,) = sources
        check_codes(self, self.weight, self.bits, self.grid)
        self.require(len(x.shape) == 1, "input shape", x.shape, "(F,)")
        fits = self.weight.ndim == 2 and self.weight.shape[1] == x.shape[0]
        self.require(fits, "weight shape", self.weight.shape, f"[O, {x.shape[0]}]")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """From each weight's sign."""
        low, high = sources[0].with_zero()
        return dot_interval(self, (1, *self.weight.shape, 1), low[None], high[None])

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The sums."""
        return xs[0] @ values_of(self.weight, self.bits, self.grid).astype(np.int64).T

    def laid_out(self, *sources: Shape) -> int:
        """Rows of outputs, one for every input, which may be a position of its own."""
        o, i = self.weight.shape
        return rows_bytes(o, 1, i)

    def work(self, *sources: Shape) -> Work:
        """A multiply-accumulate for every weight."""
        return Work(macs=self.weight.size)

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Symmetric and odd codes."""
        symmetric = stored(np.array([[1, -2, 3], [-127, 127, 1]]), 8)
        odd = stored(np.array([[3, -1, -3], [1, 1, 3]]), 2, "odd")
        return (
            example(cls("n", ("x",), symmetric, 8), [[[10, 20, 30]]], [[60, 1300]]),
            example(cls("n", ("x",), odd, 2, "odd"), [[[10, 20, 30]]], [[-80, 120]]),
        )
