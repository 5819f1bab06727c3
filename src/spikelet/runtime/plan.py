"""From an integer graph to the flat array of operations that the C library runs.

One operation of the library does what several nodes say, pixel after pixel, so that no map of 32-bit
currents is written unless somebody else reads it:

    synapses or source -> [Affine] -> [Add] -> [Lif | SumTime]

A map lies in the arena channels last, as packed spikes or as int32 values (spikelet.h); `Flatten` only
changes its name. Nothing here looks at the data: what a plan does depends on the graph, on whether the
input has a time axis, and on the kernel set.
"""

from __future__ import annotations

import ctypes
import dataclasses
import math
from collections.abc import Callable
from typing import Any

from spikelet.graph import ir
from spikelet.graph.analysis import Edge
from spikelet.runtime import layout
from spikelet.runtime.library import NONE, Form, KernelSet, Kind, Op, library

Map = tuple[int, int, int]


@dataclasses.dataclass(eq=False)
class Buffer:
    """Bytes in the arena, alive from operation `first` to operation `last`."""

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
class Plan:
    """Operations ready to run. `keep` holds the arrays that their pointers point to."""

    ops: ctypes.Array[Op]
    arena_bytes: int
    spike_outputs: tuple[tuple[str, tuple[int, ...]], ...]
    keep: tuple[object, ...]


class Packed:
    """Weights and constants of a graph, packed when first asked for and shared by its plans."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, object], Any] = {}

    def get(self, node: ir.Node, what: object, make: Callable[[], Any]) -> Any:
        """The packed form `what` of `node`."""
        key = node.name, what
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def make_plan(
    graph: ir.IntGraph, edges: dict[str, Edge], kernels: KernelSet, packed: Packed, *, still: bool, spikes: bool
) -> Plan:
    """The plan of `graph`, for an input of one step (`still`) or T, giving logits or every Lif's `spikes`."""
    return _Planner(graph, edges, kernels, packed, still, spikes).plan()


@dataclasses.dataclass(eq=False)
class _Stage:
    """A fused operation in the making. `tail` is the last node that it computes so far."""

    kind: Kind
    source: Value
    map: Map
    fields: dict[str, Any]
    tail: ir.Node | None = None
    affine: ir.Affine | None = None
    addend: Value | None = None
    sum_time: ir.SumTime | None = None
    lif: ir.Lif | None = None

    @property
    def steps(self) -> int:
        """Steps of the current: T where the source or the addend has them."""
        return max(self.source.steps, self.addend.steps if self.addend else 1)


