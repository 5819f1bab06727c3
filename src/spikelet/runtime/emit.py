"""Maps in the arena, and the array of operations that fills them.

An `Emitter` collects operations in order and knows from when to when each map is needed; `finish` gives
every map a place (maps that are never needed together share one) and writes the C structures.
"""

from __future__ import annotations

import bisect
import ctypes
import dataclasses
import heapq
import math
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from spikelet.base.errors import GraphError
from spikelet.runtime import layout
from spikelet.runtime.library import KernelSet, library
from spikelet.runtime.structures import NONE, PLACES, Form, Kind, Op

Map = tuple[int, int, int]
DEFAULTS = {"groups": 1, "dilation_h": 1, "dilation_w": 1, "affine_t": 1, "levels": 1}


@dataclasses.dataclass(eq=False)
class Buffer:
    """Bytes in the arena, needed from operation `first` to operation `last`."""

    size: int
    first: int
    last: int
    offset: int = NONE


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """A node's map in memory: its form, (C, H, W), steps (T, or 1 where every step is the same) and place.

    Bytes from outside have no place.
    """

    form: Form
    map: Map
    steps: int
    buffer: Buffer | None


@dataclasses.dataclass(frozen=True, eq=False)
class Operations:
    """Operations ready to run, and where they lie. `keep` holds the arrays that their pointers point to.

    nodes: for each operation the node whose rule emitted it, "" where none did; the nodes behind are fused into it.
    """

    ops: ctypes.Array[Op]
    nodes: tuple[str, ...]
    arena_bytes: int
    keep: tuple[object, ...]
    address: int
    count: int

    def __reduce__(self) -> NoReturn:
        raise GraphError("a plan holds addresses of this process; pickle or copy its Program, which plans anew.")


class Emitter:
    """Collects operations for one kernel set and T time steps; `node` is the one whose rule runs."""

    def __init__(self, kernels: KernelSet, time_steps: int) -> None:
        self.kernels, self.T = kernels, time_steps
        self.node = ""
        self._nodes: list[str] = []
        self._steps: list[tuple[dict[str, Any], dict[str, Buffer]]] = []  # fields and places of every operation

    def new(self, form: Form, map_: Map, steps: int) -> Value:
        """A map that the next operation writes."""
        c, h, w = map_
        pixel = layout.round_up(c, 64) // 8 if form is Form.SPIKES else layout.round_up(c, 8) * 4
        now = len(self._steps)
        return Value(form, map_, steps, Buffer(layout.round_up(steps * h * w * pixel, layout.ALIGNMENT), now, now))

    def emit(self, kind: Kind, source: Value, map_: Map, places: dict[str, Value | None], **fields: Any) -> None:
        """Appends an operation from `source` to maps of (C, H, W); `places` are what else it reads or writes."""
        named = {"src": source} | places
        buffers = {n: v.buffer for n, v in named.items() if v is not None and v.buffer is not None}
        self.use(named.values())
        pool = fields.setdefault("pool", 1)
        in_c, map_h, map_w = source.map
        shape = {"in_c": in_c, "in_h": map_h // pool, "in_w": map_w // pool, "map_h": map_h, "map_w": map_w}
        shape |= {"out_c": map_[0], "out_h": map_[1], "out_w": map_[2], "in_t": source.steps, "T": self.T}
        self._nodes.append(self.node)
        self._steps.append(({"kind": kind, "source": source.form} | DEFAULTS | shape | fields, buffers))

    def use(self, values: Iterable[Value | None]) -> None:
        """The next operation needs `values`."""
        for value in values:
            if value is not None and value.buffer is not None:
                value.buffer.last = len(self._steps)

    def finish(self, keep: Sequence[object]) -> Operations:
        """The operations, which hold what they must `keep`. All share scratch memory at the arena's start."""
        ops = (Op * len(self._steps))()
        for op, (fields, places) in zip(ops, self._steps, strict=True):
            _fill(op, fields | dict.fromkeys(places, 0))
        scratch = layout.round_up(max(map(self._scratch, ops), default=0), layout.ALIGNMENT)
        arena = place([b for _, places in self._steps for b in places.values()], scratch)
        for op, (_, places) in zip(ops, self._steps, strict=True):
            for name, buffer in places.items():
                setattr(op, name, buffer.offset)
        size = max(arena, layout.ALIGNMENT)
        return Operations(ops, tuple(self._nodes), size, tuple(keep), ctypes.addressof(ops), len(ops))

    def _scratch(self, op: Op) -> int:
        return library().spk_op_scratch(self.kernels.index, ctypes.byref(op))


def _fill(op: Op, fields: dict[str, Any]) -> None:
    """Writes `fields`; places that are not named are absent."""
    for name in PLACES:
        setattr(op, name, NONE)
    for name, value in fields.items():
        setattr(op, name, int(value))


def place(buffers: list[Buffer], start: int) -> int:
    """Gives every buffer the lowest place free while it is needed, from `start`; returns the arena's size."""
    gaps: list[tuple[float, float]] = [(start, math.inf)]  # free places, in order
    needed: list[tuple[int, int, int]] = []  # a heap of (last, offset, size)
    arena = start
    for buffer in sorted(dict.fromkeys(buffers), key=lambda b: b.first):
        while needed and needed[0][0] < buffer.first:
            _, offset, size = heapq.heappop(needed)
            _free(gaps, offset, offset + size)
        i = next(i for i, (first, end) in enumerate(gaps) if end - first >= buffer.size)
        first, end = gaps[i]
        buffer.offset = int(first)
        gaps[i : i + 1] = [(first + buffer.size, end)] if first + buffer.size < end else []
        heapq.heappush(needed, (buffer.last, buffer.offset, buffer.size))
        arena = max(arena, buffer.offset + buffer.size)
    return arena


def _free(gaps: list[tuple[float, float]], first: float, end: float) -> None:
    """Adds a place to `gaps`, which stay in order and never touch."""
    i = bisect.bisect(gaps, (first, end))
    before, after = gaps[i - 1 : i] if i else [], gaps[i : i + 1]
    if before and before[0][1] == first:
        first, i = before[0][0], i - 1
    else:
        before = []
    if after and after[0][0] == end:
        end = after[0][1]
    else:
        after = []
    gaps[i : i + len(before) + len(after)] = [(first, end)]
