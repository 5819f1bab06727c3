"""Products of two traced tensors, as attention computes them: one `matmul` node, head by head.

    y[l, r, s] = sum over k of left[l, r, k] * right[l, k, s]

The leading axes l count time steps, samples, heads (channel blocks) and windows (rows of a map). Rows r, columns s and
the inner axis k are channels or positions of the edges behind: the addresses say which, so q k^T, (q k^T) v, k^T v and
q (k^T v) need no pattern. Where the result's rows are tokens and its columns features, the transposed product is
computed, so that features stay channels.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from typing import Literal

import numpy as np
import torch

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.arrange import arrange, leading_axes, numbers_at, unit_of
from spikelet.lowering.builder import Builder
from spikelet.lowering.registry import function
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Int64, Source, Value

Channels = Literal["outer", "inner"]  # which axis of a matrix is channels: its own, or the one that is summed


OVER_TIME = (
    "sums over time steps or samples of the batch. Steps are weighted by a product with one number each, and added up: "
    "(x * w.view(-1, 1, 1)).sum(0)."
)


@dataclasses.dataclass(frozen=True, eq=False)
class _Groups:
    """The matrices of one frame, and where they stand.

    left: addresses [G, R, K]; right: [G, S, K] (the inner axis last, for both).
    frame, group: of each index of the leading axes.
    """

    left: Int64
    right: Int64
    frame: Int64
    group: Int64


@dataclasses.dataclass(frozen=True, eq=False)
class _Cut:
    """Heads and rows: the head and the row of each group; how many of both there are."""

    head: Int64
    row: Int64
    heads: int
    rows: int

    def ordered(self, groups: Int64) -> Int64:
        """`groups` [G, ...] as [heads, rows, ...]."""
        made = np.zeros((self.heads, self.rows, *groups.shape[1:]), groups.dtype)
        made[self.head, self.row] = groups
        return made


@function("matmul", "__matmul__", "__rmatmul__", "bmm", "mm")
def matmul(b: Builder, call: Call, *values: Value) -> Value:
    """A product of matrices."""
    left, right = _both(b, call, values)
    if call.target == "__rmatmul__":
        left, right = right, left
    if min(len(left.shape), len(right.shape)) < 2:
        raise LoweringError(f"{call.place}: multiplies a vector; give both tensors at least two axes.")
    shape = tuple(call.output.shape)
    try:
        with b.attempt():
            return product(b, call, left.addresses, right.addresses.mT, shape)
    except LoweringError:
        maps = _along_maps(left, right, b)
        if maps is None:
            raise
    made = product(b, call, *maps, (*shape[:-2], shape[-2] * shape[-1]))
    return Value(shape, None, made.addresses.reshape(shape))


def _along_maps(left: Value, right: Value, b: Builder) -> tuple[torch.Tensor, torch.Tensor] | None:
    """The factors of a constant matrix m and maps x [..., C, H, W] as one of positions: m x, over rows, is that by
    kron(m, 1), and x m, over columns, that by kron(1, m^T). Addresses [..., C, H W] and [R S, H W]; None for others."""
    constant, maps = (left, right) if len(left.shape) == 2 else (right, left)
    if len(constant.shape) != 2 or len(maps.shape) < 4:
        return None
    numbers = torch.from_numpy(numbers_at(b, constant.addresses.numpy()))
    same = torch.eye(maps.shape[-1] if constant is left else maps.shape[-2], dtype=numbers.dtype)
    whole = torch.kron(numbers, same) if constant is left else torch.kron(same, numbers.mT.contiguous())
    return maps.addresses.flatten(-2), b.constant(whole)


@function("einsum")
def einsum(b: Builder, call: Call, *values: Value) -> Value:
    """A product of two tensors, written out: "tbhid,tbhjd->tbhij"."""
    equation = call.args[0] if isinstance(call.args[0], str) else ""
    if len(call.read) != 2:
        raise LoweringError(
            f"{call.place}: einsum {equation!r} joins {len(call.read)} tensors, and products join two. Use sum, "
            "diagonal or permute of one tensor, and multiply more of them one after another."
        )
    inputs, _, out = equation.replace(" ", "").partition("->")
    a, _, c = inputs.partition(",")
    inner = [x for x in a if x in c and x not in out]
    sides = zip((a, c), call.traced, strict=True)
    traced = zip((letters for letters, is_traced in sides if is_traced), values, strict=True)
    alone = {x for letters, side in traced for x in _frames_of(b, letters, side)}
    if alone & {*inner}:
        raise LoweringError(f"{call.place}: einsum {equation!r} {OVER_TIME}")
    left, right = _both(b, call, values)
    lead = [x for x in out if (x in a and x in c) or x in alone]
    rows, columns = ([x for x in out if x in one and x not in lead] for one in (a, c))
    shared = [x for x in lead if x in a and x in c]
    once = [x for x in lead if x not in shared]
    if not out or "." in equation or sorted(a + c) != sorted([*inner * 2, *shared * 2, *once, *rows, *columns]):
        raise LoweringError(f"{call.place}: einsum {equation!r} is no product of two tensors with an explicit result.")
    sizes = dict(zip(a, left.shape, strict=True)) | dict(zip(c, right.shape, strict=True))
    grouped = [[int(np.prod([sizes[x] for x in part])) for part in (lead, end, inner)] for end in (rows, columns)]
    first = _ordered(left, a, lead, [*rows, *inner], sizes).reshape(grouped[0])
    second = _ordered(right, c, lead, [*columns, *inner], sizes).reshape(grouped[1])
    letters = [*lead, *rows, *columns]
    made = product(b, call, first, second, (grouped[0][0], grouped[0][1], grouped[1][1]))
    cut = made.addresses.reshape([sizes[x] for x in letters]).permute([letters.index(x) for x in out])
    return Value(tuple(call.output.shape), None, cut.contiguous())


def _frames_of(b: Builder, letters: str, x: Value) -> list[str]:
    """The letters of the axes that count time steps and samples."""
    return [letters[axis] for axis in leading_axes(b, x)]


def _ordered(x: Value, letters: str, lead: list[str], others: list[str], sizes: dict[str, int]) -> torch.Tensor:
    """Addresses with the axes `lead`, repeated along those that the tensor has not, and then `others`."""
    missing = [letter for letter in lead if letter not in letters]
    moved = x.addresses.permute([letters.index(y) for y in (*lead, *others) if y in letters])
    for letter in missing:
        moved = moved.unsqueeze(lead.index(letter))
    return moved.expand([sizes[letter] for letter in (*lead, *others)])


def _both(b: Builder, call: Call, values: tuple[Value, ...]) -> tuple[Value, Value]:
    """The two that are multiplied, one of which may be a constant of multiples of 2^-16, such as a graph's edges."""
    for x, traced in zip(call.read, call.traced, strict=True):
        if not traced and unit_of(x.detach().cpu().double().numpy()) is None:
            raise LoweringError(
                f"{call.place}: multiplies by a constant matrix whose numbers are no multiples of 2^-16. Round it in "
                "the forward, spikelet.quant.grid.round_to_grid(matrix), or use spikelet.nn.Linear with a quantizer."
            )
    given = iter(values)
    both = [
        next(given) if traced else Value(tuple(x.shape), None, b.constant(x))
        for x, traced in zip(call.read, call.traced, strict=True)
    ]
    return both[0], both[1]


