"""From an integer graph to the flat array of operations that the C library runs.

One operation of the library does what several nodes say, pixel after pixel, so that no map of 32-bit
currents is written unless somebody else reads it:

    synapses or source -> [Affine] -> [Add] -> [Lif | SumTime]

Three nodes often cost nothing at all: `Flatten` only renames a map; a `SumPool` over spikes that feeds
synapses is a list of spikes with repetitions; an `Affine` over spikes that feeds an `Add` is a choice
between two constants. Nothing here looks at the data: a plan depends on the graph, on whether the input
has a time axis, and on the kernel set.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from spikelet.graph import ir
from spikelet.graph.analysis import Edge
from spikelet.runtime import layout
from spikelet.runtime.emit import Emitter, Map, Plan, Value, natural
from spikelet.runtime.library import KernelSet
from spikelet.runtime.structures import Form, Kind
from spikelet.runtime.synapses import Synapses


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


MAX_NESTED = 50  # five frames of Python each; an Add further in is an operation of its own


def make_plan(
    graph: ir.IntGraph, edges: dict[str, Edge], kernels: KernelSet, packed: Packed, *, still: bool, spikes: bool
) -> Plan:
    """The plan of `graph`, for an input of one step (`still`) or T, giving logits or every Lif's `spikes`."""
    roots = {n.name for n in graph.of_type(ir.Lif)} if spikes else {graph.output.name}
    planner = _Planner(graph, edges, packed, roots, Emitter(kernels, graph.time_steps))
    planner.start(still)
    planner.make(planner.live)
    return planner.emitter.finish(planner.export_spikes() if spikes else planner.export_logits())


@dataclasses.dataclass(frozen=True, eq=False)
class _Pooled:
    """A SumPool over spikes that nobody has computed."""

    spikes: Value
    kernel: int
    map: Map


@dataclasses.dataclass(frozen=True, eq=False)
class _Scaled:
    """An Affine over spikes that nobody has computed, or spikes themselves: two constants a channel."""

    spikes: Value
    levels: layout.Levels


@dataclasses.dataclass(eq=False)
class _Stage:
    """A fused operation in the making. `tail` is the last node that it computes so far."""

    kind: Kind
    source: Value
    map: Map
    fields: dict[str, Any]
    tail: ir.Node | None = None
    affine: ir.Affine | None = None
    addend: Value | _Scaled | None = None
    sum_time: ir.SumTime | None = None
    lif: ir.Lif | None = None

    @property
    def addend_map(self) -> Value | None:
        """The map that the addend lies in."""
        return self.addend.spikes if isinstance(self.addend, _Scaled) else self.addend

    @property
    def steps(self) -> int:
        """Steps of the current: T where the source or the addend has them."""
        return max(self.source.steps, self.addend_map.steps if self.addend_map else 1)


