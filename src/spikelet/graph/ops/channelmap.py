"""O11 channelmap: channels by number, of one input or of several."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Attribute, Record, Stated, Stream, dims, field, plain, whole
from spikelet.graph.ops.windows import space_of


def _streams(stated: Stated) -> list[Stream]:
    (count,) = stated["shape"]
    return [Stream("source", count, (count,), np.int16, lambda n: n.source.astype("<i2"), lambda e: e.astype(np.int16))]


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelMap(Pointwise):
    """y[c, i, j] = x[source[c], i * stride, j * stride], or 0 where source[c] is -1. O11.

    source: int16 [C'], each -1 or a channel; channels are numbered through all inputs.
    """

    source: NDArray[np.int16]
    stride: int

    word: ClassVar[str] = "channelmap"
    arity: ClassVar[tuple[int, int]] = (1, 64)
    first_format: ClassVar[int] = 2
    record: ClassVar[Record] = Record(
        (
            Attribute("shape", lambda node, version: plain(node.source.shape), dims(1, 1)),
            field("stride", whole),
        ),
        lambda name, inputs, stated, arrays: ChannelMap(name, inputs, arrays[0], stated["stride"]),
        _streams,
    )

    def since(self, *sources: Shape) -> int:
        """Format 3 for several inputs, 2 for one."""
        return 2 if len(self.inputs) == 1 else 3

    def output_shape(self, *sources: Shape) -> Shape:
        """(C', H', W')."""
        return (self.source.size, *space_of(sources[0][1:], (1, 1), (self.stride, self.stride), (0, 0)))

    def check(self, *sources: Edge) -> None:
        """C1 to C3."""
        source, channels = self.source, sum(x.shape[0] for x in sources)
        for x in sources:
            self.require_map(x)
        self.require(source.dtype == np.int16 and source.ndim == 1 and source.size > 0, "source",
                     f"{source.dtype} {source.shape}", "int16 of shape (C,), not empty")  # fmt: skip
        self.require(source.min() >= -1 and source.max() < channels, "source", f"{source.min()}..{source.max()}",
                     f"-1..{channels - 1}: channels of the input, or -1 for zeros")  # fmt: skip
        self.require(1 <= self.stride <= 64, "stride", self.stride, "1 to 64")
        spaces = [x.shape[1:] for x in sources]
        self.require(len(set(spaces)) == 1, "input maps", spaces, "of one size")
        self.require(len({x.timed for x in sources}) == 1, "inputs", self.inputs, "all before or all after a sumtime")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """Each channel's own; 0 of a zero."""
        low, high = (
            np.where(self.source >= 0, np.concatenate(ends)[self.source], 0)
            for ends in ([x.low for x in sources], [x.high for x in sources])
        )
        return low, high

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The channels; -1 is one of zeros behind the last."""
        length, batch = (max(x.shape[axis] for x in xs) for axis in (0, 1))
        every = [np.broadcast_to(x, (length, batch, *x.shape[2:])) for x in xs]
        with_zeros = np.concatenate([*every, np.zeros_like(every[0][:, :, :1])], axis=2)
        return with_zeros[:, :, self.source, :: self.stride, :: self.stride]

    def laid_out(self, *sources: Shape) -> int:
        """A run of neighbours for every channel and input."""
        return len(self.inputs) * 12 * (self.source.size + 1)

    def work(self, *sources: Shape) -> Work:
        """No arithmetic."""
        return Work()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """A stride and zeros; two inputs side by side."""
        x = [[1, 2, 3], [4, 5, 6], [7, 8, 9]]
        both = [[x, [[-v for v in row] for row in x]]]
        expected = [[[[-1, -3], [-7, -9]], [[0, 0], [0, 0]], [[1, 3], [7, 9]]]]
        return (
            example(cls("n", ("x",), np.array([1, -1, 0], np.int16), 2), [both], expected),
            example(cls("n", ("a", "b"), np.array([1, 0, 2], np.int16), 1), [[[[[1]]]], [[[[2]], [[3]]]]],
                    [[[[2]], [[1]], [[3]]]]),
        )  # fmt: skip