def product(b: Builder, call: Call, left: torch.Tensor, right: torch.Tensor, shape: tuple[int, ...]) -> Value:
    """The tensor of `shape` [..., R, S] from addresses `left` [..., R, K] and `right` [..., S, K].

    Raises:
        LoweringError: the matrices are no channels and positions of edges.
    """
    where = call.named("matmul")
    groups = _groups(b, call, left.numpy(), right.numpy())
    last: LoweringError | None = None
    for cut in _cuts(b, groups):
        for sides in itertools.product(("inner", "outer"), repeat=2):
            try:
                with b.attempt():
                    pair = zip((groups.left, groups.right), sides, strict=True)
                    edges = [_edge(b, matrices, cut, side, where) for matrices, side in pair]
            except LoweringError as e:
                last = e
                continue
            return _node(b, call, groups, cut, edges, sides, shape)  # type: ignore[arg-type]
    raise LoweringError(
        f"{call.place}: multiplies matrices that are not channels by positions, head by head. Keep tokens as positions "
        f"and heads as blocks of channels. ({last})"
    )


def _groups(b: Builder, call: Call, left: Int64, right: Int64) -> _Groups:
    lead = np.broadcast_shapes(left.shape[:-2], right.shape[:-2])
    sides = [np.broadcast_to(m, (*lead, *m.shape[-2:])).reshape(-1, *m.shape[-2:]) for m in (left, right)]
    frames, rests = zip(*(_frames(b, call, m) for m in sides), strict=True)
    sampled = [f[:, 1] >= 0 for f in frames]
    if (sampled[0] & sampled[1] & (frames[0][:, 1] != frames[1][:, 1])).any():
        raise LoweringError(f"{call.place}: multiplies different samples of the batch.")
    timed = [f[:, 0] >= 0 for f in frames]
    if (timed[0] & timed[1] & (frames[0][:, 0] != frames[1][:, 0])).any():
        raise LoweringError(f"{call.place}: multiplies different time steps.")
    sample = np.maximum(frames[0][:, 1], frames[1][:, 1])
    frame = np.maximum(np.maximum(frames[0][:, 0], frames[1][:, 0]), 0) * b.batch + sample
    order = np.argsort(frame, kind="stable")
    count = len(np.unique(frame))
    if len(frame) % count or (np.bincount(frame)[np.unique(frame)] != len(frame) // count).any():
        raise LoweringError(f"{call.place}: multiplies other matrices at another time step or sample.")
    group = np.zeros(len(frame), np.int64)
    group[order] = np.tile(np.arange(len(frame) // count), count)
    tables = []
    for rest in rests:
        cut = rest[order].reshape(count, -1, *rest.shape[1:])
        if (cut != cut[:1]).any():
            raise LoweringError(f"{call.place}: multiplies other matrices at another time step or sample.")
        tables.append(cut[0])
    return _Groups(tables[0], tables[1], frame, group)


def _frames(b: Builder, call: Call, matrices: Int64) -> tuple[Int64, Int64]:
    """Step (-1: still) and sample (-1: a constant) of each matrix [L, 2], and the addresses within a frame."""
    places, known = b.sources.places(matrices), b.sources.all
    if all(known[i].constant is not None for i in places.used):
        return np.full((len(matrices), 2), -1), places.rest
    if (places.source < 0).any() or any(known[i].constant is not None for i in places.used):
        raise LoweringError(f"{call.place}: multiplies a tensor that was padded with zeros or constants.")
    timed = np.array([s.time == "steps" for s in known])[places.source]
    step, sample = np.where(timed, places.step, -1).reshape(len(matrices), -1), places.sample.reshape(len(matrices), -1)
    if (step != step[:, :1]).any() or (sample != sample[:, :1]).any():
        raise LoweringError(f"{call.place}: {OVER_TIME}")
    return np.stack([step[:, 0], sample[:, 0]], axis=1), places.rest


def _cuts(b: Builder, groups: _Groups) -> list[_Cut]:
    """Ways to read the groups as heads and rows, most likely first."""
    count, found = len(groups.left), []
    for matrices in (groups.left, groups.right):
        places = b.sources.places(matrices[:, 0, 0])
        head = _numbered(np.stack([places.source, places.channel]))
        row = _numbered(np.stack([places.source, places.position]))
        heads, rows = int(head.max()) + 1, int(row.max()) + 1
        if heads * rows == count and len(np.unique(head * rows + row)) == count:
            found.append(_Cut(head, row, heads, rows))
    return [*found, _Cut(np.arange(count), np.zeros(count, np.int64), count, 1)]


def _numbered(keys: Int64) -> Int64:
    """The number of each column of `keys` among the different ones, in the order in which they come."""
    _, first, index = np.unique(keys, axis=1, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[index.reshape(-1)]


def _edge(b: Builder, matrices: Int64, cut: _Cut, channels: str, where: str) -> Source:
    """An edge that holds [G, outer, inner] as channel blocks (heads), and as rows where there are several."""
    ordered = cut.ordered(matrices)  # [heads, rows, outer, inner]
    axes = (0, 2, 1, 3) if channels == "outer" else (0, 3, 1, 2)
    wanted = ordered.transpose(axes)
    size, positions = cut.heads * wanted.shape[1], wanted.shape[3]
    source = b.sources.at(int(wanted.max()))
    space = source.map[1:] if cut.rows == 1 and source.positions == positions else (cut.rows, positions)
    return arrange(b, np.ascontiguousarray(wanted).reshape(size, *space), where)


def _node(
    b: Builder,
    call: Call,
    groups: _Groups,
    cut: _Cut,
    edges: list[Source],
    sides: tuple[Channels, Channels],
    shape: tuple[int, ...],
) -> Value:
    where = call.named("matmul")
    (left, right), sizes = edges, (groups.left.shape[1], groups.right.shape[1])
    kinds = [x.kinds[0] if side == "outer" else x.kinds[1] for x, side in zip(edges, sides, strict=True)]
    swapped = kinds[0] is not None and kinds[1] is None
    (a, c), (of_a, of_c) = (edges, sides) if not swapped else (edges[::-1], sides[::-1])
    rows, columns = sizes if not swapped else sizes[::-1]
    space = (cut.rows, columns)
    map_of_columns = kinds[0] if swapped else kinds[1]
    if cut.rows == 1 and map_of_columns is not None and math.prod(map_of_columns) == columns:
        space = map_of_columns
    node = ir.Matmul(
        b.extra_name(where), (a.node, c.node), cut.heads, (of_a == "inner", of_c == "outer"), space, cut.rows > 1
    )  # fmt: skip
    scale = np.array(left.one_scale(where) * right.one_scale(where))
    time = "steps" if "steps" in (left.time, right.time) else left.time
    made_kinds = (kinds[0], kinds[1]) if not swapped else (kinds[1], kinds[0])
    y = b.append(node, (cut.heads * rows, *space), scale, time, made_kinds)
    head, row = cut.head[groups.group], cut.row[groups.group]
    channel = head[:, None, None] * rows + np.arange(rows)[:, None]
    inner = channel * y.positions + row[:, None, None] * columns + np.arange(columns)
    inner = inner.transpose(0, 2, 1) if swapped else inner
    addresses = y.start + groups.frame[:, None, None] * y.size + inner
    return Value(shape, None, torch.from_numpy(np.array(addresses)).reshape(shape))
