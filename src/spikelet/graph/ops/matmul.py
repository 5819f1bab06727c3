"""O12 matmul: the product of two edges as matrices, head by head."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from spikelet.base.errors import OverflowRefused
from spikelet.base.strict_json import integer, integers
from spikelet.graph.edge import Edge, Int64, Shape, as_map
from spikelet.graph.ops.mul import corners
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Attribute, Record, between, dims, field, plain, whole

PART = 2**20  # products of ends that are held at once
MAX_BOUND = 2.0**60  # of any sum of products that bounds are computed from in int64


def _flags(value: Any, what: str, version: int) -> tuple[int, ...]:
    return tuple(integer(v, what, 0, 1) for v in integers(value, what, (2, 2)))


@dataclasses.dataclass(frozen=True, eq=False)
class Matmul(Pointwise):
    """y_g = A_g B_g for every head g. O12.

    A head's matrix of an edge (C, H, W) is [C / heads, N], N = H * W positions; it is transposed where `transpose`
    says so. The product [R, S] becomes channels g*R .. (g+1)*R - 1 of (heads * R, H', W'), H' * W' = S, in order.
    by_row: row i of both maps is a pair of matrices [C / heads, W] of its own; the output is (heads * R, H, S).

        scores q k^T: (q, k), (True, False)    mix A v: (v, A), (False, True)    k^T v: (k, v), (False, True)
    """

    heads: int
    transpose: tuple[bool, bool]
    space: tuple[int, int]
    by_row: bool = False

    word: ClassVar[str] = "matmul"
    arity: ClassVar[tuple[int, int]] = (2, 2)
    first_format: ClassVar[int] = 3
    record: ClassVar[Record] = Record(
        (
            Attribute("by_row", lambda node, version: int(node.by_row), between(0, 1)),
            field("heads", whole),
            field("space", dims(2, 2)),
            Attribute("transpose", lambda node, version: plain(node.transpose), _flags),
        ),
        lambda name, inputs, a, arrays: Matmul(
            name, inputs, a["heads"], (bool(a["transpose"][0]), bool(a["transpose"][1])), a["space"], bool(a["by_row"])
        ),
    )

    def since(self, *sources: Shape) -> int:
        """Format 3."""
        return 3

    def _matrix(self, shape: Shape, transposed: bool) -> tuple[int, int]:
        """Rows and columns of a head's matrix."""
        c, h, w = as_map(shape)
        rows, columns = c // max(self.heads, 1), w if self.by_row else h * w
        return (columns, rows) if transposed else (rows, columns)

    def sizes(self, *sources: Shape) -> tuple[int, int, int]:
        """(R, K, S): a head's matrices are [R, K] and [K, S]."""
        (r, k), (_, s) = (self._matrix(x, t) for x, t in zip(sources, self.transpose, strict=True))
        return r, k, s

    def output_shape(self, *sources: Shape) -> Shape:
        """(heads * R, H', W')."""
        return (self.heads * self.sizes(*sources)[0], *self.space)

    def check(self, *sources: Edge) -> None:
        """C1 to C4."""
        a, b = (as_map(x.shape) for x in sources)
        self.require(self.heads >= 1 and a[0] % self.heads == 0 and b[0] % self.heads == 0, "heads", self.heads,
                     f"a divisor of {a[0]} and {b[0]} channels")  # fmt: skip
        (_, k), (k_b, s) = (self._matrix(x.shape, t) for x, t in zip(sources, self.transpose, strict=True))
        self.require(k == k_b, "inner sizes", (k, k_b), "the same")
        self.require(len(self.space) == 2 and min(self.space) >= 1, "space", self.space, "(H', W')")
        if self.by_row:
            self.require(a[1] == b[1], "rows", (a[1], b[1]), "the same by row")
            self.require(tuple(self.space) == (a[1], s), "space", self.space, f"({a[1]}, {s}) by row")
        else:
            self.require(math.prod(self.space) == s, "space", self.space, f"of {s} positions")
        self.require(all(x.timed for x in sources), "inputs", self.inputs, "before any sumtime")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """Sums over the inner index of the products of ends, each widened to hold 0."""
        (a, b), (ta, tb) = sources, self.transpose
        r, k, _ = self.sizes(a.shape, b.shape)
        if float(a.reach) * float(b.reach) * k >= MAX_BOUND:
            raise OverflowRefused(f"{self.name}: a sum of {k} products may reach 2^60, beyond 32 bits.")
        a_low, a_high = (self._by_head(v)[:, None, :] if ta else self._by_head(v)[:, :, None] for v in (a.low, a.high))
        b_low, b_high = self._by_head(b.low), self._by_head(b.high)
        if tb:  # columns are channels of b, and an output channel holds them all
            b_low, b_high = b_low.min(1, keepdims=True), b_high.max(1, keepdims=True)
        low, high = np.empty((2, self.heads, r), np.int64)
        rows = max(1, PART // (self.heads * k))
        for i in range(0, a_low.shape[1], rows):  # all rows at once where they are one
            part = slice(i, i + rows) if a_low.shape[1] > 1 else slice(None)
            ends = corners(a_low[:, part], a_high[:, part], b_low[:, None, :], b_high[:, None, :])
            low[:, part] = self._summed(np.minimum(ends[0], 0), k)
            high[:, part] = self._summed(np.maximum(ends[1], 0), k)
        return low.reshape(-1), high.reshape(-1)

    def proof(self, *sources: Edge, T: int) -> int:
        """A product for every row and inner index of every head that differ in their bounds."""
        (r, k, _), (ta, tb) = self.sizes(*(x.shape for x in sources)), self.transpose
        return self.heads * (1 if ta else r) * (k if ta or not tb else 1)

    def _by_head(self, values: Int64) -> Int64:
        return values.reshape(self.heads, -1)

    @staticmethod
    def _summed(bounds: Int64, k: int) -> Int64:
        """Bounds [heads, rows, 1 or K] of products, summed over K."""
        return bounds.sum(2) if bounds.shape[2] == k else bounds[:, :, 0] * k

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The products; in float64, where sums of integers below 2^53 are exact."""
        a, b = (self._matrices(x, t) for x, t in zip(xs, self.transpose, strict=True))
        y = (a @ b).round().astype(np.int64)  # [T, B, rows of the map or 1, heads, R, S]
        return y.transpose(0, 1, 3, 4, 2, 5).reshape(*y.shape[:2], self.heads * y.shape[4], *self.space)

    def _matrices(self, x: Int64, transposed: bool) -> Any:
        """[T, B, C, H, W] or [T, B, F] -> float64 [T, B, rows of the map or 1, heads, R, K]."""
        c, h, w = as_map(x.shape[2:])
        rows, columns = (h, w) if self.by_row else (1, h * w)
        split = x.reshape(*x.shape[:2], self.heads, c // self.heads, rows, columns).transpose(0, 1, 4, 2, 3, 5)
        return (split.swapaxes(-1, -2) if transposed else split).astype(np.float64)

    def work(self, *sources: Shape) -> Work:
        """A multiply-accumulate for every row, inner index and column of every matrix."""
        r, k, s = self.sizes(*sources)
        return Work(macs=self.heads * r * k * s * (as_map(sources[0])[1] if self.by_row else 1))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Scores of two tokens, two heads, a mix, and rows apart."""
        q, k = [[[[1, 2]], [[3, 4]]]], [[[[5, 6]], [[7, 8]]]]  # 2 channels, 2 tokens
        two = ("a", "b")
        rows = [[[[1, 2], [3, 4]]]]  # 1 channel, 2 rows
        return (
            example(cls("n", two, 1, (True, False), (1, 2)), [q, k], [[[[26, 30]], [[38, 44]]]]),
            example(cls("n", two, 2, (True, False), (1, 2)), [q, k], [[[[5, 6]], [[10, 12]], [[21, 24]], [[28, 32]]]]),
            example(cls("n", two, 1, (False, True), (1, 2)), [q, k], [[[[17, 23]], [[39, 53]]]]),
            example(cls("n", two, 1, (False, True), (2, 1), True), [rows, rows], [[[[5], [25]]]]),
        )
