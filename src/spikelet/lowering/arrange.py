"""From addresses to an edge that holds its elements in the wanted order, by as few nodes as that takes: none, a
channel map, a gather, a flatten.

    wanted[c, p] = edge[channel(c), position(p)]         what the integer graph can say
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.values import Int64, Places, Source, Time, Value

MAX_INPUTS = 64
MAX_CHANNELS = 2**15


class UnorderedError(LoweringError):
    """Raised where elements stand in an order that channel maps and gathers can't make."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(
            f"{where}: reads {why}. The integer graph moves whole channels and whole positions; an order that mixes "
            "them has no integer form. Keep channels on one axis (x.flatten(2) of [T, B, C, H, W] is the one mixture "
            "that a linear layer reads)."
        )


@dataclasses.dataclass(frozen=True, eq=False)
class Frames:
    """A tensor seen as frames: the same elements for every step and sample.

    lead: step * B + sample of each frame, in the order of the leading axes; step is 0 where `time` is no "steps".
    time: of the elements.
    rest: the address of each element of a frame at step 0 of sample 0.
    """

    lead: Int64
    time: Time
    rest: Int64


def frames_of(b: Builder, addresses: Int64, where: str) -> Frames:
    """`addresses` [L, ...] as frames.

    Raises:
        LoweringError: a frame holds several samples or steps, or frames differ in their elements.
    """
    flat = addresses.reshape(len(addresses), -1)
    places = b.sources.places(flat)
    times = np.array([*(("constant" if s.constant is not None else s.time) for s in b.sources.all), "zero"])
    time = times[places.source]
    moves, steps = (time != "constant") & (time != "zero"), time == "steps"
    kinds = set(np.unique(time[moves]).tolist())
    if "summed" in kinds and len(kinds) > 1:
        raise LoweringError(
            f"{where}: mixes a tensor with a time axis and a mean over time. Use one of them: the scores of every "
            "step, stacked, their sum, or the sums so far as scores.cumsum(0)."
        )
    sample, mixed_samples = _one_a_row(places.sample, moves)
    step, mixed_steps = _one_a_row(places.step, steps)
    if mixed_samples or mixed_steps:
        what = "samples of the batch" if mixed_samples else "time steps"
        raise LoweringError(
            f"{where}: mixes {what}, which the integer graph computes one by one. Let it read one step of one sample: "
            "the axes of time and batch stay in front of all others."
        )
    if (places.rest != places.rest[:1]).any():
        raise LoweringError(
            f"{where}: reads other elements at another time step or sample. What came before, at all steps, is "
            "torch.cat([torch.zeros_like(x[:1]), x[:-1]]) of [T, B, ...], spikelet.neurons.Delay or SpikingJelly's "
            "layer.Delay. Two inputs that are joined along the batch go through the layers one after the other."
        )
    whole: Time = "steps" if "steps" in kinds else "summed" if "summed" in kinds else "still"
    return Frames(step * b.batch + sample, whole, places.rest[0].reshape(addresses.shape[1:]))


def _one_a_row(values: Int64, where: NDArray[np.bool_]) -> tuple[Int64, bool]:
    """The value that a row's marked elements share (0 where none is marked), and whether a row has several."""
    low = np.where(where, values, np.iinfo(np.int64).max).min(1)
    high = np.where(where, values, -1).max(1)
    marked = where.any(1)
    return np.where(marked, high, 0), bool((marked & (low != high)).any())


def arrange(b: Builder, rest: Int64, where: str, *, several_moves: bool = False) -> Source:
    """An edge (C, H, W) whose elements are those of `rest` [C, H, W].

    Args:
        several_moves: whether one edge may be moved in several ways, joined afterwards, as patch merging does.
    Raises:
        UnorderedError: no channel map and gather can make that order.
    """
    key = (rest.shape, rest.tobytes(), several_moves)
    if key not in b.arranged:
        b.arranged[key] = _arrange(b, rest, where, several_moves)
    return b.arranged[key]


def _arrange(b: Builder, rest: Int64, where: str, several_moves: bool) -> Source:
    c, h, w = rest.shape
    flat = rest.reshape(c, h * w)
    places = b.sources.places(flat)
    used = [b.sources.all[i] for i in places.used]
    if not used or all(s.constant is not None for s in used):
        return constant(b, numbers_at(b, rest), where)
    if len(used) == 1:
        made = _from_one(b, used[0], places, (h, w), where)
        if made is not None:
            return made
    if len(used) == 1 and not several_moves:
        raise UnorderedError(where, "channels and positions mixed")
    for axis, join in ((1, _join_channels), (0, _join_positions)):
        keys = _patterns(places, axis, several_moves)
        if keys is not None and 1 < len(np.unique(keys[keys >= 0])) <= MAX_INPUTS:
            return join(b, rest, keys, where)
    raise UnorderedError(where, "channels and positions mixed")


