"""Which format a graph is written in: the lowest that can say it, or the shorter one of the two that say everything."""

from __future__ import annotations

from collections.abc import Mapping

from spikelet.graph.edge import Edge
from spikelet.graph.file.document import FULL, LATEST
from spikelet.graph.graph import IntGraph


def format_of(graph: IntGraph, edges: Mapping[str, Edge]) -> int:
    """The format that `graph` is written in; formats 1 and 2 have one output, the last node, summed over time."""
    last = graph.nodes[-1].name
    plain = [output.node for output in graph.outputs] == [last] and not edges[last].timed
    nodes = (n.since(*(edges[name].shape for name in n.inputs)) for n in graph.nodes)
    lowest = max([1 if plain else FULL, *nodes])
    return LATEST if lowest >= FULL else lowest
