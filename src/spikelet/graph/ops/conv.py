"""O2 conv: sums of codes times values over zero-padded windows."""

from __future__ import annotations

import dataclasses
import math
from typing import ClassVar

import numpy as np

from spikelet.base.codes import Codes, stored, values_of
from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Attribute, Record, dims, field, pair, plain, whole
from spikelet.graph.ops.synapses import (
    BITS,
    GRID,
    Grid,
    check_codes,
    dot_interval,
    grid_of,
    rows_bytes,
    shared_bytes,
    since_grid,
    weight_stream,
)
from spikelet.graph.ops.windows import pad, space_of, span, windows


def _make(name, inputs, a, arrays):  # type: ignore[no-untyped-def]
    return Conv(
        name,
        inputs,
        arrays[0],
        a["bits"],
        a["stride"],
        a["padding"],
        a["groups"],
        grid_of(a),
        a.get("dilation", (1, 1)),
    )


@dataclasses.dataclass(frozen=True, eq=False)
class Conv(Pointwise):
    """n[o, i, j] = sum over c, u, v of code[o, c, u, v] * x[c', i sh + u dh - ph, j sw + v dw - pw]. O2.

    weight: w int8 [O, I / groups, kh, kw], see base/codes.py.
    bits, grid: which integers the codes are; 1 bit is "symmetric". Q5.
    """

    weight: Codes
    bits: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int
    grid: Grid = "symmetric"
    dilation: tuple[int, int] = (1, 1)

    word: ClassVar[str] = "conv"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record(
        (
            BITS,
            field("dilation", pair, since=3),
            GRID,
            field("groups", whole),
            field("padding", pair),
            Attribute("shape", lambda node, version: plain(node.weight.shape), dims(4, 4)),
            field("stride", pair),
        ),
        _make,
        weight_stream,
    )

    @property
    def kernel(self) -> tuple[int, int]:
        """(kh, kw)."""
        return self.weight.shape[2], self.weight.shape[3]

    @property
    def spans(self) -> tuple[int, int]:
        """Rows and columns from the kernel's first tap to its last."""
        return span(self.kernel[0], self.dilation[0]), span(self.kernel[1], self.dilation[1])

    def since(self, *sources: Shape) -> int:
        """Format 3 for a dilation or a full grid, 2 for odd codes."""
        return max(since_grid(self.bits, self.grid), 1 if tuple(self.dilation) == (1, 1) else 3)

    def output_shape(self, *sources: Shape) -> Shape:
        """(O, H', W')."""
        return (self.weight.shape[0], *space_of(sources[0][1:], self.spans, self.stride, self.padding))

    def check(self, *sources: Edge) -> None:
        """C1 to C3."""
        (x,) = sources
        check_codes(self, self.weight, self.bits, self.grid)
        self.require_map(x)
        self.require(self.weight.ndim == 4, "weight shape", self.weight.shape, "[O, I, kh, kw]")
        (o, i), g = self.weight.shape[:2], self.groups
        self.require(g >= 1 and o % g == 0 and i * g == x.shape[0], "groups", g,
                     f"a divisor that gives {x.shape[0]} input channels")  # fmt: skip
        self.require(all(1 <= s <= 64 for s in self.stride), "stride", self.stride, "1 to 64")
        self.require(all(1 <= d <= 64 for d in self.dilation), "dilation", self.dilation, "1 to 64")
        spans, padding = self.spans, self.padding
        self.require(0 <= padding[0] < spans[0] and 0 <= padding[1] < spans[1], "padding", padding,
                     "0 to less than the kernel")  # fmt: skip
        fits = all(d + 2 * p >= k for d, p, k in zip(x.shape[1:], padding, spans, strict=True))
        self.require(fits, "kernel", spans, f"no larger than the padded input {x.shape[1:]}")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """From each weight's sign; the padding holds 0."""
        low, high = sources[0].with_zero()
        (o, i, kh, kw), g = self.weight.shape, self.groups
        return dot_interval(self, (g, o // g, i, kh * kw), low.reshape(g, i), high.reshape(g, i))

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The sums; in float64, where sums of integers below 2^53 are exact and BLAS makes them bearable."""
        (x,), g = xs, self.groups
        o, i, kh, kw = self.weight.shape
        w = windows(pad(x, self.padding), (kh, kw), self.stride, self.dilation)
        w = w.reshape(*w.shape[:2], g, i, *w.shape[3:])
        codes = values_of(self.weight, self.bits, self.grid).reshape(g, o // g, i, kh, kw)
        n = np.einsum("tbgiyxuv,goiuv->tbgoyx", w.astype(np.float64), codes.astype(np.float64), optimize=True)
        return n.reshape(*n.shape[:2], o, *n.shape[4:]).astype(np.int64)

    def steps(self, *sources: Shape) -> int:
        """The work, and a step for every tap of every window, which few channels a group don't hide."""
        o, _, kh, kw = self.weight.shape
        return self.work(*sources).total + kh * kw * math.prod((o, *self.output_shape(*sources)[1:]))

    def passing(self, *sources: Shape) -> int:
        """All that lies under the windows, as it is, in numbers of 64 bits and rearranged."""
        values = sources[0][0] * math.prod(self.kernel) * math.prod(self.output_shape(*sources)[1:])
        return 3 * values + super().passing(*sources)

    def laid_out(self, *sources: Shape) -> int:
        """Rows of the outputs of a group, one for every synapse of any; or rows that pixels share."""
        o, i, kh, kw = self.weight.shape
        groups = max(self.groups, 1)
        shared = shared_bytes(o, i, (kh, kw)) if self.bits == 1 and groups == 1 else 0
        return max(rows_bytes(-(-o // groups), i * groups, kh * kw), shared)

    def work(self, *sources: Shape) -> Work:
        """A multiply-accumulate for every weight and position of the output."""
        return Work(macs=self.weight.size * math.prod(self.output_shape(*sources)[1:]))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Padding, groups, dilation and the full grid."""
        ones = stored(np.ones((1, 1, 3, 3)), 1)
        grouped = stored(np.array([1, 2, 3, -4]).reshape(2, 2, 1, 1), 4)
        apart = stored(np.array([1, -8]).reshape(1, 1, 1, 2), 4, "full")
        return (
            example(cls("n", ("x",), ones, 1, (1, 1), (1, 1), 1), [[[[[1, 2], [3, 4]]]]], [[[[10, 10], [10, 10]]]]),
            example(cls("n", ("x",), grouped, 4, (1, 1), (0, 0), 2), [[[[[1]], [[10]], [[100]], [[1000]]]]],
                    [[[[21]], [[-3700]]]]),
            example(cls("n", ("x",), apart, 4, (1, 1), (0, 0), 1, "full", (1, 2)), [[[[[1, 2, 4]]]]], [[[[-31]]]]),
        )  # fmt: skip