def _patterns(places: Places, axis: int, several_moves: bool) -> Int64 | None:
    """For each channel (axis 1) or position (axis 0) which others are laid out like it, -1 for zeros: they come from
    one edge, and move alike if need be. None where one comes from several edges."""
    source = _shared(places.source, axis)
    if source is None or not several_moves:
        return source
    inner = np.where(places.source < 0, -1, places.position if axis == 1 else places.channel)
    lines = np.concatenate([np.expand_dims(places.source.max(axis), axis), inner], axis)
    lines = lines if axis == 1 else lines.T
    _, keys = np.unique(lines, axis=0, return_inverse=True)
    return np.where(places.source.max(axis) < 0, -1, keys.reshape(-1))


def _shared(values: Int64, axis: int) -> Int64 | None:
    """What `values` [C, P] holds along `axis`, where -1 (a zero) may stand anywhere; None where that differs."""
    highest = values.max(axis)
    fits = (values == np.expand_dims(highest, axis)) | (values == -1)
    return highest if fits.all() else None


def _from_one(b: Builder, x: Source, places: Places, space: tuple[int, int], where: str) -> Source | None:
    """Channels and positions of one edge; None where they are mixed."""
    zero = places.source < 0
    channel, position = np.where(zero, -1, places.channel), np.where(zero, -1, places.position)
    channels, positions = _shared(channel, axis=1), _shared(position, axis=0)
    if channels is None or positions is None or (zero != ((channels[:, None] < 0) | (positions < 0))).any():
        return None
    if not np.array_equal(channels, np.arange(x.channels)):
        x = map_channels(b, (x,), channels, where)
    if space != x.map[1:] or x.is_flat or not np.array_equal(positions, np.arange(x.positions)):
        x = gather(b, (x,), positions.reshape(space), where)
    return x


def _join_channels(b: Builder, rest: Int64, keys: Int64, where: str) -> Source:
    """Channels of several edges, or of one that moves them in several ways."""
    parts, numbers, first = [], np.full(len(rest), -1), 0
    for i in np.unique(keys[keys >= 0]):
        rows = np.flatnonzero(keys == i)
        parts.append(arrange(b, rest[rows], where))
        numbers[rows] = first + np.arange(len(rows))
        first += len(rows)
    return map_channels(b, tuple(parts), numbers, where)


def _join_positions(b: Builder, rest: Int64, keys: Int64, where: str) -> Source:
    """Positions of several edges of as many channels, or of one that moves them in several ways."""
    c, h, w = rest.shape
    flat, index, first, parts = rest.reshape(c, h * w), np.full(h * w, -1), 0, []
    for i in np.unique(keys[keys >= 0]):
        columns = np.flatnonzero(keys == i)
        parts.append(arrange(b, flat[:, None, columns], where))
        index[columns] = first + np.arange(len(columns))
        first += len(columns)
    scale = min(float(x.scale.min()) for x in parts)
    aligned = tuple(b.at_scale(x, scale, where) for x in parts)
    return gather(b, aligned, index.reshape(h, w), where)


def map_channels(b: Builder, xs: tuple[Source, ...], source: Int64, where: str) -> Source:
    """Channels of `xs`, numbered through them; -1 is zeros."""
    _check_inputs(xs, where)
    xs = tuple(gather(b, (x,), np.zeros((1, 1), np.int64), where) if x.is_flat else x for x in xs)
    if len(source) > MAX_CHANNELS or source.max() >= MAX_CHANNELS:
        raise LoweringError(f"{where}: can map channels 0 to {MAX_CHANNELS - 1}, its source has {source.max()}.")
    scales = np.concatenate([x.scales for x in xs])[np.maximum(source, 0)]  # a zero is a zero at any scale
    scale = scales if (scales != scales[0]).any() else np.array(scales[0])
    node = ir.ChannelMap(b.extra_name(f"{where}.channels"), tuple(x.node for x in xs), source.astype(np.int16), 1)
    return b.append(node, (len(source), *xs[0].map[1:]), scale, _joined(xs), xs[0].kinds)


def gather(b: Builder, xs: tuple[Source, ...], index: Int64, where: str) -> Source:
    """Positions of `xs`, numbered through them, as a map of the shape of `index`; -1 is zeros."""
    _check_inputs(xs, where)
    node = ir.Gather(b.extra_name(f"{where}.positions"), tuple(x.node for x in xs), index.astype(np.int32))
    kinds = xs[0].kinds[0], None if xs[0].kinds[1] is None else (int(index.shape[0]), int(index.shape[1]))
    return b.append(node, (xs[0].channels, *index.shape), xs[0].scale, _joined(xs), kinds)


