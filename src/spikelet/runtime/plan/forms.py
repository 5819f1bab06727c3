"""In which forms a node's map is there: as bytes, 32-bit values or spikes, or not yet computed at all.

Three nodes often cost nothing: `Flatten` only renames a map; a `SumPool` over spikes that feeds synapses is a list of
spikes with repetitions (`pooled`); an `Affine` over spikes that feeds an `Add` is a choice between two constants
(`scaled`). Where somebody does need their values, they are computed then.
"""

from __future__ import annotations

import dataclasses

from spikelet.graph import ir
from spikelet.graph.edge import as_map
from spikelet.runtime.plan.constants import Constants, window
from spikelet.runtime.plan.emit import Emitter, Map, Value
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.operation import Constant


@dataclasses.dataclass(frozen=True, eq=False)
class Pooled:
    """A SumPool over spikes that nobody has computed."""

    spikes: Value
    kernel: int
    map: Map


@dataclasses.dataclass(frozen=True, eq=False)
class Scaled:
    """An Affine over spikes that nobody has computed, or spikes themselves: two constants a channel."""

    spikes: Value
    levels: dict[str, Constant]


class Forms:
    """The maps that a plan has so far.

    maps: (C, H, W) of every node that is done.
    """

    def __init__(self, graph: ir.IntGraph, constants: Constants, emitter: Emitter) -> None:
        self._nodes = {n.name: n for n in graph.nodes}
        self._constants, self._emitter = constants, emitter
        self.maps: dict[str, Map] = {}
        self.pooled: dict[str, Pooled] = {}
        self.scaled: dict[str, ir.Affine] = {}
        self._values: dict[tuple[str, Form], Value] = {}

    def shape(self, name: str) -> Map:
        """The node's shape as (C, H, W)."""
        return as_map(self._constants.edges[name].shape)

    def bind(self, node: ir.Operation, value: Value) -> None:
        """`value` is the node's map from now on."""
        self._values[node.name, value.form] = value
        self.maps[node.name] = value.map

    def rename(self, node: ir.Operation, name: str) -> None:
        """`node` has the maps of the node called `name`."""
        if name in self.scaled:
            self.readable(name)
        if name in self.pooled:
            self.pooled[node.name] = self.pooled[name]
        for form in Form:
            if (name, form) in self._values:
                self._values[node.name, form] = self._values[name, form]
        self.maps[node.name] = self.maps[name]

    def has_value(self, name: str) -> bool:
        """False while the node is inside a stage that is still growing."""
        return name in self.pooled or name in self.scaled or any((name, form) in self._values for form in Form)

    def spikes(self, name: str) -> Value | None:
        """The node's map as spikes, if it has them."""
        return self._values.get((name, Form.SPIKES))

    def counted(self, name: str) -> Value | None:
        """The node's map as spikes, or in planes, if it has either."""
        return self.spikes(name) or self._values.get((name, Form.PLANES))

    def readable(self, name: str) -> Value:
        """The node's map as int32 values, or as the bytes from outside."""
        for form in (Form.VALUES, Form.BYTES):
            if (name, form) in self._values:
                return self._values[name, form]
        value = self._computed(name)
        self._values[name, Form.VALUES] = value
        return value

    def _computed(self, name: str) -> Value:
        """The int32 values of spikes or planes, or of what had been left to be computed later."""
        if name in self.pooled:
            pooled = self.pooled[name]
            kernel = pooled.kernel, pooled.kernel
            source, kind, fields = self._unpacked(pooled.spikes), Kind.SUMPOOL, window(kernel, kernel, (0, 0))
        elif name in self.scaled:
            affine = self.scaled[name]
            source, kind, fields = self.readable(affine.inputs[0]), Kind.POINTWISE, self._constants.affine(affine)
        else:
            counted = self.counted(name)
            assert counted is not None, "every map that is done has a form"
            return self._unpacked(counted)
        steps = self._emitter.T if fields.get("affine_t", 1) > 1 else source.steps
        value = self._emitter.new(Form.VALUES, self.maps[name], steps)
        self._emitter.emit(kind, source, value.map, {"values": value}, **fields)
        return value

    def _unpacked(self, spikes: Value) -> Value:
        value = self._emitter.new(Form.VALUES, spikes.map, spikes.steps)
        self._emitter.emit(Kind.UNPACK, spikes, spikes.map, {"values": value})
        return value

    def values(self, name: str) -> Value:
        """The node's map as int32 values."""
        source = self.readable(name)
        if source.form is Form.BYTES:
            value = self._emitter.new(Form.VALUES, source.map, source.steps)
            self._emitter.emit(Kind.POINTWISE, source, source.map, {"values": value})
            self._values[name, Form.VALUES] = source = value
        return source

    def in_order(self, name: str) -> Value:
        """The node's map, readable in the order of its shape, where `Flatten` had only renamed it."""
        shape = self.shape(name)
        if self.maps[name] == shape:
            return self.readable(name)
        value = self.values(name)
        ordered = self._emitter.new(Form.VALUES, shape, value.steps)
        self._emitter.emit(Kind.RESHAPE, value, shape, {"values": ordered})
        return ordered

    def values_in_order(self, name: str) -> Value:
        """The node's map as int32 values in the order of its shape."""
        self.values(name)
        return self.in_order(name)

    def spikes_in_order(self, name: str) -> Value | None:
        """The node's map as spikes in the order of its shape, if it has them."""
        spikes = self.spikes(name)
        return spikes if spikes is not None and spikes.map == self.shape(name) else None

    def expanded(self, value: Value, map_: Map, steps: int) -> Value:
        """Values repeated to (C, H, W) and to so many steps, where they have one."""
        if value.map == map_ and value.steps == steps:
            return value
        expanded = self._emitter.new(Form.VALUES, map_, steps)
        self._emitter.emit(Kind.EXPAND, value, map_, {"values": expanded}, T=steps)
        return expanded

    def addend(self, name: str) -> Value | Scaled:
        """The node's map as something to add: spikes remain spikes."""
        if (name, Form.VALUES) in self._values:
            return self._values[name, Form.VALUES]
        affine = self.scaled.get(name)
        spikes = self.spikes(affine.inputs[0] if affine else name)
        if spikes is None:
            return self.values(name)
        node, channels = affine or self._nodes[name], spikes.map[0]
        return Scaled(spikes, self._constants.levels(node, affine, channels))
