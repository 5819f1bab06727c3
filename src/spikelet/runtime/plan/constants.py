"""Weights and constants of nodes as fields of `spk_op`, packed when first asked for and shared by a graph's plans."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.graph.ops.windows import Pair
from spikelet.runtime import layout


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


class Constants:
    """Fields of operations, and the arrays that their pointers point to, in `kept`."""

    def __init__(self, edges: dict[str, Edge], packed: Packed) -> None:
        self.edges, self._packed = edges, packed
        self.kept: list[object] = []

    def get(self, node: ir.Operation, what: object, make: Callable[[], Any]) -> Any:
        """The packed form `what` of `node`, kept alive with the plan."""
        made = self._packed.get(node, what, make)
        self.kept.append(made)
        return made

    def affine(self, node: ir.Affine) -> dict[str, Any]:
        """O4 for the interval of its source."""
        edge = self.edges[node.inputs[0]]
        constants = self.get(node, "affine", lambda: layout.affine_constants(node, edge.low, edge.high))
        pointers = {name: array.ctypes.data for name, array in constants.arrays.items()}
        return {"affine": constants.mode, "split": constants.split} | pointers


def neuron(node: ir.Lif) -> dict[str, Any]:
    """O6."""
    membrane = node.membrane
    return {
        "leak": node.leak, "gain": node.gain, "leak_bits": node.leak_bits, "threshold": node.threshold,
        "soft_reset": node.drop is not None, "drop": node.drop or 0,
        "membrane_shift": membrane.shift if membrane else 0,
        "membrane_top": 2 ** (membrane.bits - 1) - 1 if membrane else 0,
    }  # fmt: skip


def window(kernel: Pair, stride: Pair, padding: Pair) -> dict[str, int]:
    """How a window moves."""
    return {
        "kernel_h": kernel[0], "kernel_w": kernel[1], "stride_h": stride[0], "stride_w": stride[1],
        "pad_h": padding[0], "pad_w": padding[1],
    }  # fmt: skip
