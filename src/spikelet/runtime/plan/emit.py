"""Operations in order, and from when to when each map is needed."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from typing import Any

from spikelet.runtime import layout
from spikelet.runtime.plan.arena import place
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.operation import Buffer, Constant, Planned
from spikelet.runtime.plan.sets import KernelSet

Map = tuple[int, int, int]
DEFAULTS = {"groups": 1, "dilation_h": 1, "dilation_w": 1, "affine_t": 1, "levels": 1, "max_h": 1, "max_w": 1}


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """A node's map in memory: its form, (C, H, W), steps (T, or 1 where every step is the same) and place.

    planes: of a map in planes; 1 otherwise.

    Bytes from outside have no place.
    """

    form: Form
    map: Map
    steps: int
    buffer: Buffer | None
    planes: int = 1


@dataclasses.dataclass(frozen=True, eq=False)
class Operations:
    """Operations in order, and the arena that they run in: scratch memory for all at its start, then maps."""

    planned: tuple[Planned, ...]
    scratch_bytes: int
    arena_bytes: int


class Emitter:
    """Collects operations for one kernel set and T time steps; `node` is the one whose rule runs."""

    def __init__(self, kernels: KernelSet, time_steps: int) -> None:
        self.kernels, self.T = kernels, time_steps
        self.node = ""
        self._planned: list[Planned] = []
        self._candidates: dict[str, tuple[Kind, ...]] = {}

    def new(self, form: Form, map_: Map, steps: int, planes: int = 1) -> Value:
        """A map that the next operation writes."""
        c, h, w = map_
        pixel = layout.round_up(c, 8) * 4 if form is Form.VALUES else layout.round_up(c, 64) // 8
        now, plane = len(self._planned), layout.round_up(steps * h * w * pixel, layout.ALIGNMENT)
        return Value(form, map_, steps, Buffer(planes * plane, now, now), planes)

    def emit(self, kind: Kind, source: Value, map_: Map, places: dict[str, Value | None], **fields: Any) -> None:
        """Appends an operation from `source` to maps of (C, H, W); `places` are what else it reads or writes, `fields`
        its numbers and constants."""
        named = {"src": source} | places
        buffers = {n: v.buffer for n, v in named.items() if v is not None and v.buffer is not None}
        self.use(named.values())
        pool = fields.setdefault("pool", 1)
        in_c, map_h, map_w = source.map
        shape = {"in_c": in_c, "in_h": map_h // pool, "in_w": map_w // pool, "map_h": map_h, "map_w": map_w}
        shape |= {"out_c": map_[0], "out_h": map_[1], "out_w": map_[2], "in_t": source.steps, "T": self.T}
        planes = {"source_planes": source.planes} if source.form is Form.PLANES else {}
        fields = {"source": source.form} | planes | DEFAULTS | shape | fields
        arrays = {n: v for n, v in fields.items() if isinstance(v, Constant)}
        numbers = {n: int(v) for n, v in fields.items() if n not in arrays}
        able = self._candidates.get(self.node, ())
        self._planned.append(Planned(kind, self.node, numbers, buffers, arrays, able if kind in able else ()))

    def offer(self, kinds: tuple[Kind, ...]) -> None:
        """One of `kinds` runs the node whose rule runs."""
        self._candidates[self.node] = kinds if len(kinds) > 1 else ()

    def use(self, values: Iterable[Value | None]) -> None:
        """The next operation needs `values`."""
        for value in values:
            if value is not None and value.buffer is not None:
                value.buffer.last = len(self._planned)

    def finish(self) -> Operations:
        """The operations, every map in its place."""
        scratch = layout.round_up(max(map(self.kernels.scratch_bytes, self._planned), default=0), layout.ALIGNMENT)
        arena = place([b for planned in self._planned for b in planned.places.values()], scratch)
        return Operations(tuple(self._planned), scratch, max(arena, layout.ALIGNMENT))
