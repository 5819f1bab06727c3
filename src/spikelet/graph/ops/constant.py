"""O14 constant: an edge that reads nothing."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikelet.graph.edge import Edge, Int64, Shape, as_map, padded
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Attribute, Record, Stated, Stream, dims, numbers, plain, width, width_of


def _streams(stated: Stated) -> list[Stream]:
    return [numbers("value", stated["bits"], stated["shape"], lambda node: node.values)]


@dataclasses.dataclass(frozen=True, eq=False)
class Constant(Pointwise):
    """The same `values`, int32 (C, H, W) or (F,), for every sample and step. O14."""

    values: NDArray[np.int32]

    word: ClassVar[str] = "constant"
    arity: ClassVar[tuple[int, int]] = (0, 0)
    first_format: ClassVar[int] = 3
    record: ClassVar[Record] = Record(
        (
            Attribute("bits", lambda node, version: width_of(node.values), width),
            Attribute("shape", lambda node, version: plain(node.values.shape), dims(1, 3)),
        ),
        lambda name, inputs, stated, arrays: Constant(name, inputs, arrays[0]),
        _streams,
    )

    def since(self, *sources: Shape) -> int:
        """Format 3."""
        return 3

    def output_shape(self, *sources: Shape) -> Shape:
        """As `values`."""
        return self.values.shape

    def check(self, *sources: Edge) -> None:
        """C1."""
        fits = self.values.dtype == np.int32 and self.values.ndim in (1, 3) and self.values.size > 0
        self.require(fits, "values", f"{self.values.dtype} {self.values.shape}", "int32 (C, H, W) or (F,), not empty")

    def timed(self, *sources: Edge) -> bool:
        """True: it is the same at every step."""
        return True

    def interval(self, *sources: Edge, T: int) -> Interval:
        """The smallest and largest value of each channel."""
        by_channel = self.values.reshape(len(self.values), -1).astype(np.int64)
        return by_channel.min(1), by_channel.max(1)

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The values, for a batch of one."""
        return self.values.astype(np.int64)[None, None]

    def laid_out(self, *sources: Shape) -> int:
        """A map of padded channels."""
        c, h, w = as_map(self.values.shape)
        return 4 * padded(c, 8) * h * w

    def work(self, *sources: Shape) -> Work:
        """No arithmetic."""
        return Work()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A vector."""
        return (example(cls("n", (), np.array([1, -(2**31)], np.int32)), [], [[1, -(2**31)]]),)
