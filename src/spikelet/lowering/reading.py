"""How a layer reads a traced tensor, and the tensor that it makes.

    as_maps      frames of (C, H, W): convolutions and pools
    as_rows      vectors along one axis: linear layers, over tokens or over a flattened map
    as_elements  each element for itself, with its channel where constants go by channel: norms and neurons

Each gives the edge to read; its `made` gives the tensor of the new edge. Leading axes may be anything that counts
time steps and samples, in any order.
"""

from __future__ import annotations

import dataclasses
import itertools
import math

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.lowering.arrange import UnorderedError, arrange, explicit, flatten, frames_of, leading_axes, natural
from spikelet.lowering.builder import Builder
from spikelet.lowering.values import Int64, Source, Value

# --- maps -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Maps:
    """`source`: the edge of shape (C, H, W). `lead`: step * B + sample of each frame; None where they count up."""

    source: Source
    lead: Int64 | None

    def made(self, new: Source, shape: tuple[int, ...], axes: int = 3) -> Value:
        """The tensor of `shape` whose last `axes` axes are the frames of `new`."""
        if self.lead is None:
            return Value(shape, new)
        frames = new.addresses()[torch.from_numpy(self.lead)]
        assert math.prod(shape[:-axes]) == len(self.lead)
        return Value(shape, None, frames.reshape(shape))


def as_maps(b: Builder, value: Value, where: str, axes: int = 3) -> Maps:
    """The last `axes` axes as (C, H, W); two axes are (C, 1, L).

    Raises:
        LoweringError: leading axes mix samples or steps; or an order without integer form.
    """
    inner = value.shape[-axes:]
    frame = inner if axes == 3 else (inner[0], 1, inner[1])
    source = value.source
    if source is not None and not source.is_flat and source.shape == frame:
        return Maps(source, None)
    frames = frames_of(b, value.addresses.numpy().reshape(-1, *frame), where)
    return Maps(arrange(b, frames.rest, where, several_moves=True), frames.lead)


def of_one_scale(b: Builder, x: Maps, where: str) -> Maps:
    """The same with one scale for all channels, the finest of them, as tensors that were joined may have several."""
    if x.source.has_one_scale:
        return x
    return dataclasses.replace(x, source=b.at_scale(x.source, float(x.source.scale.min()), where))


# --- rows -------------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Rows:
    """What a linear layer reads.

    source: a vector (F,), or a map whose channels are the features and whose positions are the rows.
    order: the feature of the tensor at each feature of the edge; None where they agree.
    first: the address of each row's element at feature 0 of the edge; None where a plain vector is read.
    """

    source: Source
    order: Int64 | None
    first: Int64 | None

    def made(self, new: Source, shape: tuple[int, ...]) -> Value:
        """The tensor of `shape` whose last axis is the channels of `new`."""
        if self.first is None:
            return Value(shape, new)
        frame, position = np.divmod(self.first - self.source.start, self.source.size)
        channel = np.arange(new.channels) * new.positions
        addresses = new.start + frame[:, None] * new.size + position[:, None] + channel
        return Value(shape, None, torch.from_numpy(addresses).reshape(shape))


def rows_of_one_scale(b: Builder, x: Rows, where: str) -> Rows:
    """The same with one scale for all features; see `of_one_scale`."""
    if x.source.has_one_scale:
        return x
    new = b.at_scale(x.source, float(x.source.scale.min()), where)
    return dataclasses.replace(x, source=new, first=None if x.first is None else x.first - x.source.start + new.start)


def as_rows(b: Builder, value: Value, where: str) -> Rows:
    """The last axis as features: of one vector a frame, or of a token at each position.

    Raises:
        LoweringError: features are neither whole channels nor a whole map.
    """
    features = value.shape[-1]
    if value.source is not None and value.source.size == features:
        return Rows(flatten(b, value.source, where), None, None)
    lead = leading_axes(b, value)
    one_row = all(a in lead or n == 1 for a, n in enumerate(value.shape[:-1]))
    if one_row and _repeats(b, value):
        return _repeated(b, value, where)
    try:
        with b.attempt():
            return _whole_rows(b, value, features, where)
    except UnorderedError:
        if one_row:
            raise
    return _patches(b, value, where)


