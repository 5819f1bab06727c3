"""From an integer graph to the flat array of operations that the C library runs.

Nothing here looks at the data: a plan depends on the graph, on whether the input has a time axis, and on the kernel
set. `rules` says what becomes of a node, `stages` which nodes become one operation, `forms` how a map lies in memory.
"""

from __future__ import annotations

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.runtime.emit import Emitter, Plan
from spikelet.runtime.library import KernelSet
from spikelet.runtime.plan.constants import Packed as Packed
from spikelet.runtime.plan.planner import Planner
from spikelet.runtime.plan.rules import RULES
from spikelet.runtime.structures import Form, Kind


def make_plan(
    graph: ir.IntGraph, edges: dict[str, Edge], kernels: KernelSet, packed: Packed, *, still: bool, spikes: bool
) -> Plan:
    """The plan of `graph`, for an input of one step (`still`) or T, giving logits or every Lif's `spikes`."""
    _require_known(graph, edges)
    roots = {n.name for n in graph.of_type(ir.Lif)} if spikes else {graph.output.name}
    planner = Planner(graph, edges, packed, roots, Emitter(kernels, graph.time_steps), RULES)
    planner.start(still)
    planner.make(planner.readers.live)
    outputs = _export_spikes(planner) if spikes else _export_logits(planner)
    return planner.emitter.finish(outputs, planner.constants.kept)


def _require_known(graph: ir.IntGraph, edges: dict[str, Edge]) -> None:
    """Raises GraphError where a node says what only format 3 can."""
    for node in graph.nodes:
        if node.since(*(edges[name].shape for name in node.inputs)) > 2:
            raise GraphError(f"{node.name}: the native runtime can't run this {node.word}; use spikelet.Reference.")


def _export_logits(plan: Planner) -> tuple[()]:
    """Hands the output to the caller."""
    logits = plan.forms.values(plan.graph.output.name)
    plan.emitter.emit(Kind.EXPORT_VALUES, logits, logits.map, {})
    return ()


def _export_spikes(plan: Planner) -> tuple[tuple[str, tuple[int, ...]], ...]:
    """Hands the spikes of every Lif to the caller; returns names and shapes in the order of `spk_call.spikes`."""
    outputs, place = [], 0
    for node in plan.graph.of_type(ir.Lif):
        spikes = plan.forms.spikes(node.name)
        assert spikes is not None and spikes.form is Form.SPIKES
        plan.emitter.emit(Kind.EXPORT_SPIKES, spikes, spikes.map, {}, external=place)
        place += plan.graph.time_steps * plan.edges[node.name].size
        outputs.append((node.name, plan.edges[node.name].shape))
    return tuple(outputs)
