"""Sums and means: over time, over positions of a map, over channels, over tensors that were stacked."""

from __future__ import annotations

import dataclasses
import functools
import math

import numpy as np
import torch

from spikelet.base.codes import stored
from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.arrange import arrange, natural
from spikelet.lowering.builder import Builder
from spikelet.lowering.pairs import of_steps
from spikelet.lowering.registry import function
from spikelet.lowering.rules.elementwise import add
from spikelet.lowering.rules.synapses import divided
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Int64, Source, Value


@function("mean")
def mean(b: Builder, call: Call, x: Value) -> Value:
    """The mean over some axes: a sum, and its number in the scale."""
    axes = reduced_axes(call)
    return divided(b, reduced(b, call, x, axes), math.prod(x.shape[a] for a in axes), tuple(call.output.shape))


@function("sum")
def total(b: Builder, call: Call, x: Value) -> Value:
    """The sum over some axes."""
    return Value(tuple(call.output.shape), *_content(reduced(b, call, x, reduced_axes(call)), call))


@function("avg_pool1d")
def mean_of_neighbours(b: Builder, call: Call, x: Value) -> Value:
    """The mean of each group of neighbours on the last axis, as `F.avg_pool1d(x, 10, 10)` lets ten outputs vote.

    Raises:
        LoweringError: the windows overlap, or reach beyond the axis.
    """
    names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    kernel = _one(given["kernel_size"])
    if _one(given.get("stride") or kernel) != kernel or _one(given.get("padding", 0)) or given.get("ceil_mode"):
        raise LoweringError(
            f"{call.place}: averages windows that overlap or reach beyond the axis. Make it a layer of the network, "
            "nn.AvgPool1d, or use windows side by side, without padding and ceil_mode."
        )
    shape, last = tuple(call.output.shape), len(x.shape)
    groups = x.addresses[..., : shape[-1] * kernel].unflatten(-1, (-1, kernel))
    return divided(b, reduced(b, call, Value(tuple(groups.shape), None, groups), (last,)), kernel, shape)


def _one(value: int | tuple[int, ...]) -> int:
    return value if isinstance(value, int) else value[0]


def _content(x: Value, call: Call) -> tuple[Source | None, torch.Tensor | None]:
    return x.source, None if x.explicit is None else x.explicit.reshape(call.output.shape)


