"""Weights and constants by their names in `spk_op`, packed when first asked for and shared by a graph's plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.graph.first_spikes import first_spikes
from spikelet.graph.ops.windows import Pair
from spikelet.runtime import layout, pointwise
from spikelet.runtime.layout import Array, by_channel
from spikelet.runtime.plan.kinds import AffineMode
from spikelet.runtime.plan.one_affine import OneAffine, one_affine
from spikelet.runtime.plan.operation import Constant


class Packed:
    """What was packed for a graph, by node and form."""

    def __init__(self) -> None:
        self._made: dict[tuple[str, object], Any] = {}

    def get(self, node: ir.Operation, what: object, make: Callable[[], Any]) -> Any:
        """The packed form `what` of `node`."""
        key = node.name, what
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]


def constant(node: ir.Operation, name: str, packing: str, values: Array) -> Constant:
    """An array of `node` that `name` tells from its others."""
    return Constant(f"{node.name}.{name}", packing, values)


class Constants:
    """Numbers and arrays that operations are told of nodes."""

    def __init__(self, edges: dict[str, Edge], packed: Packed, time_steps: int) -> None:
        self.edges, self._packed, self._time_steps = edges, packed, time_steps

    def get(self, node: ir.Operation, what: object, make: Callable[[], Any]) -> Any:
        """The packed form `what` of `node`."""
        return self._packed.get(node, what, make)

    def affine(self, node: ir.Affine) -> dict[str, Any]:
        """O4 for the interval of its source."""
        edge = self.edges[node.inputs[0]]
        constants = self.get(node, "affine", lambda: pointwise.affine_constants(node, edge.low, edge.high))
        arrays = {name: constant(node, name, "channels", array) for name, array in constants.arrays.items()}
        fields = {"affine": constants.mode, "split": constants.split, "affine_t": len(node.shift)} | arrays
        if node.clip is not None:
            clip, channels = node.clip, edge.shape[0]
            ends = self.get(node, "clip", lambda: pointwise.clip_constants(clip, channels))
            names = "clip_low", "clip_high"
            fields |= {n: constant(node, n, "channels", end) for n, end in zip(names, ends, strict=True)}
            fields |= {"clipped": True}
        return fields

    def counted(self, node: ir.Affine, neuron: ir.Neuron) -> dict[str, Any] | None:
        """O4 and O6 as one affine step to counts, or None (one_affine.py)."""
        edge, channels = self.edges[node.inputs[0]], self.edges[neuron.name].shape[0]
        found: OneAffine | None = self.get(neuron, "one affine", lambda: one_affine(node, neuron, edge))
        if found is None:
            return None
        ends = self.get(neuron, "counts", lambda: pointwise.clip_constants((0, neuron.levels), channels))
        nothing = np.zeros(channels, np.int64)
        arrays = {
            "high": found.multiplier,
            "half": found.addend,
            "rest": found.shift,
            "low": nothing,
            "offset": nothing,
        }
        made = self.get(
            neuron, "one affine by channel", lambda: {n: by_channel(a, channels) for n, a in arrays.items()}
        )
        made = made | dict(zip(("clip_low", "clip_high"), ends, strict=True))
        fields = {name: constant(neuron, name, "channels", array) for name, array in made.items()}
        return fields | {"affine": AffineMode.SPLIT, "split": 0, "affine_t": 1, "clipped": True}

    def first_spikes(self, node: ir.Lif) -> dict[str, Constant]:
        """What a current that is the same at every step is compared with, by step: the kernels ask for above, not for
        from there on."""
        edge = self.edges[node.inputs[0]]
        low, high, steps = int(edge.low.min()), int(edge.high.max()), self._time_steps

        def below() -> Array:
            return layout.aligned((first_spikes(node, low, high, steps) - 1).astype(np.int32))

        return {"first_spikes": constant(node, "first_spikes", "steps", self.get(node, "first spikes", below))}

    def levels(self, node: ir.Operation, affine: ir.Affine | None, channels: int) -> dict[str, Constant]:
        """The two values that `affine`, or `node` itself, makes of a spike and of none."""
        levels: pointwise.Levels = self.get(node, "levels", lambda: pointwise.levels(affine, channels))
        pair = {"addend_zero": levels.zero, "addend_one": levels.one}
        return {name: constant(node, name, "channels", array) for name, array in pair.items()}

    def neuron(self, node: ir.Neuron) -> dict[str, Any]:
        """O6: numbers where one set of constants and one level are all there is, else a table."""
        membrane = node.membrane
        fields: dict[str, Any] = {
            "leak_bits": node.leak_bits, "rounding": node.half, "levels": node.levels,
            "soft_reset": node.drop is not None,
            "wide_charge": node.charge_is_wide(self.edges[node.inputs[0]], T=self._time_steps),
            "membrane_shift": membrane.shift if membrane else 0, "membrane_top": membrane.top if membrane else 0,
        }  # fmt: skip
        if is_plain(node):
            numbers = {"leak": node.leak, "gain": node.gain, "threshold": node.threshold, "drop": node.drop or 0}
            return fields | numbers
        channels = self.edges[node.name].shape[0]
        bits, table = self.get(node, "neuron", lambda: pointwise.neuron_constants(node, channels))
        return fields | {"quotient_bits": bits, "neuron": constant(node, "neuron", "channels", table)}


def is_plain(node: ir.Neuron) -> bool:
    """Whether the neuron has one level, starts at 0 and has the same constants everywhere."""
    return not node.by_channel and node.levels == 1 and not np.any(node.start)


def window(kernel: Pair, stride: Pair, padding: Pair) -> dict[str, int]:
    """How a window moves."""
    return {
        "kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0], "stride_w": stride[1],
        "pad_h": padding[0], "pad_w": padding[1],
    }  # fmt: skip
