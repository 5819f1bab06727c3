"""What the rules of a plan share: the graph's edges and readers, the maps so far, the operations so far."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.runtime.emit import Emitter, Map, Value
from spikelet.runtime.plan.carried import Carried
from spikelet.runtime.plan.constants import Constants, Packed
from spikelet.runtime.plan.forms import Forms
from spikelet.runtime.plan.readers import Readers
from spikelet.runtime.structures import Form, Kind

Rule = Callable[["Planner", Any], None]  # leaves the node's map in `forms.maps`, and its value somewhere


@dataclasses.dataclass(frozen=True, eq=False)
class OwnCall:
    """A node that runs by its own `advance`: the maps it reads, their shapes, and the map it makes."""

    node: ir.Operation
    sources: tuple[Value, ...]
    shapes: tuple[tuple[int, ...], ...]
    result: Value


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """What is planned: a graph, what is known of its edges, and what was packed for it."""

    graph: ir.IntGraph
    edges: dict[str, Edge]
    packed: Packed


class Planner:
    """A plan in the making, for the results `roots`.

    still: whether the input is the same at every step.
    carried: the state that a stream carries from call to call; None where a call runs from the first step to the last.
    nested: Adds whose other term is being made.
    at_the_end: what is left to emit when every node is made.
    calls: nodes that run by their own `advance`.
    """

    def __init__(
        self,
        subject: Subject,
        roots: set[str],
        emitter: Emitter,
        rule_of: Callable[[ir.Operation], Rule],
        *,
        still: bool,
        carried: Carried | None,
    ) -> None:
        self.graph, self.edges, self.emitter, self._rule_of = subject.graph, subject.edges, emitter, rule_of
        self.still, self.carried = still, carried
        self.constants = Constants(subject.edges, subject.packed, subject.graph.time_steps)
        self.readers = Readers(subject.graph, roots)
        self.forms = Forms(subject.graph, self.constants, emitter)
        self.nested = 0
        self.at_the_end: list[Callable[[], None]] = []
        self.calls: list[OwnCall] = []

    def make(self, names: set[str]) -> None:
        """Operations for those of `names` that have none yet."""
        for node in self.readers.in_order(names):
            if node.name not in self.forms.maps:
                outer, self.emitter.node = self.emitter.node, node.name
                self._rule_of(node)(self, node)
                self.emitter.node = outer

    def state(self, node: ir.Operation, map_: Map) -> dict[str, Any]:
        """The field that says where `node` remembers its map, if it does beyond this call."""
        return {} if self.carried is None else {"state": self.carried.place(node, map_)}

    def map_to_map(self, node: ir.Operation, kind: Kind, source: Value, **fields: int) -> None:
        """An operation of its own whose result has the form and the steps of its source."""
        out = self.emitter.new(source.form, self.forms.shape(node.name), source.steps)
        place = "spikes" if source.form is Form.SPIKES else "values"
        self.emitter.emit(kind, source, out.map, {place: out}, **fields)
        self.forms.bind(node, out)
