"""O4 affine: a gain rounded half up, an offset, an optional clip; by channel, by time step, or both."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import ArtifactError
from spikelet.base.strict_json import integers, shown
from spikelet.graph.edge import INT32, Edge, Int64, Shape, padded
from spikelet.graph.ops.operation import Example, Interval, Pointwise, Work, example
from spikelet.graph.ops.record import Attribute, Record, Stated, Stream, numbers, plain, width_of

Int32 = NDArray[np.int32]
MAX_SHIFT = 62
PART = 2**20  # values whose bounds are held at once


def affine(value: Int64, multiplier: Int64, shift: Int64, offset: Int64) -> Int64:
    """((m x + half) >> s) + d in int64: the one formula of O4, elementwise over broadcastable arrays."""
    half = (np.int64(1) << shift) >> 1
    return ((multiplier * value + half) >> shift) + offset


def _widths(value: Any, what: str, version: int) -> tuple[int, ...]:
    widths = integers(value, what, (2, 2))
    if not set(widths) <= {16, 32}:
        raise ArtifactError(f"{what}: must be two of 16 and 32, got {shown(value)}.")
    return widths


def _dims(value: Any, what: str, version: int) -> tuple[int, ...]:
    length = 1 if version < 3 else 2
    return integers(value, what, (length, length), low=1)


def _clip(value: Any, what: str, version: int) -> tuple[int, ...] | None:
    return None if value is None else integers(value, what, (2, 2), low=-(2**31))


def _streams(stated: Stated) -> list[Stream]:
    (m, d), shape = stated["bits"], (1, *stated["shape"])[-2:]
    count = shape[0] * shape[1]
    return [
        numbers("multiplier", m, shape, lambda node: node.multiplier),
        Stream("shift", count, shape, np.uint8, lambda n: n.shift.reshape(-1), lambda e: e.reshape(shape)),
        numbers("offset", d, shape, lambda node: node.offset),
    ]


@dataclasses.dataclass(frozen=True, eq=False)
class Affine(Pointwise):
    """y[t, c] = clip(((m[t, c] * x[t, c] + half) >> shift[t, c]) + offset[t, c]), half = (1 << shift) >> 1. O4.

    multiplier m int32, shift uint8 (0..62), offset int32: [1 or T, 1 or C]; an axis of 1 is repeated. An array of one
    axis is taken as [1, C]. clip: (low, high), or None. The product has 64 bits, the result 32.
    """

    multiplier: Int32
    shift: NDArray[np.uint8]
    offset: Int32
    clip: tuple[int, int] | None = None

    word: ClassVar[str] = "affine"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = Record(
        (
            Attribute("bits", lambda node, version: (width_of(node.multiplier), width_of(node.offset)), _widths),
            Attribute("clip", lambda node, version: plain(node.clip), _clip, since=3),
            Attribute("shape", lambda node, version: plain(node.shift.shape[-1 if version < 3 else -2 :]), _dims),
        ),
        lambda name, inputs, a, arrays: Affine(name, inputs, *arrays, clip=a.get("clip")),  # type: ignore[misc]
        _streams,
    )

    def __post_init__(self) -> None:
        for name in ("multiplier", "shift", "offset"):
            values = np.asarray(getattr(self, name))
            object.__setattr__(self, name, values[None] if values.ndim == 1 else values)
        super().__post_init__()

    def since(self, *sources: Shape) -> int:
        """Format 3 for a clip, constants by time step, or one constant for all channels."""
        by_channel = self.shift.shape == (1, sources[0][0])
        return 1 if by_channel and self.clip is None else 3

    def output_shape(self, *sources: Shape) -> Shape:
        """As the input."""
        return sources[0]

    def timed(self, *sources: Edge) -> bool:
        """As the input."""
        return sources[0].timed

    def check(self, *sources: Edge) -> None:
        """C1, C2, C4."""
        (x,) = sources
        for name, dtype in (("multiplier", np.int32), ("shift", np.uint8), ("offset", np.int32)):
            values = getattr(self, name)
            fits = values.shape == self.shift.shape and values.ndim == 2 and values.dtype == dtype and values.size > 0
            self.require(fits and values.shape[1] in (1, x.shape[0]), name, f"{values.dtype} {values.shape}",
                         f"{np.dtype(dtype)} of shape [1 or T, 1 or {x.shape[0]}], the same for all three")  # fmt: skip
        self.require(int(self.shift.max()) <= MAX_SHIFT, "shift", int(self.shift.max()), f"0 to {MAX_SHIFT}")
        if self.clip is not None:
            low, high = self.clip
            fits = INT32[0] <= low <= high <= INT32[1]
            self.require(fits, "clip", self.clip, "(low, high) with low <= high, both of 32 bits")
        self.require(len(self.shift) == 1 or x.timed, "shift", self.shift.shape, "[1, ...] after a sumtime")

    def interval(self, *sources: Edge, T: int) -> Interval:
        """The formula is monotone in x: its values at both ends, over all time steps."""
        (x,) = sources
        self.require(len(self.shift) in (1, T), "multiplier", self.multiplier.shape, f"of 1 or {T} time steps")
        low, high = self.unclipped(x.low, x.high)
        return (low, high) if self.clip is None else (np.clip(low, *self.clip), np.clip(high, *self.clip))

    def unclipped(self, low: Int64, high: Int64) -> Interval:
        """The smallest and largest value before a clip of every channel, for x in [low, high]."""
        rows = max(1, PART // len(low))
        parts = [self._over(low, high, slice(t, t + rows)) for t in range(0, len(self.shift), rows)]
        return np.min([part[0] for part in parts], 0), np.max([part[1] for part in parts], 0)

    def run(self, *xs: Int64, steps: range) -> Int64:
        """The formula; constants by time step give the result a time axis."""
        (x,) = xs
        several = len(self.shift) > 1
        rows = slice(steps.start, steps.stop) if several else slice(None)
        inner = (1,) * (x.ndim - 3)
        m, s, d = (a[rows].astype(np.int64).reshape(-1, 1, a.shape[1], *inner) for a in self._constants)
        y = affine(x, m, s, d)
        return y if self.clip is None else np.clip(y, *self.clip)

    def endless(self, *sources: Edge, T: int) -> bool:
        """False where constants go by time step."""
        return len(self.shift) == 1

    def proof(self, *sources: Edge, T: int) -> int:
        """Both ends of every channel at every time step that has constants of its own."""
        return 2 * len(self.shift) * sources[0].shape[0]

    def laid_out(self, *sources: Shape) -> int:
        """Three numbers for every channel and time step that has its own, and at most eight more a channel."""
        rows = len(self.shift) if self.shift.ndim == 2 else 1
        return 4 * padded(sources[0][0], 8) * (3 * rows + 8)

    def work(self, *sources: Shape) -> Work:
        """A multiply-accumulate for every value."""
        return Work(macs=int(np.prod(sources[0], dtype=object)))

    @property
    def _constants(self) -> tuple[Int32, NDArray[np.uint8], Int32]:
        return self.multiplier, self.shift, self.offset

    def _over(self, low: Int64, high: Int64, rows: slice) -> Interval:
        m, s, d = (a[rows].astype(np.int64) for a in self._constants)
        ends = np.stack([affine(end, m, s, d) for end in (low, high)])
        return ends.min((0, 1)), ends.max((0, 1))

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Halves up, 64-bit products, constants by time step, a clip."""

        def node(m: Any, s: Any, d: Any, clip: tuple[int, int] | None = None) -> Affine:
            return cls("n", ("x",), np.array(m, np.int32), np.array(s, np.uint8), np.array(d, np.int32), clip)

        return (
            example(node([1] * 4, [1] * 4, [0] * 4), [[[-3, -1, 1, 3]]], [[-1, 0, 1, 2]]),
            example(node([2**30] * 2, [62] * 2, [0] * 2), [[[2**31 - 1, -(2**31)]]], [[0, 0]]),
            example(node([[1], [2]], [[0], [0]], [[0], [100]]), [[[5, 6]]], [[5, 6], [110, 112]], time_steps=2),
            example(node([[3]], [[1]], [[0]], (-2, 7)), [[[5, -3, 1]]], [[7, -2, 2]]),
        )