def _check_inputs(xs: tuple[Source, ...], where: str) -> None:
    if len(xs) > MAX_INPUTS:
        raise LoweringError(f"{where}: joins {len(xs)} tensors; up to {MAX_INPUTS} can be joined.")


def _joined(xs: tuple[Source, ...]) -> Time:
    return "steps" if any(x.time == "steps" for x in xs) else xs[0].time


def flatten(b: Builder, x: Source, where: str) -> Source:
    """`x` as a vector (C * H * W,), row-major."""
    if x.is_flat:
        return x
    key = ("flatten", x.node, x.start)
    if key not in b.arranged:
        scale = x.scale if x.scale.ndim == 0 else np.repeat(x.scale, x.positions)
        node = ir.Flatten(b.extra_name(f"{where}.flatten" if where else "flatten"), (x.node,))
        b.arranged[key] = b.append(node, (x.size,), scale, x.time)
    return b.arranged[key]


# --- constants --------------------------------------------------------------------------------------


def numbers_at(b: Builder, addresses: Int64) -> NDArray[np.float64]:
    """The numbers at addresses of constants and zeros."""
    numbers, places = np.zeros(addresses.shape), b.sources.places(addresses)
    for i in places.used:
        source, here = b.sources.all[i], places.source == i
        assert source.constant is not None
        numbers[here] = source.constant[addresses[here] - source.start]
    return numbers


def constant(b: Builder, numbers: NDArray[np.float64], where: str) -> Source:
    """A constant edge of real `numbers` [C, H, W] or [F], each a whole multiple of a power of two of at least 2^-16.

    Raises:
        LoweringError: they are finer.
    """
    scale = unit_of(numbers)
    if scale is None:
        raise LoweringError(
            f"{where}: adds or multiplies by a constant tensor whose numbers are no multiples of 2^-16, such as "
            f"{float(numbers.reshape(-1)[np.argmax(np.abs(numbers))]):.6g}, so that integers can't hold them. Round it "
            "in the forward: spikelet.quant.grid.round_to_grid(constant); multiply by spikelet.nn.Scale."
        )
    node = ir.Constant(b.extra_name(f"{where}.constant"), (), np.round(numbers / scale).astype(np.int32))
    return b.append(node, numbers.shape, np.array(scale), "still")


def unit_of(numbers: NDArray[np.float64]) -> float | None:
    """The largest power of two of which all `numbers` are multiples, from 1 down to 2^-16; None below that."""
    for bits in range(17):
        scaled = numbers * 2.0**bits
        if np.isfinite(scaled).all() and (scaled == np.round(scaled)).all() and np.abs(scaled).max() < 2**31:
            return 2.0**-bits
    return None


# --- the order that a tensor has of itself ----------------------------------------------------------


def natural(b: Builder, value: Value, where: str) -> tuple[Source, Int64]:
    """One edge that holds exactly the elements of `value`, and the tensor's addresses in it.

    What computes each element for itself (a norm, a neuron, a sum of two tensors) reads this edge in its own order.

    Raises:
        UnorderedError: the elements are no whole channels at the same positions.
    """
    addresses = value.addresses.numpy()
    if value.source is not None:
        return value.source, addresses
    places = b.sources.places(addresses)
    rests = np.unique(places.rest)
    used = [b.sources.all[i] for i in places.used]
    if len(used) == 1 and len(rests) == used[0].size and used[0].constant is None:
        return used[0], addresses
    constants = (places.source < 0).any() or any(x.constant is not None for x in used)
    if constants or len({x.time for x in used}) > 1:  # an element that is still belongs to the step of its frame
        return explicit(b, value, where)
    table = _product(b, rests, where)
    source = arrange(b, table, where)
    order = np.argsort(table.reshape(-1))
    inner = order[np.searchsorted(table.reshape(-1)[order], places.rest)]
    frame = (places.step if source.time == "steps" else 0) * b.batch + places.sample
    return source, source.start + frame * source.size + inner


def explicit(b: Builder, value: Value, where: str, channel_axis: int | None = None) -> tuple[Source, Int64]:
    """The same for a tensor with zeros or constants in it: an edge with an element for each element of a frame.

    Args:
        channel_axis: of the tensor; where it is None, the first that can be.
    Raises:
        UnorderedError: no axis of the tensor holds whole channels.
    """
    changing = leading_axes(b, value)
    lead = [a for a, n in enumerate(value.shape) if (a in changing or n == 1) and a != channel_axis]
    inner = [a for a in range(len(value.shape)) if a not in lead]
    addresses = value.addresses.numpy().transpose(*lead, *inner)
    frames = frames_of(b, addresses.reshape(-1, *addresses.shape[len(lead) :]), where)
    for channel in range(len(inner)) if channel_axis is None else [inner.index(channel_axis)]:
        table = np.moveaxis(frames.rest, channel, 0)
        space = table.shape[1:] if table.ndim == 3 else (1, table[0].size)
        try:
            with b.attempt():
                wanted = np.ascontiguousarray(table).reshape(len(table), *space)
                source = arrange(b, wanted, where, several_moves=channel_axis is not None)
        except UnorderedError:
            continue
        order = np.moveaxis(np.arange(table.size).reshape(table.shape), 0, channel)
        made = source.start + frames.lead.reshape(-1, *[1] * order.ndim) * source.size + order
        back = np.argsort([*lead, *inner])
        return source, made.reshape(addresses.shape).transpose(back)
    raise UnorderedError(where, "zeros or constants that are no whole channels or positions")


