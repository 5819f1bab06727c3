"""What the rules of a plan share: the graph's edges and readers, the maps so far, the operations so far."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping
from typing import Any

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.graph.fingerprint import fingerprint
from spikelet.runtime.plan.carried import Carried
from spikelet.runtime.plan.constants import Constants, Packed
from spikelet.runtime.plan.density import mean_values
from spikelet.runtime.plan.emit import Emitter, Map, Value
from spikelet.runtime.plan.forms import Forms
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.readers import Readers

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
    """What is planned: a graph, what is known of its edges, what was packed for it, and the kernels that run nodes
    which several can run, where they are not those that the rules take."""

    graph: ir.IntGraph
    edges: dict[str, Edge]
    packed: Packed
    choices: Mapping[str, Kind]

    @functools.cached_property
    def fingerprint(self) -> str:
        """The graph's."""
        return fingerprint(self.graph)

    @functools.cached_property
    def means(self) -> dict[str, float]:
        """The expected mean value of every edge."""
        return mean_values(self.graph, self.edges)


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
        self._choices, self.means = subject.choices, subject.means
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

    def choose(self, node: ir.Operation, kinds: tuple[Kind, ...], instead: tuple[Kind, Kind] | tuple[()] = ()) -> Kind:
        """The kernel that runs `node`: the chosen one of `kinds`, or the first.

        instead: a kernel that other plans of the graph may have here, and the one that stands for it in this one.

        Raises:
            GraphError: the chosen one can't run it.
        """
        self.emitter.offer(kinds)
        kind = self.chosen(node, kinds[0])
        if instead and kind is instead[0]:
            kind = instead[1]
        if kind not in kinds:
            raise GraphError(
                f"choices: {kind.name} can't run {node.name} on the kernel set {self.emitter.kernels.name!r}; "
                f"choose {' or '.join(k.name for k in kinds)}."
            )
        return kind

    def chosen(self, node: ir.Operation, by_rule: Kind) -> Kind:
        """The kernel chosen for `node`, or the rule's."""
        return self._choices.get(node.name, by_rule)

    def state(self, node: ir.Operation, map_: Map) -> dict[str, Any]:
        """The field that says where `node` remembers its map, if it does beyond this call."""
        return {} if self.carried is None else {"state": self.carried.place(node, map_)}

    def map_to_map(self, node: ir.Operation, kind: Kind, source: Value, **fields: int) -> None:
        """An operation of its own whose result has the form and the steps of its source."""
        out = self.emitter.new(source.form, self.forms.shape(node.name), source.steps)
        place = "spikes" if source.form is Form.SPIKES else "values"
        self.emitter.emit(kind, source, out.map, {place: out}, **fields)
        self.forms.bind(node, out)