def reduced_axes(call: Call) -> tuple[int, ...]:
    """The axes that a call reduces, counted from 0."""
    rank = call.read[0].dim()
    dim = call.kwargs.get("dim", call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else None))
    dims = tuple(range(rank)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(sorted(d % rank for d in dims))


def reduced(b: Builder, call: Call, x: Value, axes: tuple[int, ...]) -> Value:
    """The sum of `x` over `axes`, which the result lacks.

    Raises:
        LoweringError: it adds samples, or elements that the integer graph can't add.
    """
    s = x.source
    if s is not None and axes == (0,) and s.time == "steps" and x.shape[:2] == (s.steps, s.batch):
        return Value(x.shape[1:], of_steps(b, s, np.ones(b.time_steps, np.int64), call.named(str(call.target))))
    varying = [a for a in axes if x.shape[a] > 1 and _varies(b, x, a)]
    time = [a for a in varying if _varies(b, x, a, "step")]
    space = [a for a in varying if a not in time]
    if any(_varies(b, x, a, "sample") for a in varying):
        raise LoweringError(f"{call.place}: sums over the batch.")
    repeated = math.prod(x.shape[a] for a in axes if a not in varying)
    if space:
        x = _over_space(b, call, x, space)
    if time:
        x = _over_time(b, call, x, time)
    kept = tuple(n for a, n in enumerate(x.shape) if a not in axes)
    x = Value(kept, None, x.addresses[tuple(0 if a in axes else slice(None) for a in range(len(x.shape)))])
    return x if repeated == 1 else divided(b, x, 1 / repeated, kept)


def _varies(b: Builder, x: Value, axis: int, what: str | None = None) -> bool:
    """Whether the elements along `axis` are of different addresses; or steps or samples of them."""
    addresses = x.addresses
    if what is None:
        return bool((addresses != addresses.narrow(axis, 0, 1)).any())
    places = b.sources.places(addresses)
    part, real = getattr(places, what), places.source >= 0
    if what == "step":
        real &= np.array([s.time == "steps" for s in b.sources.all])[places.source]
    masked = np.where(real, part, 0)
    return bool((masked != masked.take([0], axis)).any())


# --- over time --------------------------------------------------------------------------------------


def _over_time(b: Builder, call: Call, x: Value, axes: list[int]) -> Value:
    """Sums `axes`, along which only the time step changes, to an extent of 1."""
    source, addresses = natural(b, x, call.named("time"))
    places = b.sources.places(addresses)
    along = tuple(axes)
    if (places.rest != _first(places.rest, along)).any():
        raise LoweringError(f"{call.place}: sums over an axis on which both time steps and other elements change.")
    rows = np.moveaxis(places.step, along, range(-len(along), 0)).reshape(-1, math.prod(x.shape[a] for a in along))
    rows = np.sort(rows, axis=1)
    if (rows != rows[:1]).any():
        raise LoweringError(f"{call.place}: sums other time steps for other elements.")
    counts = np.bincount(rows[0], minlength=b.time_steps)
    new = of_steps(b, source, counts, call.named(str(call.target)))
    inside = (_first(addresses, along) - source.start) % (b.batch * source.size)
    return Value(inside.shape, None, torch.from_numpy(new.start + inside))


def _first(values: Int64, axes: tuple[int, ...]) -> Int64:
    return values[tuple(slice(0, 1) if a in axes else slice(None) for a in range(values.ndim))]


# --- over positions, channels and stacked tensors ---------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class _Rows:
    """The sums of one frame: `table` [sums, terms] of addresses at step 0 of sample 0; the sum that each element of
    the result is, and its frame."""

    table: Int64
    which: Int64
    frame: Int64


def _rows(b: Builder, call: Call, x: Value, axes: list[int]) -> _Rows:
    kept = [a for a in range(len(x.shape)) if a not in axes]
    moved = x.addresses.permute(*kept, *axes).numpy()
    rows = moved.reshape(-1, math.prod(x.shape[a] for a in axes))
    places = b.sources.places(rows)
    if (places.source < 0).any():
        raise LoweringError(f"{call.place}: sums over a tensor that was padded with zeros.")
    _, index, which = np.unique(places.rest[:, 0], return_index=True, return_inverse=True)
    table = places.rest[index]
    if (places.rest != table[which.reshape(-1)]).any():
        raise LoweringError(f"{call.place}: sums other elements at another time step or sample.")
    timed = np.array([s.time == "steps" for s in b.sources.all])[places.source[:, 0]]
    frame = np.where(timed, places.step[:, 0], 0) * b.batch + places.sample[:, 0]
    return _Rows(table, which.reshape(-1), frame)


def _over_space(b: Builder, call: Call, x: Value, axes: list[int]) -> Value:
    """Sums `axes`, along which the time step doesn't change, to an extent of 1."""
    rows = _rows(b, call, x, axes)
    places = b.sources.places(rows.table)
    one_source = (places.source == places.source[:, :1]).all()
    if one_source and (places.channel == places.channel[:, :1]).all():
        new, inner = _over_positions(b, call, rows.table)
    elif one_source and (places.position == places.position[:, :1]).all():
        new, inner = _over_channels(b, call, rows.table)
    else:
        return _one_by_one(b, call, x, axes)
    addresses = new.start + rows.frame * new.size + inner[rows.which]
    shape = [1 if a in axes else n for a, n in enumerate(x.shape)]
    return Value(tuple(shape), None, torch.from_numpy(addresses).reshape(shape))


def _over_positions(b: Builder, call: Call, table: Int64) -> tuple[Source, Int64]:
    """The node that sums, and where each row's sum stands in its frame."""
    name, places = call.named(str(call.target)), b.sources.places(table)
    source = b.sources.at(int(table[0, 0]))
    one_map = (places.source == places.source[0, 0]).all() and table.size == source.size
    if one_map and table.shape == (source.channels, source.positions):
        kernel = source.map[1:]
        new = _pool(b, name, source, kernel, (1, 1))
        return new, places.channel[:, 0]
    channels, c = np.unique(np.stack([places.source[:, 0], places.channel[:, 0]]), axis=1, return_inverse=True)
    starts, g = np.unique(places.position[:, 0], return_inverse=True)
    wanted = np.zeros((channels.shape[1], len(starts), table.shape[1]), np.int64)
    wanted[c.reshape(-1), g.reshape(-1)] = table
    if (wanted == 0).any():
        raise LoweringError(f"{call.place}: sums other positions in other channels.")
    edge = arrange(b, wanted, name)
    new = _pool(b, name, edge, (1, table.shape[1]), (len(starts), 1))
    return new, c.reshape(-1) * len(starts) + g.reshape(-1)


def _pool(b: Builder, name: str, x: Source, kernel: tuple[int, int], space: tuple[int, int]) -> Source:
    node = ir.SumPool(b.extra_name(name), (x.node,), kernel)
    return b.append(node, (x.channels, *space), x.scale, x.time, x.kinds)


def _over_channels(b: Builder, call: Call, table: Int64) -> tuple[Source, Int64]:
    """The same for sums over channels: a 1 x 1 convolution of ones, a group for each sum."""
    name, places = call.named(str(call.target)), b.sources.places(table)
    starts, g = np.unique(np.stack([places.source[:, 0], places.channel[:, 0]]), axis=1, return_inverse=True)
    positions, p = np.unique(places.position[:, 0], return_inverse=True)
    groups, terms = starts.shape[1], table.shape[1]
    wanted = np.zeros((groups, len(positions), terms), np.int64)
    wanted[g.reshape(-1), p.reshape(-1)] = table
    if (wanted == 0).any():
        raise LoweringError(f"{call.place}: sums other channels at other positions.")
    source = b.sources.at(int(table[0, 0]))
    space = source.map[1:] if len(positions) == source.positions else (1, len(positions))
    edge = arrange(b, wanted.transpose(0, 2, 1).reshape(groups * terms, *space), name)
    ones = stored(np.ones((groups, terms, 1, 1), np.int64), 1, "symmetric")
    node = ir.Conv(b.extra_name(name), (edge.node,), ones, 1, (1, 1), (0, 0), groups)
    scale = np.array(edge.one_scale(name))
    new = b.append(node, (groups, *space), scale, edge.time, edge.kinds)
    return new, g.reshape(-1) * len(positions) + p.reshape(-1)


def _one_by_one(b: Builder, call: Call, x: Value, axes: list[int]) -> Value:
    """Adds slices along the one axis: the terms come from several tensors."""
    if len(axes) > 1 or x.shape[axes[0]] > 64:
        raise LoweringError(f"{call.place}: sums channels and positions at once; sum one axis at a time.")
    slices = [x.addresses.narrow(axes[0], i, 1) for i in range(x.shape[axes[0]])]
    values = [Value(tuple(s.shape), None, s.contiguous()) for s in slices]
    return functools.reduce(functools.partial(_plus, b, call), values)


def _plus(b: Builder, call: Call, left: Value, right: Value) -> Value:
    output = torch.empty(left.shape, device="meta")
    step = dataclasses.replace(call, target="add", args=(output, output), kwargs={}, traced=(True, True), output=output)
    return add(b, step, left, right)
