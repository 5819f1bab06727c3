"""O8 sumpool: the sum over windows that touch."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Record, as_pair, square
from spikelet.graph.ops.windows import Pair, space_of, windows


@dataclasses.dataclass(frozen=True, eq=False)
class SumPool(Pointwise):
    """Sum over windows at stride = kernel, no padding. O8.

    kernel: a number, or a pair for rows and columns.
    """

    kernel: Pair

    word: ClassVar[str] = "sumpool"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record(
        (square("kernel"),), lambda name, inputs, stated, arrays: SumPool(name, inputs, stated["kernel"])
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "kernel", as_pair(self.kernel))
        super().__post_init__()

    def since(self, *sources: Shape) -> int:
        """Format 3 where the kernel is not square."""
        return 1 if self.kernel[0] == self.kernel[1] else 3

    def output_shape(self, *sources: Shape) -> Shape:
        """(C, H div kh, W div kw)."""
        (c, *space) = sources[0]
        return (c, *space_of(tuple(space), self.kernel, self.kernel, (0, 0)))

    def check(self, *sources: Edge) -> None:
        """C1."""
        (x,) = sources
        self.require_map(x)
        fits = all(1 <= k <= d for k, d in zip(self.kernel, x.shape[1:], strict=True))
        self.require(fits, "kernel", self.kernel, f"1 to the input's {x.shape[1:]}")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """The input's, as often as a window has positions."""
        area = math.prod(self.kernel)
        self.require_int32("output", int(sources[0].low.min()) * area, int(sources[0].high.max()) * area)
        return sources[0].low * area, sources[0].high * area

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The sum."""
        return windows(xs[0], self.kernel, self.kernel).sum((-2, -1))

    def stands_for(self) -> int:
        """A window: spikes are read one by one where synapses come next."""
        return math.prod(self.kernel)

    def work(self, *sources: Shape) -> Work:
        """An addition for every position of every window."""
        return Work(additions=math.prod(self.output_shape(*sources)) * math.prod(self.kernel))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Rows and columns that fill no window are left out; a whole row."""
        x = [[[[1, -2, 30], [3, 4, 30], [50, 50, 50]]]]
        return (
            example(cls("n", ("x",), 2), [x], [[[[6]]]]),  # type: ignore[arg-type]
            example(cls("n", ("x",), (1, 3)), [x], [[[[29], [37], [150]]]]),
        )
