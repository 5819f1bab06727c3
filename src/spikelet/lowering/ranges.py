"""Every value of a lowered model that is out of range, in integers or in PyTorch, and what its user can do about it.

    integers    an edge of the graph, or a sum on the way to it, beyond 2^31        graph/analysis.py
    PyTorch     a tensor of the evaluation beyond the whole numbers of its type     exact.py

All of them are found: behind one that is refused the search goes on as if its values had 16 bits, as after
`spikelet.nn.Saturate()`.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
import torch

from spikelet.base.errors import GraphError, OverflowRefused
from spikelet.graph import ir
from spikelet.graph.analysis import Refused, edges_of, raised
from spikelet.graph.edge import Edge
from spikelet.graph.ops.operation import Interval
from spikelet.lowering.builder import Builder
from spikelet.lowering.exact import inexact_floats

SIXTEEN_BITS: Interval = (np.array([-(2**15)]), np.array([2**15 - 1]))  # of every channel
FLOAT64 = "float64, model.double()"
LEVELS = (
    "levels=, the largest byte of the data if it is below 255, of from_snntorch, from_spikingjelly or "
    "spikelet.nn.Encode"
)
FEWER_BITS = "fewer weight bits for it, Quantize(4)"
REQUANTIZE = "spikelet.nn.Requantize(8) before it"
SPIKES = "a neuron before it, so that it reads spikes"
WAYS: dict[type[ir.Operation], tuple[str, ...]] = {
    ir.Conv: (FEWER_BITS, REQUANTIZE, SPIKES),
    ir.Linear: (FEWER_BITS, REQUANTIZE, SPIKES),
    ir.Add: ("spikelet.nn.Saturate() before the sum and behind it", "spikelet.nn.Average in place of the sum", SPIKES),
    ir.Lif: (
        "spikelet.nn.Saturate() before it",
        "a membrane of few bits, spikelet.neurons.QuantizedMembrane(8)",
        "fewer time steps",
    ),
}
OTHERWISE = (REQUANTIZE, SPIKES, "a smaller gain, or fewer values in a sum, before it")


@dataclasses.dataclass(frozen=True)
class Overflow:
    """A node that is refused: why, and three or four ways out."""

    node: str
    reason: str
    ways: tuple[str, ...]

    @property
    def way_out(self) -> str:
        """The ways in a sentence."""
        first, *rest = self.ways
        said = "; ".join([f"Try {first}", *rest[:-1]])
        return f"{said}; or {rest[-1]}."

    def __str__(self) -> str:
        return f"{self.node}: {self.reason} {self.way_out}"


def ranges_of(
    graph: ir.IntGraph, b: Builder, types: dict[str, torch.dtype], refused: Refused = raised
) -> tuple[dict[str, Edge], list[Overflow]]:
    """The edges of `graph`, and what is out of range.

    Args:
        b, types: of its lowering.
        refused: what becomes of a node that is refused for another reason than its range (`edges_of`).
    """
    of_bytes = _of_bytes(graph)
    found: list[Overflow] = []

    def out_of_range(node: ir.Operation, error: GraphError) -> Interval:
        if not isinstance(error, OverflowRefused):
            return refused(node, error)
        reason = error.reason.removeprefix(f"{node.name}: ")
        found.append(Overflow(node.name, reason, _ways(node, of_bytes, in_float=False)))
        return SIXTEEN_BITS

    edges = edges_of(graph, out_of_range)
    known = {overflow.node for overflow in found}
    for node, reason in inexact_floats(graph, edges, b, types):
        if node.name not in known:
            found.append(Overflow(node.name, reason, _ways(node, of_bytes, in_float=True)))
    position = {node.name: i for i, node in enumerate(graph.nodes)}
    return edges, sorted(found, key=lambda overflow: position[overflow.node])


def words(overflows: Sequence[Overflow]) -> str:
    """All of them in one error: the first in full, of the others what is out of range."""
    first, *rest = overflows
    if not rest:
        return str(first)
    others = " ".join(f"{overflow.node}: {overflow.reason}" for overflow in rest)
    return (
        f"{first} So {'is another' if len(rest) == 1 else f'are {len(rest)} others'}: {others} "
        "spikelet.check(model, example) lists the ways out of each."
    )


def _of_bytes(graph: ir.IntGraph) -> set[str]:
    """Nodes that depend on the input's bytes otherwise than through neurons, unless these bytes have levels."""
    names = {graph.input.name}
    for node in graph.nodes[1:]:
        clipped = isinstance(node, ir.Affine) and node.clip is not None
        if not isinstance(node, ir.Lif) and not clipped and not names.isdisjoint(node.inputs):
            names.add(node.name)
    return names


def _ways(node: ir.Operation, of_bytes: set[str], *, in_float: bool) -> tuple[str, ...]:
    ways = WAYS.get(type(node), OTHERWISE)
    three = (FLOAT64, *ways)[:3] if in_float else ways
    return three if of_bytes.isdisjoint(node.inputs) else (*three, LEVELS)
