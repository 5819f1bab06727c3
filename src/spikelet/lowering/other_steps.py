"""Tensors that hold another time step of an edge than the one they stand at, or hold it at some steps only.

    y[t] = x[t - d], 0 for t < d      torch.cat([zeros, x[:-1]]), F.pad, a write x[:-1] into out[1:]   d delays (O16)
    y[t] = x[t] or 0                  an image that is shown at the first step only                    an affine by step
    y[t] = x[0] + ... + x[t]          a sum that a loop records at every step                          a running sum
    y[t] = x[t] or z[t - d]           the first frame, and then differences of frames; a current that   their sum
                                      is held, at the first step, and then spikes of the step before

Each element may have a d of its own, as where half of the channels are shifted.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.values import Int64, Places, Source, Value


def at_their_steps(b: Builder, value: Value) -> Value:
    """`value`, where every step reads that step of an edge: of delays and of what some steps leave out."""
    if b.time_steps == 1 or value.source is not None:
        return value
    for axis in range(min(2, len(value.shape))):
        if value.shape[axis] == b.time_steps:
            found = _found(b, np.moveaxis(value.addresses.numpy(), axis, 0))
            if found is not None:
                return Value(value.shape, None, torch.from_numpy(np.moveaxis(found, 0, axis)).contiguous())
    return value


def _found(b: Builder, addresses: Int64) -> Int64 | None:
    """The same elements [T, ...] with addresses of their own step; None where nothing is to be done, or can be."""
    places, steps = b.sources.places(addresses), _along(np.arange(b.time_steps), addresses)
    kinds = np.array([*(("constant" if s.constant is not None else s.time) for s in b.sources.all), "zero"])
    kind = kinds[places.source]
    own_step = (kind == "steps") & (places.step == steps) | (kind == "still") | (kind == "constant")
    if (own_step & (places.source == places.source[:1])).all():
        return None
    running = _running(b, addresses)
    if running is not None:
        return running
    made = addresses.copy()
    for i in (i for i in places.used if kinds[i] in ("steps", "still")):
        source, here = b.sources.all[i], places.source == i
        for by in range(b.time_steps if kinds[i] == "steps" else 1):
            wanted = _expected(b, source, addresses, here, by)
            mine = here.any(0) & (~here | (addresses == wanted)).all(0) & (here | (addresses == 0)).all(0)
            for shown in np.unique(here[:, mine], axis=1).T:
                these = mine & (here == _along(shown, addresses)).all(0)
                new = _shown_at(b, _delayed(b, source, by), shown | (np.arange(b.time_steps) < by))
                frame = (b.batch * source.size if new.time == "steps" else 0) * np.arange(b.time_steps)[:, None]
                inside = (wanted.max(0)[these] - source.start) % (b.batch * source.size)
                made[:, these] = new.start + frame + inside
    seen = [shown for i in places.used if kinds[i] in ("steps", "still") for shown in _seen(b, i, places, addresses)]
    for pair in itertools.combinations(seen, 2):
        _switch(b, pair, addresses, made)
    return None if np.array_equal(made, addresses) else made


def _running(b: Builder, addresses: Int64) -> Int64 | None:
    """The same where every step holds the sum of an edge's steps so far, as a loop adds them up; else None."""
    edges = [b.sources.at(int(at.max())) for at in addresses.reshape(len(addresses), -1)]
    sums = [b.step_sums.get(x.start) for x in edges[1:]]
    x, frame = edges[0], edges[0].batch * edges[0].size
    if x.time != "steps" or any(one is None or one.x is not x for one in sums):
        return None
    inside = [at - edge.start for at, edge in zip(addresses, edges, strict=True)]
    so_far = all((one.counts == (np.arange(b.time_steps) <= t)).all() for t, one in enumerate(sums, 1))  # type: ignore[union-attr]
    if not so_far or not all(((at == inside[0]) & (at >= 0) & (at < frame)).all() for at in inside):
        return None
    key = ("running", x.node, x.start)
    if key not in b.arranged:
        node = ir.SumTime(b.extra_name(f"{x.node}.running"), (x.node,), running=True)
        b.arranged[key] = b.append(node, x.shape, x.scale, "steps", x.kinds)
    return b.arranged[key].start + _along(np.arange(b.time_steps) * frame, addresses) + inside[0]


@dataclasses.dataclass(frozen=True, eq=False)
class _Seen:
    """Where an edge stands, `by` steps later: at which steps [T, ...], which of its elements, and in which places it
    stands as such a delay at every step at which it stands at all."""

    edge: Source
    by: int
    here: NDArray[np.bool_]
    inside: Int64
    fits: NDArray[np.bool_]