class _Planner:
    def __init__(
        self, graph: ir.IntGraph, edges: dict[str, Edge], kernels: KernelSet, packed: Packed, still: bool, spikes: bool
    ) -> None:
        self.graph, self.edges, self.kernels, self.packed = graph, edges, kernels, packed
        self.T = graph.time_steps
        self.spikes_wanted = spikes
        self.roots = {n.name for n in graph.of_type(ir.Lif)} if spikes else {graph.output.name}
        self.live = self._live()
        self.users: dict[str, list[ir.Node]] = {n.name: [] for n in graph.nodes}
        for node in graph.nodes:
            if node.name in self.live:
                for name in dict.fromkeys(node.inputs):
                    self.users[name].append(node)
        self.values: dict[tuple[str, Form], Value] = {}
        self.done: set[str] = set()
        self.steps: list[tuple[dict[str, Any], dict[str, Buffer]]] = []  # fields and places of every operation
        self.keep: list[object] = []
        self._bind(graph.input, Value(Form.BYTES, _natural(graph.input.shape), 1 if still else self.T, None))

    def _live(self) -> set[str]:
        """Nodes that a root needs."""
        live = set(self.roots)
        for node in reversed(self.graph.nodes):
            if node.name in live:
                live.update(node.inputs)
        return live

    def plan(self) -> Plan:
        """All operations, then the arena."""
        for node in self.graph.nodes[1:]:
            if node.name in self.live and node.name not in self.done:
                _RULES[type(node)](self, node)
        outputs = self._export()
        scratch = self._scratch()
        top = layout.round_up(scratch, layout.ALIGNMENT)
        arena = _allocate([b for _, places in self.steps for b in places.values()], top)
        ops = (Op * len(self.steps))()
        for op, (fields, places) in zip(ops, self.steps, strict=True):
            _fill(op, fields | {name: b.offset for name, b in places.items()} | {"scratch": 0})
        return Plan(ops, max(arena, layout.ALIGNMENT), outputs, tuple(self.keep))

    def _scratch(self) -> int:
        """The largest scratch memory that an operation asks for; all share it, at the arena's start."""
        need = 0
        for fields, places in self.steps:
            op = Op()
            _fill(op, fields | dict.fromkeys(places, 0))
            need = max(need, library().spk_op_scratch(self.kernels.index, ctypes.byref(op)))
        return need

    # Values and operations.

    def _bind(self, node: ir.Node, value: Value) -> None:
        self.values[node.name, value.form] = value
        self.done.add(node.name)

    def _new(self, form: Form, map_: Map, steps: int) -> Value:
        c, h, w = map_
        pixel = layout.round_up(c, 64) // 8 if form is Form.SPIKES else layout.round_up(c, 8) * 4
        now = len(self.steps)
        return Value(form, map_, steps, Buffer(layout.round_up(steps * h * w * pixel, layout.ALIGNMENT), now, now))

    def _emit(self, kind: Kind, source: Value, map_: Map, places: dict[str, Value | None], **fields: Any) -> None:
        """Appends an operation; `places` are the maps that it reads or writes beside its source."""
        used = {"src": source, **places}
        buffers = {name: v.buffer for name, v in used.items() if v is not None and v.buffer is not None}
        for buffer in buffers.values():
            buffer.last = len(self.steps)
        shape = {"in_c": source.map[0], "in_h": source.map[1], "in_w": source.map[2], "in_t": source.steps}
        shape |= {"out_c": map_[0], "out_h": map_[1], "out_w": map_[2]}
        self.steps.append(({"kind": kind, "source": source.form, "T": self.T} | shape | fields, buffers))

    def _readable(self, name: str) -> Value:
        """The node's map as int32 values or as the bytes from outside."""
        for form in (Form.VALUES, Form.BYTES):
            if (name, form) in self.values:
                return self.values[name, form]
        spikes = self.values[name, Form.SPIKES]
        value = self._new(Form.VALUES, spikes.map, spikes.steps)
        self._emit(Kind.UNPACK, spikes, spikes.map, {"values": value})
        self.values[name, Form.VALUES] = value
        return value

    def _as_values(self, name: str) -> Value:
        """The node's map as int32 values."""
        source = self._readable(name)
        if source.form is Form.VALUES:
            return source
        value = self._new(Form.VALUES, source.map, source.steps)
        self._emit(Kind.POINTWISE, source, source.map, {"values": value})
        self.values[name, Form.VALUES] = value
        return value

    def _natural_values(self, name: str) -> Value:
        """The node's map as int32 values in the order of its shape, where `Flatten` had left it as it was."""
        value = self._as_values(name)
        natural = _natural(self.edges[name].shape)
        if value.map == natural:
            return value
        reshaped = self._new(Form.VALUES, natural, value.steps)
        self._emit(Kind.RESHAPE, value, natural, {"values": reshaped})
        return reshaped

    def _synaptic(self, name: str) -> Value:
        """The node's map as a convolution likes it best: spikes if it has them."""
        return self.values.get((name, Form.SPIKES)) or self._readable(name)

    def _map(self, name: str) -> Map:
        return next(self.values[name, form].map for form in Form if (name, form) in self.values)

    # Stages.

    def _finish(self, stage: _Stage) -> None:
        """Lets `stage` take in the nodes after its tail, then emits it."""
        while self._take_affine(stage) or self._take_add(stage):
            pass
        tail = stage.tail
        if tail is not None:
            users = self.users[tail.name]
            stage.lif = next((u for u in users if isinstance(u, ir.Lif)), None)
            only = self._only_user(tail)
            stage.sum_time = only if isinstance(only, ir.SumTime) else None
        places: dict[str, Value | None] = {"addend": stage.addend}
        if stage.sum_time is not None:
            places["values"] = self._new(Form.VALUES, stage.map, 1)
            self._bind(stage.sum_time, places["values"])
        elif tail is not None and (tail.name in self.roots or any(u is not stage.lif for u in self.users[tail.name])):
            places["values"] = self._new(Form.VALUES, stage.map, stage.steps)
            self._bind(tail, places["values"])
        fields = dict(stage.fields)
        if stage.lif is not None:
            places["spikes"] = self._new(Form.SPIKES, stage.map, self.T)
            self._bind(stage.lif, places["spikes"])
            fields |= _neuron(stage.lif)
        if stage.affine is not None:
            fields |= self._affine_fields(stage.affine)
        if stage.addend is not None:
            fields |= {"addend_t": stage.addend.steps}
        self._emit(stage.kind, stage.source, stage.map, places, sum_time=stage.sum_time is not None, **fields)

    def _only_user(self, node: ir.Node) -> ir.Node | None:
        users = self.users[node.name]
        return users[0] if len(users) == 1 and node.name not in self.roots else None

    def _take_affine(self, stage: _Stage) -> bool:
        user = self._only_user(stage.tail) if stage.tail else None
        if not isinstance(user, ir.Affine) or stage.affine or stage.addend or stage.map != _natural(self.edges[user.name].shape):
            return False
        stage.affine, stage.tail = user, user
        self.done.add(user.name)
        return True

    def _take_add(self, stage: _Stage) -> bool:
        user = self._only_user(stage.tail) if stage.tail else None
        if not isinstance(user, ir.Add) or len(user.inputs) != 2 or stage.addend or stage.tail is None:
            return False
        others = [n for n in user.inputs if n != stage.tail.name]
        if len(others) != 1 or others[0] not in self.done or self._map(others[0]) != stage.map:
            return False
        stage.addend, stage.tail = self._as_values(others[0]), user
        self.done.add(user.name)
        return True

    def _affine_fields(self, node: ir.Affine) -> dict[str, Any]:
        edge = self.edges[node.inputs[0]]
        constants = self.packed.get(node, "affine", lambda: layout.affine_constants(node, edge.low, edge.high))
        self.keep.append(constants)
        pointers = {name: array.ctypes.data for name, array in constants.arrays.items()}
        return {"affine": constants.mode, "split": constants.split} | pointers

    # One rule a node type.

    def conv(self, node: ir.Conv) -> None:
        source = self._synaptic(node.inputs[0])
        self._synapses(node, node.weight, source, node.stride, node.padding, node.groups)

    def linear(self, node: ir.Linear) -> None:
        """A convolution with a kernel of the size of the map."""
        source = self._synaptic(node.inputs[0])
        weight = node.weight.reshape(len(node.weight), *source.map)
        self._synapses(node, weight, source, (1, 1), (0, 0), 1)

    def _synapses(
        self, node: ir.Conv | ir.Linear, weight: Any, source: Value, stride: Any, padding: Any, groups: int
    ) -> None:
        kind = self._kind(node, source, groups)
        pack = {
            Kind.CONV_ROWS: lambda: layout.rows(node.name, weight, groups),
            Kind.CONV_VALUES: lambda: layout.rows(node.name, weight, groups),
            Kind.CONV_SLICED: lambda: layout.sliced(node.name, weight),
            Kind.CONV_PAIRS: lambda: layout.pairs(node.name, weight),
        }
        weights: layout.Weights = self.packed.get(node, (kind, source.map), pack[kind])
        self.keep.append(weights)
        fields = {
            "kernel_h": weight.shape[2], "kernel_w": weight.shape[3], "stride_h": stride[0], "stride_w": stride[1],
            "pad_h": padding[0], "pad_w": padding[1], "groups": groups,
            "code_top": 1 if node.bits == 1 else 2 ** (node.bits - 1) - 1,
            "weight": weights.array.ctypes.data, "row_bytes": weights.row_bytes,
        }  # fmt: skip
        self._finish(_Stage(kind, source, _natural(self.edges[node.name].shape), fields, tail=node))

    def _kind(self, node: ir.Conv | ir.Linear, source: Value, groups: int) -> Kind:
        """The best kernel that the set has for these weights on this source."""
        has = self.kernels.kinds
        if source.form is Form.SPIKES:
            wide = node.bits == 1 and groups == 1 and len(node.weight) > 64 and node.weight[0].size < 2**16 - 8
            return Kind.CONV_SLICED if wide and Kind.CONV_SLICED in has else Kind.CONV_ROWS
        edge = self.edges[node.inputs[0]]
        short = edge.low.min() >= -(2**15) and edge.high.max() < 2**15 and groups == 1
        return Kind.CONV_PAIRS if short and Kind.CONV_PAIRS in has else Kind.CONV_VALUES

    def affine(self, node: ir.Affine) -> None:
        (name,) = node.inputs
        natural = _natural(self.edges[node.name].shape)
        source = self._readable(name) if self._map(name) == natural else self._natural_values(name)
        self._finish(_Stage(Kind.POINTWISE, source, natural, {}, tail=node, affine=node))

    def add(self, node: ir.Add) -> None:
        """Two at a time."""
        alike = len({self._map(n) for n in node.inputs}) == 1
        get = self._as_values if alike else self._natural_values
        first, *rest = (get(n) for n in node.inputs)
        for addend in rest[:-1]:
            total = self._new(Form.VALUES, first.map, max(first.steps, addend.steps))
            self._emit(Kind.POINTWISE, first, first.map, {"addend": addend, "values": total}, addend_t=addend.steps)
            first = total
        self._finish(_Stage(Kind.POINTWISE, first, first.map, {}, tail=node, addend=rest[-1]))

    def lif(self, node: ir.Lif) -> None:
        source = self._readable(node.inputs[0])
        self._finish(_Stage(Kind.POINTWISE, source, source.map, {}, lif=node))

    def sum_time(self, node: ir.SumTime) -> None:
        spikes = self.values.get((node.inputs[0], Form.SPIKES))
        if spikes is None:
            source = self._readable(node.inputs[0])
            self._finish(_Stage(Kind.POINTWISE, source, source.map, {}, sum_time=node))
            return
        count = self._new(Form.VALUES, spikes.map, 1)
        self._emit(Kind.UNPACK, spikes, spikes.map, {"values": count}, sum_time=True)
        self._bind(node, count)

    def max_pool(self, node: ir.MaxPool) -> None:
        source = self.values.get((node.inputs[0], Form.SPIKES)) or self._as_values(node.inputs[0])
        out = self._new(source.form, _natural(self.edges[node.name].shape), source.steps)
        kind = Kind.MAXPOOL_SPIKES if source.form is Form.SPIKES else Kind.MAXPOOL_VALUES
        place = "spikes" if source.form is Form.SPIKES else "values"
        self._emit(kind, source, out.map, {place: out}, **_window(node.kernel, node.stride, node.padding))
        self._bind(node, out)

    def sum_pool(self, node: ir.SumPool) -> None:
        source = self._as_values(node.inputs[0])
        out = self._new(Form.VALUES, _natural(self.edges[node.name].shape), source.steps)
        self._emit(Kind.SUMPOOL, source, out.map, {"values": out}, **_window(node.kernel, node.kernel, 0))
        self._bind(node, out)

    def flatten(self, node: ir.Flatten) -> None:
        """The same maps under another name."""
        for form in Form:
            value = self.values.get((node.inputs[0], form))
            if value is not None:
                self._bind(node, value)

    # Results.

    def _export(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Appends the operations that hand results to the caller; names and shapes of exported spikes."""
        if not self.spikes_wanted:
            logits = self._as_values(self.graph.output.name)
            self._emit(Kind.EXPORT_VALUES, logits, logits.map, {})
            return ()
        outputs, place = [], 0
        for node in self.graph.of_type(ir.Lif):
            spikes = self.values[node.name, Form.SPIKES]
            self._emit(Kind.EXPORT_SPIKES, spikes, spikes.map, {}, external=place)
            place += self.T * self.edges[node.name].size
            outputs.append((node.name, self.edges[node.name].shape))
        return tuple(outputs)


_RULES: dict[type[ir.Node], Callable[..., None]] = {
    ir.Conv: _Planner.conv,
    ir.Linear: _Planner.linear,
    ir.Affine: _Planner.affine,
    ir.Add: _Planner.add,
    ir.Lif: _Planner.lif,
    ir.MaxPool: _Planner.max_pool,
    ir.SumPool: _Planner.sum_pool,
    ir.Flatten: _Planner.flatten,
    ir.SumTime: _Planner.sum_time,
}


def _natural(shape: tuple[int, ...]) -> Map:
    """(C, H, W) or (F,) as a map."""
    c, h, w = shape if len(shape) == 3 else (math.prod(shape), 1, 1)
    return c, h, w


def _window(kernel: int, stride: int, padding: int) -> dict[str, int]:
    return {
        "kernel_h": kernel, "kernel_w": kernel, "stride_h": stride, "stride_w": stride,
        "pad_h": padding, "pad_w": padding,
    }  # fmt: skip


def _neuron(node: ir.Lif) -> dict[str, int]:
    membrane = node.membrane
    return {
        "leak": node.leak, "gain": node.gain, "leak_bits": node.leak_bits, "threshold": node.threshold,
        "soft_reset": node.reset == "soft", "membrane_shift": membrane.shift if membrane else 0,
        "membrane_top": 2 ** (membrane.bits - 1) - 1 if membrane else 0,
    }  # fmt: skip


def _fill(op: Op, fields: dict[str, Any]) -> None:
    """Writes `fields`; offsets that are not named are absent."""
    for name in ("src", "addend", "values", "spikes"):
        setattr(op, name, NONE)
    for name, value in fields.items():
        setattr(op, name, int(value))


def _allocate(buffers: list[Buffer], start: int) -> int:
    """Gives every buffer the lowest place free during its life, from `start`; returns the arena's size."""
    placed: list[Buffer] = []
    for buffer in sorted(dict.fromkeys(buffers), key=lambda b: b.first):
        busy = sorted((b for b in placed if b.last >= buffer.first and b.first <= buffer.last), key=lambda b: b.offset)
        place = start
        for other in busy:
            if place + buffer.size <= other.offset:
                break
            place = max(place, other.offset + other.size)
        buffer.offset = place
        placed.append(buffer)
    return max((b.offset + b.size for b in placed), default=start)
