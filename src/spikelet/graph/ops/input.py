"""O1 input: bytes from outside."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np

from spikelet.base.errors import GraphError
from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work
from spikelet.graph.ops.record import Record, dims, field


@dataclasses.dataclass(frozen=True, eq=False)
class Input(Pointwise):
    """Bytes from outside, 0..255, of `shape` (C, H, W) or (F,): pixels or event counts. O1."""

    shape: tuple[int, ...]

    word: ClassVar[str] = "input"
    arity: ClassVar[tuple[int, int]] = (0, 0)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record(
        (field("shape", dims(1, 3)),), lambda name, inputs, stated, arrays: Input(name, inputs, stated["shape"])
    )

    def since(self, *sources: Shape) -> int:
        """Format 1."""
        return 1

    def output_shape(self, *sources: Shape) -> Shape:
        """`shape`."""
        return self.shape

    def check(self, *sources: Edge) -> None:
        """C2; C1 is the graph's."""
        self.require(len(self.shape) in (1, 3) and all(1 <= d <= 65536 for d in self.shape), "shape", self.shape,
                     "(C, H, W) or (F,) of 1 to 65536 each")  # fmt: skip

    def timed(self, *sources: Edge) -> bool:
        """True."""
        return True

    def interval(self, *sources: Edge, T: int) -> Interval:
        """0..255."""
        return np.zeros(self.shape[0], np.int64), np.full(self.shape[0], 255, np.int64)

    def run(self, *xs: Int64, steps: range) -> Int64:
        """Nothing to compute: whoever runs a graph puts the bytes in."""
        raise GraphError(f"{self.name}: an input has no meaning but the bytes it is given.")

    def work(self, *sources: Shape) -> Work:
        """No arithmetic."""
        return Work()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """None: what comes in comes out."""
        return ()