def leading_axes(b: Builder, value: Value) -> list[int]:
    """The axes along which the time step or the sample changes."""
    places = b.sources.places(value.addresses)
    moving = np.array([*(x.constant is None for x in b.sources.all), False])[places.source]
    timed = np.array([*(x.time == "steps" for x in b.sources.all), False])[places.source]
    axes = range(moving.ndim)
    return [a for a in axes if _changes(places.sample, moving, a) or _changes(places.step, timed, a)]


def _changes(values: Int64, where: NDArray[np.bool_], axis: int) -> bool:
    """Whether `values` differ along an axis, among those that are marked."""
    low, high = np.where(where, values, values.max()).min(axis), np.where(where, values, -1).max(axis)
    return bool((low != high)[where.any(axis)].any())


def _product(b: Builder, rests: Int64, where: str) -> Int64:
    """The elements `rests` as [C, H, W]: whole channels at the same positions, in ascending order."""
    places = b.sources.places(rests)
    for joined, other in ((places.channel, places.position), (places.position, places.channel)):
        keys, row = np.unique(np.stack([places.source, joined]), axis=1, return_inverse=True)
        columns, column = np.unique(other, return_inverse=True)
        if keys.shape[1] * len(columns) != len(rests):
            continue
        table = np.zeros((keys.shape[1], len(columns)), np.int64)
        table[row.reshape(-1), column] = rests
        if not (table > 0).all():
            continue
        if joined is places.channel:
            return table.reshape(len(table), *_space(b, places, columns))
        return table.T.reshape(len(columns), 1, -1)
    raise UnorderedError(where, "single elements instead of whole channels or positions")


def _space(b: Builder, places: Places, positions: Int64) -> tuple[int, int]:
    """(H, W) of `positions` of one map: its rows and columns where they are all crossings of some, else one row."""
    widths = {b.sources.all[i].map[2] for i in places.used}
    if len(widths) == 1:
        width = widths.pop()
        rows, columns = np.unique(positions // width), np.unique(positions % width)
        if len(rows) * len(columns) == len(positions):
            return len(rows), len(columns)
    return 1, len(positions)


# --- single time steps ------------------------------------------------------------------------------


def one_step(b: Builder, values: Sequence[Value]) -> int | None:
    """The time step of which all `values` are, as x[t] is; None where they have several or none, or one is a sum over
    time."""
    steps: set[int | str] = set()
    for value in values:
        if b.time_steps == 1 or (value.source is not None and value.source.time != "still"):
            return None
        if value.source is None and _has_several_steps(b, value.addresses):
            return None
        steps |= times_of(b, value) - {"still"} if value.source is None else set()
    return int(steps.pop()) if len(steps) == 1 and "summed" not in steps else None


def _has_several_steps(b: Builder, addresses: Tensor) -> bool:
    """Whether the source of the highest address has several steps, which tells most tensors from single steps."""
    highest = int(addresses.max())
    source = b.sources.at(highest) if highest > 0 else None
    if source is None or source.time != "steps":
        return False
    lowest = int(addresses[addresses >= source.start].min())
    frame = source.batch * source.size
    return (lowest - source.start) // frame != (highest - source.start) // frame


def times_of(b: Builder, value: Value) -> set[str | int]:
    """Which time steps the tensor holds: numbers, or "still" or "summed" for what has none."""
    places = b.sources.places(value.addresses)
    found: set[str | int] = set()
    for i in places.used:
        source = b.sources.all[i]
        if source.constant is None:
            timed = source.time == "steps"
            found |= set(np.unique(places.step[places.source == i]).tolist()) if timed else {source.time}
    return found


def at_step(b: Builder, value: Value, by: int) -> Value:
    """The same elements `by` time steps later; what has no time steps stays."""
    if value.source is not None or by == 0:
        return value
    places = b.sources.places(value.addresses)
    frame = np.array([*(s.batch * s.size * (s.time == "steps") for s in b.sources.all), 0])[places.source]
    return Value(value.shape, None, value.addresses + torch.from_numpy(frame * by))
