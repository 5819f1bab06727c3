"""O7 maxpool: the maximum over windows."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Record, as_pair, square
from spikelet.graph.ops.windows import Pair, pad, space_of, windows

BELOW_ALL = -(2**40)


@dataclasses.dataclass(frozen=True, eq=False)
class MaxPool(Pointwise):
    """Maximum over windows; positions in the padding don't take part. On spikes: OR. O7.

    kernel, stride, padding: a number, or a pair for rows and columns.
    """

    kernel: Pair
    stride: Pair
    padding: Pair

    word: ClassVar[str] = "maxpool"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record(
        (square("kernel"), square("padding"), square("stride")),
        lambda name, inputs, a, arrays: MaxPool(name, inputs, a["kernel"], a["stride"], a["padding"]),
    )

    def __post_init__(self) -> None:
        for name in ("kernel", "stride", "padding"):
            object.__setattr__(self, name, as_pair(getattr(self, name)))
        super().__post_init__()

    def since(self, *sources: Shape) -> int:
        """Format 3 where a pair is not square."""
        return 1 if all(p[0] == p[1] for p in (self.kernel, self.stride, self.padding)) else 3

    def output_shape(self, *sources: Shape) -> Shape:
        """(C, H', W')."""
        (c, *space) = sources[0]
        return (c, *space_of(tuple(space), self.kernel, self.stride, self.padding))

    def check(self, *sources: Edge) -> None:
        """C1 to C3."""
        (x,) = sources
        self.require_map(x)
        self.require(all(1 <= k <= 64 for k in self.kernel), "kernel", self.kernel, "1 to 64")
        self.require(all(1 <= s <= 64 for s in self.stride), "stride", self.stride, "1 to 64")
        inside = all(0 <= p <= k // 2 for p, k in zip(self.padding, self.kernel, strict=True))
        self.require(inside, "padding", self.padding, "0 to half the kernel")
        fits = all(d + 2 * p >= k for d, p, k in zip(x.shape[1:], self.padding, self.kernel, strict=True))
        self.require(fits, "kernel", self.kernel, f"no larger than the padded input {x.shape[1:]}")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """The input's."""
        return sources[0].low, sources[0].high

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The maximum; the padding holds a value below any other."""
        return windows(pad(xs[0], self.padding, BELOW_ALL), self.kernel, self.stride).max((-2, -1))

    def passing(self, *sources: Shape) -> int:
        """All that lies under the windows, at most: a padded map is no larger."""
        return math.prod(self.kernel) * math.prod(self.output_shape(*sources)) + super().passing(*sources)

    def work(self, *sources: Shape) -> Work:
        """A comparison for every position of every window."""
        return Work(comparisons=math.prod(self.output_shape(*sources)) * math.prod(self.kernel))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """The padding is no zero; a window of one row."""
        square = [[[[-5, -7], [-9, -6]]]]
        return (
            example(cls("n", ("x",), 3, 2, 1), [square], [[[[-5]]]]),  # type: ignore[arg-type]
            example(cls("n", ("x",), (1, 2), (1, 1), (0, 0)), [square], [[[[-5], [-6]]]]),
        )
