"""From an integer graph to the flat array of operations that the C library runs.

Nothing here looks at the data: a plan depends on the graph, on what is wanted of it, on whether the input has a time
axis, and on the kernel set. `rules` says what becomes of a node, `stages` which nodes become one operation, `forms` how
a map lies in memory.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Literal

from spikelet.graph import ir
from spikelet.runtime.emit import Emitter, Operations
from spikelet.runtime.library import KernelSet
from spikelet.runtime.plan.carried import Carried as Carried
from spikelet.runtime.plan.constants import Packed as Packed
from spikelet.runtime.plan.planner import OwnCall as OwnCall
from spikelet.runtime.plan.planner import Planner
from spikelet.runtime.plan.planner import Subject as Subject
from spikelet.runtime.plan.rules import RULES
from spikelet.runtime.structures import Kind

Result = Literal["logits", "spikes", "outputs"]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What a plan is for.

    result: the first output, every Lif's spikes, or every output.
    steps: time steps of a call.
    still: whether the input is the same at every step.
    """

    result: Result
    steps: int
    still: bool


@dataclasses.dataclass(frozen=True)
class Export:
    """A node's values as they leave: [*leading, B, *shape], with a leading axis of the call's steps or none."""

    node: str
    shape: tuple[int, ...]
    leading: tuple[int, ...]

    @property
    def size(self) -> int:
        """Values of a sample."""
        return math.prod((*self.leading, *self.shape))


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Operations, the results in the order in which they lie in the caller's memory, and nodes that run in Python.

    carried: whether calls go on from a state and leave one.
    """

    wanted: Wanted
    carried: bool
    operations: Operations
    exports: tuple[Export, ...]
    calls: tuple[OwnCall, ...]

    @property
    def arena_bytes(self) -> int:
        """Memory for the maps of one sample."""
        return self.operations.arena_bytes


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
    return Plan(wanted, carried is not None, emitter.finish(planner.constants.kept), exports, tuple(planner.calls))


def _export(plan: Planner, wanted: Wanted, names: list[str]) -> list[Export]:
    """Hands results to the caller, one behind the other."""
    kind = {"logits": Kind.EXPORT_VALUES, "spikes": Kind.EXPORT_SPIKES, "outputs": Kind.EXPORT_STEPS}[wanted.result]
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
        plan.emitter.emit(kind, source, source.map, {}, **fields)
        exports.append(Export(name, edge.shape, leading))
        place += exports[-1].size
    return exports