def _patches(b: Builder, value: Value, where: str) -> Rows:
    """Rows whose features are positions that lie apart, such as the pixels of a patch: one move for each of them."""
    swapped = Value((*value.shape[:-2], *value.shape[:-3:-1]), None, value.addresses.mT.contiguous())
    maps = as_maps(b, swapped, where, axes=2)
    lead = np.arange(math.prod(value.shape[:-2])) if maps.lead is None else maps.lead
    first = maps.source.start + lead[:, None] * maps.source.size + np.arange(value.shape[-2])
    return Rows(maps.source, None, first.reshape(-1))


def _whole_rows(b: Builder, value: Value, features: int, where: str) -> Rows:
    source, addresses = natural(b, value, where)
    rows = addresses.reshape(-1, features)
    places = b.sources.places(rows)
    one_position = (places.position == places.position[:, :1]).all()
    order = places.channel[0]
    if one_position and features == source.channels and (places.channel == order).all():
        return _tokens(b, source, rows, order, where)
    inner = places.rest[0] - source.start
    if len(np.unique(inner)) == features == source.size and (places.rest == places.rest[0]).all():
        flat = flatten(b, source, where)
        first = flat.start + (rows[:, 0] - source.start) // source.size * source.size
        return Rows(flat, _inverse(inner), first)
    if (places.sample != places.sample[:, :1]).any() or (places.step != places.step[:, :1]).any():
        raise LoweringError(
            f"{where}: reads rows that mix samples of the batch or time steps. Let it read one step of one sample, and "
            "add up its answers over time."
        )
    raise UnorderedError(where, "a row that is neither the channels of one position nor a whole map")


def _repeats(b: Builder, value: Value) -> bool:
    """Whether a row holds an element twice, a zero or a constant."""
    row = value.addresses.numpy().reshape(-1, value.shape[-1])[0]
    places = b.sources.places(row)
    constant = np.array([*(s.constant is not None for s in b.sources.all), True])[places.source]
    return bool(constant.any()) or len(np.unique(row)) < len(row)


def _repeated(b: Builder, value: Value, where: str) -> Rows:
    """A row as a flattened map whose channels and positions may be repeated: any cut of it that can be made."""
    features = value.shape[-1]
    frames = frames_of(b, value.addresses.numpy().reshape(-1, features), where)
    sizes = [n for n in range(features, 0, -1) if features % n == 0]
    for channels_last, positions in itertools.product((False, True), sizes):
        cut = (positions, -1) if channels_last else (-1, positions)
        order = np.arange(features).reshape(cut)
        order = order.T if channels_last else order
        try:
            with b.attempt():
                source = arrange(b, frames.rest[order][:, None, :], where)
        except UnorderedError:
            continue
        flat = flatten(b, source, where)
        return Rows(flat, None if not channels_last else order.reshape(-1), flat.start + frames.lead * flat.size)
    raise UnorderedError(where, "channels and positions mixed")


def _tokens(b: Builder, source: Source, rows: Int64, order: Int64, where: str) -> Rows:
    inverse = _inverse(order)
    first = rows[:, int(np.argmin(order))]
    if source.positions == 1 and not source.is_flat:
        flat = flatten(b, source, where)
        return Rows(flat, inverse, first - source.start + flat.start)
    return Rows(source, inverse, first)


def _inverse(order: Int64) -> Int64 | None:
    """Positions in `order` of 0, 1, 2 ...; None where it counts up already."""
    return None if np.array_equal(order, np.arange(len(order))) else np.argsort(order)


# --- elements ---------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True, eq=False)
class Elements:
    """The edge that holds exactly a tensor's elements, and the tensor's addresses in it (None: in its own order)."""

    source: Source
    addresses: Int64 | None

    def made(self, new: Source, shape: tuple[int, ...]) -> Value:
        """The tensor of `shape` with the elements of `new`, an edge of the same shape; still edges may have become
        ones with time steps, as a neuron makes them."""
        if self.addresses is None:
            return Value(shape, new)
        offset = self.addresses - self.source.start
        if new.steps > self.source.steps:
            offset = offset + np.arange(new.steps).reshape(-1, *[1] * (offset.ndim - 1)) * new.batch * new.size
        return Value(shape, None, torch.from_numpy(new.start + offset).reshape(shape))


