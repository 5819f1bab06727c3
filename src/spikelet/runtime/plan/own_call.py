"""The rule of every operation without one: it runs by its own `advance`, in Python, between native operations."""

from __future__ import annotations

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.planner import OwnCall, Planner


def own_call(plan: Planner, node: ir.Operation) -> None:
    """Sources and result are 32-bit values in the order of their shapes."""
    loops = [name for name in node.inputs if plan.readers.comes_later(name, node)]
    if loops:
        raise GraphError(f"{node.name}: reads the later node {loops[0]!r}; only a delay can in the native runtime.")
    sources = tuple(plan.forms.values_in_order(name) for name in node.inputs)
    result = plan.emitter.new(
        Form.VALUES, plan.forms.shape(node.name), plan.emitter.T if plan.edges[node.name].timed else 1
    )
    plan.emitter.use(sources)
    plan.emitter.emit(Kind.CALL, result, result.map, {"values": result}, external=len(plan.calls))
    plan.calls.append(OwnCall(node, sources, tuple(plan.edges[n].shape for n in node.inputs), result))
    plan.forms.bind(node, result)
