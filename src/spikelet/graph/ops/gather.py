"""O15 gather: positions by number, of one input or of several."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikelet.graph.edge import Edge, Int64, Shape, as_map
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Attribute, Record, Stated, Stream, dims, numbers, plain, width, width_of


def _streams(stated: Stated) -> list[Stream]:
    return [numbers("value", stated["bits"], stated["shape"], lambda node: node.index)]


@dataclasses.dataclass(frozen=True, eq=False)
class Gather(Pointwise):
    """y[c, p'] = x[c, index[p']], or 0 where index[p'] is -1. O15.

    index: int32 [H', W']; positions i * W + j are numbered through all inputs, which have the same channels.
    """

    index: NDArray[np.int32]

    word: ClassVar[str] = "gather"
    arity: ClassVar[tuple[int, int]] = (1, 64)
    first_format: ClassVar[int] = 3
    record: ClassVar[Record] = Record(
        (
            Attribute("bits", lambda node, version: width_of(node.index), width),
            Attribute("shape", lambda node, version: plain(node.index.shape), dims(2, 2)),
        ),
        lambda name, inputs, stated, arrays: Gather(name, inputs, arrays[0]),
        _streams,
    )

    def since(self, *sources: Shape) -> int:
        """Format 3."""
        return 3

    def output_shape(self, *sources: Shape) -> Shape:
        """(C, H', W')."""
        return (as_map(sources[0])[0], *self.index.shape)

    def check(self, *sources: Edge) -> None:
        """C1 to C3."""
        index, maps = self.index, [as_map(x.shape) for x in sources]
        fits = index.dtype == np.int32 and index.ndim == 2 and index.size > 0
        self.require(fits, "index", f"{index.dtype} {index.shape}", "int32 [H', W'], not empty")
        channels = [c for c, _, _ in maps]
        self.require(len(set(channels)) == 1, "input channels", channels, "the same")
        size = sum(h * w for _, h, w in maps)
        self.require(index.min() >= -1 and index.max() < size, "index", f"{index.min()}..{index.max()}",
                     f"-1..{size - 1}: positions of the input, or -1 for zeros")  # fmt: skip
        self.require(len({x.timed for x in sources}) == 1, "inputs", self.inputs, "all before or all after a sumtime")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """The hull of the inputs' intervals, and of 0 where a position is zero."""
        lows, highs = [x.low for x in sources], [x.high for x in sources]
        if (self.index < 0).any():
            lows, highs = [*lows, np.zeros_like(lows[0])], [*highs, np.zeros_like(highs[0])]
        return np.min(lows, axis=0), np.max(highs, axis=0)

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The positions; -1 is one of zeros behind the last."""
        length, batch = (max(x.shape[axis] for x in xs) for axis in (0, 1))
        channels = as_map(xs[0].shape[2:])[0]
        flat = [x.reshape(*x.shape[:2], channels, -1) for x in xs]
        flat.append(np.zeros((1, 1, channels, 1), np.int64))
        every = [np.broadcast_to(x, (length, batch, *x.shape[2:])) for x in flat]
        return np.concatenate(every, axis=3)[..., self.index]

    def laid_out(self, *sources: Shape) -> int:
        """Every position once more for every input."""
        return len(self.inputs) * 4 * self.index.size

    def work(self, *sources: Shape) -> Work:
        """No arithmetic."""
        return Work()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A shift with a zero; two inputs, numbered through."""
        x = [[[[1, 2], [3, 4]]]]
        return (
            example(cls("n", ("x",), np.array([[1, -1], [3, 2]], np.int32)), [x], [[[[2, 0], [4, 3]]]]),
            example(cls("n", ("a", "b"), np.array([[4, 0]], np.int32)), [x, [[[[9]]]]], [[[[9, 1]]]]),
        )