def as_elements(b: Builder, value: Value, where: str) -> Elements:
    """Each element for itself."""
    if value.source is not None:
        return Elements(value.source, None)
    return Elements(*natural(b, value, where))


def by_channel(b: Builder, value: Value, axis: int, where: str) -> tuple[Elements, Int64]:
    """The same, and where each channel of the edge stands along `axis` of the tensor, [C].

    Raises:
        LoweringError: `axis` is not the channels of an edge, nor of a flattened map.
    """
    axis %= len(value.shape)
    source = value.source
    if source is not None and value.shape[axis + 1 :] == source.shape[1:] and value.shape[axis] == source.channels:
        return Elements(source, None), np.arange(source.channels)
    elements = as_elements(b, value, where)
    found = _along(b, value, elements, axis)
    if found is None and not elements.source.is_flat:
        vectors = all(a in (*leading_axes(b, value), axis) or n == 1 for a, n in enumerate(value.shape))
        flat = _flat(b, value, elements, where) if vectors else Elements(*explicit(b, value, where, axis))
        elements, found = flat, _along(b, value, flat, axis)
    if found is None:
        raise LoweringError(f"{where}: reads a tensor whose axis {axis} is not its channels.")
    return elements, found


def _along(b: Builder, value: Value, elements: Elements, axis: int) -> Int64 | None:
    addresses = value.addresses.numpy() if elements.addresses is None else elements.addresses
    places = b.sources.places(addresses)
    coordinate = np.broadcast_to(
        np.arange(value.shape[axis]).reshape(-1, *[1] * (len(value.shape) - axis - 1)), value.shape
    )
    found = np.zeros(elements.source.channels, np.int64)
    found[places.channel.reshape(-1)] = coordinate.reshape(-1)
    return found if (found[places.channel] == coordinate).all() else None


def _flat(b: Builder, value: Value, elements: Elements, where: str) -> Elements:
    flat = flatten(b, elements.source, where)
    addresses = value.addresses.numpy() if elements.addresses is None else elements.addresses
    return Elements(flat, addresses - elements.source.start + flat.start)


def check_time_first(b: Builder, value: Value, where: str) -> None:
    """Refuses a tensor whose axis 0 is not time, or whose axis 1 is not the batch, for a neuron.

    Raises:
        LoweringError: says which axis is what.
    """
    source = value.source
    if source is not None and value.shape[:2] == (source.steps, source.batch) and source.time != "summed":
        return
    places = b.sources.places(_moving(b, value.addresses))
    if any(b.sources.all[i].time == "summed" for i in places.used):
        raise LoweringError(
            f"{where}: a neuron reads a mean over time, and has no time steps to run over. Feed the mean of the frames "
            "as an image, or average behind the neurons."
        )
    steps = np.arange(value.shape[0]).reshape(-1, *[1] * (len(value.shape) - 1))
    known = places.source >= 0
    timed = np.array([*(s.time == "steps" for s in b.sources.all), False])[places.source]
    other_step = (timed & (places.step != steps)).any() or (timed.any() and value.shape[0] != b.time_steps)
    other_sample = (known & (places.sample != places.sample[:1])).any()
    if not other_sample and value.shape[0] == b.time_steps and (timed & (places.step > steps)).any():
        raise LoweringError(
            f"{where}: a neuron reads a later time step than its own, as x.flip(0) gives it, or torch.roll(x, 1, 0), "
            "whose first step is the last. A network reads what came before: "
            "torch.cat([torch.zeros_like(x[:1]), x[:-1]]) of [T, B, ...]."
        )
    if other_step or other_sample:
        raise LoweringError(
            f"{where}: a neuron reads [T, B, ...], time first, and gets a tensor of shape {value.shape} whose first "
            "two axes are not time and batch in this order. Move them before it, such as x.transpose(0, 1) of "
            "[B, T, ...]; a single time step x[t] has no neuron of its own."
        )


def _moving(b: Builder, addresses: Tensor) -> Int64:
    """`addresses`, with constants as zeros: they are the same for every step and sample."""
    a = addresses.numpy()
    constant = np.array([s.constant is not None for s in b.sources.all])
    places = b.sources.places(a)
    return np.where((places.source >= 0) & constant[places.source], 0, a)