def _seen(b: Builder, number: int, places: Places, addresses: Int64) -> Iterator[_Seen]:
    edge, here = b.sources.all[number], places.source == number
    for by in range(b.time_steps if edge.time == "steps" else 1):
        wanted = _expected(b, edge, addresses, here, by)
        fits = here.any(0) & (~here | (addresses == wanted)).all(0)
        if fits.any():
            yield _Seen(edge, by, here, (wanted.max(0) - edge.start) % (b.batch * edge.size), fits)


def _switch(b: Builder, pair: tuple[_Seen, _Seen], addresses: Int64, made: Int64) -> None:
    """Puts into `made` the elements that stand in one edge at some steps and in another at the others."""
    one, other = pair
    if one.edge is other.edge or one.edge.shape != other.edge.shape:
        return
    mine = one.fits & other.fits & (one.here | other.here).all(0) & (one.inside == other.inside)
    for shown in np.unique(one.here[:, mine], axis=1).T:
        these = mine & (one.here == _along(shown, addresses)).all(0)
        parts = [_shown_at(b, _delayed(b, x.edge, x.by), at) for x, at in zip(pair, (shown, ~shown), strict=True)]
        scale = min(float(x.scale.min()) for x in parts)
        parts = [b.at_scale(x, scale, x.node) for x in parts]
        node = ir.Add(b.extra_name(f"{parts[0].node}.else"), (parts[0].node, parts[1].node))
        new = b.append(node, one.edge.shape, np.array(scale), "steps", one.edge.kinds)
        frames = _along(np.arange(b.time_steps) * b.batch * new.size, addresses)
        made[:, these] = (new.start + frames + one.inside)[:, these]


def at_the_later_step(b: Builder, values: list[Value]) -> list[Value]:
    """Two tensors of several steps each, one of which is always as many steps before the other, as x[1:] and x[:-1]
    are: the earlier one as what delays give at the steps of the later. All others as they are."""
    places = [b.sources.places(a) for a in np.broadcast_arrays(*(v.addresses.numpy() for v in values))]
    timed = np.array([*(s.time == "steps" for s in b.sources.all), False])
    both = timed[places[0].source] & timed[places[1].source]
    apart = np.unique((places[0].step - places[1].step)[both])
    of_two = b.time_steps == 2 and all(len(v.shape) > 1 and v.shape[0] == 1 for v in values)  # x[1:] of two steps
    several = of_two or all(len(np.unique(p.step[both])) > 1 for p in places)
    if len(apart) != 1 or apart[0] == 0 or not several:
        return values
    earlier, by = (1, int(apart[0])) if apart[0] > 0 else (0, -int(apart[0]))
    addresses = values[earlier].addresses.numpy()
    place, made = b.sources.places(addresses), addresses.copy()
    for i in (i for i in place.used if timed[i]):
        source, here = b.sources.all[i], place.source == i
        if place.step[here].max() + by >= b.time_steps:
            return values
        made[here] += _delayed(b, source, by).start - source.start + by * b.batch * source.size
    moved = Value(values[earlier].shape, None, torch.from_numpy(made))
    return [moved if n == earlier else value for n, value in enumerate(values)]


def _along(values: NDArray[Any], addresses: Int64) -> NDArray[Any]:
    """`values` [T], shaped to go with addresses [T, ...]."""
    return values.reshape(-1, *[1] * (addresses.ndim - 1))


def _expected(b: Builder, source: Source, addresses: Int64, here: NDArray[np.bool_], by: int) -> Int64:
    """The addresses of the elements that stand in `source` anywhere, at every step `by` steps before; -1 where there is
    no such step."""
    frame = b.batch * source.size
    inside = np.where(here, (addresses - source.start) % frame, -1).max(0)
    steps = _along(np.arange(b.time_steps) - by, addresses)
    before = source.start + inside + (steps * frame if source.time == "steps" else 0)
    return np.where(steps < 0, -1, before)


def _delayed(b: Builder, x: Source, by: int) -> Source:
    """`x`, `by` steps later."""
    for _ in range(by):
        key = ("delay", x.node, x.start)
        if key not in b.arranged:
            node = ir.Delay(b.extra_name(f"{x.node}.before"), (x.node,), x.shape)
            b.arranged[key] = b.append(node, x.shape, x.scale, "steps", x.kinds)
        x = b.arranged[key]
    return x


def _shown_at(b: Builder, x: Source, shown: NDArray[np.bool_]) -> Source:
    """`x` at the steps that are marked, and zeros at the others."""
    key = ("shown", x.node, x.start, shown.tobytes())
    if shown.all():
        return x
    if key not in b.arranged:
        zeros = np.zeros((b.time_steps, 1))
        name = b.extra_name(f"{x.node}.shown")
        b.arranged[key] = b.scaled(x, shown[:, None].astype(np.int64), zeros.astype(np.int64), zeros, name, x.scale)
    return b.arranged[key]
