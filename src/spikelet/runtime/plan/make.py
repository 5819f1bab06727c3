"""From an integer graph to its plan.

Nothing here looks at the data. `rules` says what becomes of a node, `stages` which nodes become one operation, `forms`
how a map lies in memory.
"""

from __future__ import annotations

from collections.abc import Mapping

from spikelet.base.errors import GraphError
from spikelet.base.strict_json import shown
from spikelet.graph import ir
from spikelet.graph.analysis import analyse, reads_later_nodes
from spikelet.graph.edge import Edge
from spikelet.runtime.plan.carried import Carried
from spikelet.runtime.plan.choices import checked
from spikelet.runtime.plan.constants import Packed
from spikelet.runtime.plan.emit import Emitter
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.plan import Export, Plan, Result, Wanted
from spikelet.runtime.plan.planner import Planner, Subject
from spikelet.runtime.plan.rules import RULES
from spikelet.runtime.plan.sets import PORTABLE, KernelSet, set_called

RESULTS: Mapping[str, Kind] = {
    "logits": Kind.EXPORT_VALUES, "spikes": Kind.EXPORT_SPIKES, "outputs": Kind.EXPORT_STEPS,
}  # fmt: skip


def plan_of(
    graph: ir.IntGraph,
    kernels: str = PORTABLE,
    *,
    result: Result | None = None,
    still: bool = True,
    choices: Mapping[str, Kind | str] | None = None,
) -> Plan:
    """The plan of all time steps of `graph` at once, or of one step where the graph has a loop; needs no library.

    Args:
        graph: an integer graph.
        kernels: a kernel set by name, whether this machine can run it or not.
        result: "logits" (the first output, summed over time), "spikes" of every Lif, or "outputs" (every output); None:
            logits, or the outputs where the first has a time axis.
        still: whether the input is one image for every step.
        choices: kernels by node, as `Plan.choices` has them; nodes that it leaves out have the kernels of the rules.
    Raises:
        GraphError: the graph has no meaning or the native runtime can't run it, or an argument is another than these.
    """
    edges = analyse(graph)
    subject = Subject(graph, edges, Packed(), checked(graph, choices))
    wanted = first_result(graph, edges) if result is None else result
    if wanted not in RESULTS or (wanted == "logits" and first_result(graph, edges) != wanted):
        allowed = ", ".join(repr(name) for name in RESULTS if name != "logits" or wanted != name)
        raise GraphError(f"result must be one of {allowed} for this graph, got {shown(result)}.")
    if reads_later_nodes(graph):
        return make_plan(subject, set_called(kernels), Wanted(wanted, 1, still=True), Carried())
    steps = graph.time_steps
    return make_plan(subject, set_called(kernels), Wanted(wanted, steps, still=still or steps == 1))


def first_result(graph: ir.IntGraph, edges: Mapping[str, Edge]) -> Result:
    """What a plan for the first output is called: logits, or with a time axis one of the outputs."""
    return "outputs" if edges[graph.output.name].timed else "logits"


def make_plan(subject: Subject, kernels: KernelSet, wanted: Wanted, carried: Carried | None = None) -> Plan:
    """The plan of a graph for one call; with `carried`, for some steps of a stream."""
    graph = subject.graph
    names = {
        "logits": [graph.output.name],
        "spikes": [node.name for node in graph.of_type(ir.Lif)],
        "outputs": [output.node for output in graph.outputs],
    }[wanted.result]
    emitter = Emitter(kernels, wanted.steps)
    planner = Planner(subject, set(names), emitter, RULES.of, still=wanted.still, carried=carried)
    planner.make({graph.input.name} | planner.readers.live)
    exports = tuple(_export(planner, wanted, names))
    for emit in planner.at_the_end:
        emit()
    made = emitter.finish()
    return Plan(
        graph=subject.fingerprint,
        kernels=kernels.name,
        wanted=wanted,
        carried=carried is not None,
        operations=made.planned,
        scratch_bytes=made.scratch_bytes,
        arena_bytes=made.arena_bytes,
        state_bytes=0 if carried is None else carried.size,
        state=() if carried is None else carried.slots,
        exports=exports,
        calls=tuple(planner.calls),
    )


def _export(plan: Planner, wanted: Wanted, names: list[str]) -> list[Export]:
    """Hands results to the caller, one behind the other."""
    exports: list[Export] = []
    place = 0
    for name in names:
        edge = plan.edges[name]
        source = plan.forms.spikes(name) if wanted.result == "spikes" else None
        source = source or plan.forms.values(name)
        leading = (wanted.steps,) if edge.timed else ()
        fields = {} if wanted.result == "logits" else {"external": place}
        if wanted.result == "outputs" and not edge.timed:
            fields["T"] = 1
        plan.emitter.emit(RESULTS[wanted.result], source, source.map, {}, **fields)
        exports.append(Export(name, edge.shape, leading))
        place += exports[-1].size
    return exports