class _Planner:
    def __init__(
        self, graph: ir.IntGraph, edges: dict[str, Edge], packed: Packed, roots: set[str], emitter: Emitter
    ) -> None:
        self.graph, self.edges, self.packed, self.roots, self.emitter = graph, edges, packed, roots, emitter
        self.live = self._needed_by(roots)
        self.users: dict[str, list[ir.Node]] = {n.name: [] for n in graph.nodes}
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs) if node.name in self.live else ():
                self.users[name].append(node)
        self.maps: dict[str, Map] = {}  # of every node that is done
        self.values: dict[tuple[str, Form], Value] = {}
        self.pooled: dict[str, _Pooled] = {}
        self.scaled: dict[str, ir.Affine] = {}
        self._nested = 0  # Adds whose other term is being made

    def _needed_by(self, names: set[str]) -> set[str]:
        """`names` and every node that they depend on."""
        needed = set(names)
        for node in reversed(self.graph.nodes):
            if node.name in needed:
                needed.update(node.inputs)
        return needed

    def start(self, still: bool) -> None:
        """The input's bytes are there from the beginning."""
        node = self.graph.input
        self._bind(node, Value(Form.BYTES, natural(node.shape), 1 if still else self.graph.time_steps, None))

    def make(self, names: set[str]) -> None:
        """Operations for those of `names` that have none yet."""
        for node in self.graph.nodes:
            if node.name in names and node.name not in self.maps:
                _RULES[type(node)](self, node)

    # Values.

    def _bind(self, node: ir.Node, value: Value) -> None:
        self.values[node.name, value.form] = value
        self.maps[node.name] = value.map

    def _has_value(self, name: str) -> bool:
        """False while the node is inside a stage that is still growing."""
        return name in self.pooled or name in self.scaled or any((name, form) in self.values for form in Form)

    def _spikes(self, name: str) -> Value | None:
        return self.values.get((name, Form.SPIKES))

    def _readable(self, name: str) -> Value:
        """The node's map as int32 values, or as the bytes from outside."""
        for form in (Form.VALUES, Form.BYTES):
            if (name, form) in self.values:
                return self.values[name, form]
        value = self._computed(name)
        self.values[name, Form.VALUES] = value
        return value

    def _computed(self, name: str) -> Value:
        """The int32 values of spikes, or of what had been left to be computed later."""
        if name in self.pooled:
            pooled = self.pooled[name]
            source, kind, fields = self._unpacked(pooled.spikes), Kind.SUMPOOL, _window(pooled.kernel, pooled.kernel, 0)
        elif name in self.scaled:
            affine = self.scaled[name]
            source, kind, fields = self._readable(affine.inputs[0]), Kind.POINTWISE, self._affine_fields(affine)
        else:
            return self._unpacked(self.values[name, Form.SPIKES])
        value = self.emitter.new(Form.VALUES, self.maps[name], source.steps)
        self.emitter.emit(kind, source, value.map, {"values": value}, **fields)
        return value

    def _unpacked(self, spikes: Value) -> Value:
        value = self.emitter.new(Form.VALUES, spikes.map, spikes.steps)
        self.emitter.emit(Kind.UNPACK, spikes, spikes.map, {"values": value})
        return value

    def _as_values(self, name: str) -> Value:
        """The node's map as int32 values."""
        source = self._readable(name)
        if source.form is Form.BYTES:
            value = self.emitter.new(Form.VALUES, source.map, source.steps)
            self.emitter.emit(Kind.POINTWISE, source, source.map, {"values": value})
            self.values[name, Form.VALUES] = source = value
        return source

    def _in_order(self, name: str) -> Value:
        """The node's map as int32 values in the order of its shape, where `Flatten` had only renamed it."""
        shape = natural(self.edges[name].shape)
        if self.maps[name] == shape:
            return self._readable(name)
        value = self._as_values(name)
        ordered = self.emitter.new(Form.VALUES, shape, value.steps)
        self.emitter.emit(Kind.RESHAPE, value, shape, {"values": ordered})
        return ordered

    def _addend(self, name: str) -> Value | _Scaled:
        """The node's map as something to add: spikes remain spikes."""
        if (name, Form.VALUES) in self.values:
            return self.values[name, Form.VALUES]
        affine = self.scaled.get(name)
        spikes = self._spikes(affine.inputs[0] if affine else name)
        if spikes is None:
            return self._as_values(name)
        node = affine or next(n for n in self.graph.nodes if n.name == name)
        channels = spikes.map[0]
        return _Scaled(spikes, self.packed.get(node, "levels", lambda: layout.levels(affine, channels)))

    # Stages.

    def _finish(self, stage: _Stage) -> None:
        """Lets `stage` take in the nodes after its tail, then emits it."""
        while True:
            if stage.tail is not None:
                self.maps[stage.tail.name] = stage.map
            if not (self._take_affine(stage) or self._take_add(stage)):
                break
        self._take_end(stage)
        places: dict[str, Value | None] = {"addend": stage.addend_map}
        if stage.sum_time is not None:
            places["values"] = self.emitter.new(Form.VALUES, stage.map, 1)
            self._bind(stage.sum_time, places["values"])
        elif stage.tail is not None and self._is_read(stage.tail, stage.lif):
            places["values"] = self.emitter.new(Form.VALUES, stage.map, stage.steps)
            self._bind(stage.tail, places["values"])
        if stage.lif is not None:
            places["spikes"] = self.emitter.new(Form.SPIKES, stage.map, self.emitter.T)
            self._bind(stage.lif, places["spikes"])
        self.emitter.emit(stage.kind, stage.source, stage.map, places, **self._stage_fields(stage))

    def _is_read(self, node: ir.Node, but_by: ir.Node | None) -> bool:
        """Whether anybody needs the node's values, `but_by` apart."""
        return node.name in self.roots or any(user is not but_by for user in self.users[node.name])

    def _only_user(self, node: ir.Node | None) -> ir.Node | None:
        if node is None or node.name in self.roots or len(self.users[node.name]) != 1:
            return None
        return self.users[node.name][0]

    def _take_affine(self, stage: _Stage) -> bool:
        user = self._only_user(stage.tail)
        if not isinstance(user, ir.Affine) or stage.affine is not None or stage.addend is not None:
            return False
        if stage.map != natural(self.edges[user.name].shape):
            return False
        stage.affine = stage.tail = user
        return True

    def _take_add(self, stage: _Stage) -> bool:
        """An Add of the tail and of something else, which is made first: it can't depend on the tail."""
        user = self._only_user(stage.tail)
        if not isinstance(user, ir.Add) or len(user.inputs) != 2 or stage.addend is not None or stage.tail is None:
            return False
        others = [n for n in user.inputs if n != stage.tail.name]
        if len(others) != 1:
            return False
        if self._nested == MAX_NESTED:
            return False
        self._nested += 1
        self.make(self._needed_by({others[0]}))
        self._nested -= 1
        if not self._has_value(others[0]) or self.maps[others[0]] != stage.map:
            return False
        stage.addend, stage.tail = self._addend(others[0]), user
        return True

    def _take_end(self, stage: _Stage) -> None:
        """A neuron that reads the tail, or a sum over time that nobody else competes with."""
        if stage.tail is None:
            return
        stage.lif = next((u for u in self.users[stage.tail.name] if isinstance(u, ir.Lif)), None)
        only = self._only_user(stage.tail)
        stage.sum_time = only if isinstance(only, ir.SumTime) else None

    def _stage_fields(self, stage: _Stage) -> dict[str, Any]:
        fields = stage.fields | {"sum_time": stage.sum_time is not None}
        if stage.lif is not None:
            fields |= _neuron(stage.lif)
        if stage.affine is not None:
            fields |= self._affine_fields(stage.affine)
        if stage.addend_map is not None:
            fields |= {"addend_t": stage.addend_map.steps, "addend_source": stage.addend_map.form}
        if isinstance(stage.addend, _Scaled):
            levels = stage.addend.levels
            self.emitter.keep(levels)
            fields |= {"addend_zero": levels.zero.ctypes.data, "addend_one": levels.one.ctypes.data}
        return fields

    def _affine_fields(self, node: ir.Affine) -> dict[str, Any]:
        edge = self.edges[node.inputs[0]]
        constants = self.packed.get(node, "affine", lambda: layout.affine_constants(node, edge.low, edge.high))
        self.emitter.keep(constants)
        pointers = {name: array.ctypes.data for name, array in constants.arrays.items()}
        return {"affine": constants.mode, "split": constants.split} | pointers

    # One rule a node type. A rule leaves the node's map in `maps`, and its value somewhere.

    def conv(self, node: ir.Conv) -> None:
        self._synapses(Synapses(node, node.weight, node.stride, node.padding, node.groups))

    def linear(self, node: ir.Linear) -> None:
        """A convolution with a kernel of the size of the map."""
        weight = node.weight.reshape(len(node.weight), *self.maps[node.inputs[0]])
        self._synapses(Synapses(node, weight, (1, 1), (0, 0), 1))

    def _synapses(self, layer: Synapses) -> None:
        node, (name,) = layer.node, layer.node.inputs
        pooled = self.pooled.get(name)
        source = pooled.spikes if pooled else self._spikes(name) or self._readable(name)
        pool, spikes = pooled.kernel if pooled else 1, source.form is Form.SPIKES
        kind = layer.kind(self.emitter.kernels, self.edges[name], spikes=spikes, pool=pool)
        weights: layout.Weights = self.packed.get(node, (kind, layer.weight.shape), layer.packer(kind))
        self.emitter.keep(weights)
        place = {"pool": pool, "weight": weights.array.ctypes.data, "row_bytes": weights.row_bytes}
        shape = natural(self.edges[node.name].shape)
        self._finish(_Stage(kind, source, shape, layer.fields() | place, tail=node))

    def affine(self, node: ir.Affine) -> None:
        (name,) = node.inputs
        shape = natural(self.edges[node.name].shape)
        only_added = self._is_read(node, None) and all(isinstance(u, ir.Add) for u in self.users[node.name])
        if self._spikes(name) and only_added and node.name not in self.roots and self.maps[name] == shape:
            self.scaled[node.name], self.maps[node.name] = node, shape
            return
        self._finish(_Stage(Kind.POINTWISE, self._in_order(name), shape, {}, tail=node, affine=node))

    def add(self, node: ir.Add) -> None:
        """Two at a time."""
        alike = len({self.maps[n] for n in node.inputs}) == 1
        first, *rest = ((self._readable if alike else self._in_order)(node.inputs[0]), *node.inputs[1:])
        *most, last = (self._addend(n) if alike else self._as_addend_in_order(n) for n in rest)
        for addend in most:
            stage = _Stage(Kind.POINTWISE, first, first.map, {}, addend=addend)
            first = self.emitter.new(Form.VALUES, first.map, stage.steps)
            places = {"addend": stage.addend_map, "values": first}
            self.emitter.emit(stage.kind, stage.source, stage.map, places, **self._stage_fields(stage))
        self._finish(_Stage(Kind.POINTWISE, first, first.map, {}, tail=node, addend=last))

    def _as_addend_in_order(self, name: str) -> Value:
        self._as_values(name)
        return self._in_order(name)

    def lif(self, node: ir.Lif) -> None:
        source = self._readable(node.inputs[0])
        self._finish(_Stage(Kind.POINTWISE, source, source.map, {}, lif=node))

    def sum_time(self, node: ir.SumTime) -> None:
        spikes = self._spikes(node.inputs[0])
        if spikes is None:
            source = self._readable(node.inputs[0])
            self._finish(_Stage(Kind.POINTWISE, source, source.map, {}, sum_time=node))
            return
        count = self.emitter.new(Form.VALUES, spikes.map, 1)
        self.emitter.emit(Kind.UNPACK, spikes, spikes.map, {"values": count}, sum_time=True)
        self._bind(node, count)

    def max_pool(self, node: ir.MaxPool) -> None:
        source = self._spikes(node.inputs[0]) or self._as_values(node.inputs[0])
        out = self.emitter.new(source.form, natural(self.edges[node.name].shape), source.steps)
        spikes = source.form is Form.SPIKES
        kind, place = (Kind.MAXPOOL_SPIKES, "spikes") if spikes else (Kind.MAXPOOL_VALUES, "values")
        self.emitter.emit(kind, source, out.map, {place: out}, **_window(node.kernel, node.stride, node.padding))
        self._bind(node, out)

    def sum_pool(self, node: ir.SumPool) -> None:
        spikes, shape = self._spikes(node.inputs[0]), natural(self.edges[node.name].shape)
        if spikes is not None:
            self.pooled[node.name] = _Pooled(spikes, node.kernel, shape)
            self.maps[node.name] = shape
            return
        source = self._as_values(node.inputs[0])
        out = self.emitter.new(Form.VALUES, shape, source.steps)
        self.emitter.emit(Kind.SUMPOOL, source, out.map, {"values": out}, **_window(node.kernel, node.kernel, 0))
        self._bind(node, out)

    def channel_map(self, node: ir.ChannelMap) -> None:
        """Spikes stay spikes."""
        source = self._spikes(node.inputs[0]) or self._as_values(node.inputs[0])
        channels = self.packed.get(node, "channels", lambda: layout.runs(node.source))
        self.emitter.keep(channels)
        out = self.emitter.new(source.form, natural(self.edges[node.name].shape), source.steps)
        place = "spikes" if source.form is Form.SPIKES else "values"
        fields = {"stride_h": node.stride, "stride_w": node.stride, "channels": channels.ctypes.data}
        self.emitter.emit(Kind.CHANNEL_MAP, source, out.map, {place: out}, **fields)
        self._bind(node, out)

    def flatten(self, node: ir.Flatten) -> None:
        """The same maps under another name."""
        (name,) = node.inputs
        if name in self.scaled:
            self._readable(name)
        if name in self.pooled:
            self.pooled[node.name] = self.pooled[name]
        for form in Form:
            if (name, form) in self.values:
                self.values[node.name, form] = self.values[name, form]
        self.maps[node.name] = self.maps[name]

    # Results.

    def export_logits(self) -> tuple[()]:
        """Hands the output to the caller."""
        logits = self._as_values(self.graph.output.name)
        self.emitter.emit(Kind.EXPORT_VALUES, logits, logits.map, {})
        return ()

    def export_spikes(self) -> tuple[tuple[str, tuple[int, ...]], ...]:
        """Hands the spikes of every Lif to the caller; returns names and shapes in the order of `spk_call.spikes`."""
        outputs, place = [], 0
        for node in self.graph.of_type(ir.Lif):
            spikes = self.values[node.name, Form.SPIKES]
            self.emitter.emit(Kind.EXPORT_SPIKES, spikes, spikes.map, {}, external=place)
            place += self.graph.time_steps * self.edges[node.name].size
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
    ir.ChannelMap: _Planner.channel_map,
}


def _window(kernel: int, stride: int, padding: int) -> dict[str, int]:
    return {
        "kernel_h": kernel, "kernel_w": kernel, "stride_h": stride, "stride_w": stride,
        "pad_h": padding, "pad_w": padding,
    }  # fmt: skip


def _neuron(node: ir.Lif) -> dict[str, int]:
    membrane = node.membrane
    return {
        "leak": node.leak, "gain": node.gain, "leak_bits": node.leak_bits, "threshold": node.threshold,
        "soft_reset": node.drop is not None, "drop": node.drop or 0,
        "membrane_shift": membrane.shift if membrane else 0,
        "membrane_top": 2 ** (membrane.bits - 1) - 1 if membrane else 0,
    }  # fmt: skip
