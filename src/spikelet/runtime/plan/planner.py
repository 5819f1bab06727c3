"""What the rules of a plan share: the graph's edges and readers, the maps so far, the operations so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.runtime.emit import Emitter, Value, natural
from spikelet.runtime.plan.constants import Constants, Packed
from spikelet.runtime.plan.forms import Forms
from spikelet.runtime.plan.readers import Readers
from spikelet.runtime.structures import Form

Rule = Callable[["Planner", Any], None]  # leaves the node's map in `forms.maps`, and its value somewhere


class Planner:
    """A plan in the making, for the results `roots`.

    nested: Adds whose other term is being made.
    """

    def __init__(
        self,
        graph: ir.IntGraph,
        edges: dict[str, Edge],
        packed: Packed,
        roots: set[str],
        emitter: Emitter,
        rules: Mapping[type[ir.Operation], Rule],
    ) -> None:
        self.graph, self.edges, self.emitter, self._rules = graph, edges, emitter, rules
        self.constants = Constants(edges, packed)
        self.readers = Readers(graph, roots)
        self.forms = Forms(graph, self.constants, emitter)
        self.nested = 0

    def start(self, still: bool) -> None:
        """The input's bytes are there from the beginning."""
        node = self.graph.input
        steps = 1 if still else self.emitter.T
        self.forms.bind(node, Value(Form.BYTES, natural(node.shape), steps, None))

    def make(self, names: set[str]) -> None:
        """Operations for those of `names` that have none yet."""
        for node in self.graph.nodes:
            if node.name in names and node.name not in self.forms.maps:
                self._rules[type(node)](self, node)
