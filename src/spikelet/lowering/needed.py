"""A graph without the nodes that nothing reads, such as the sums so far of a loop that adds up its answers."""

from __future__ import annotations

import dataclasses

from spikelet.graph import ir


def without_unread(graph: ir.IntGraph) -> ir.IntGraph:
    """`graph` without nodes on which neither its outputs nor its neurons depend."""
    nodes = {node.name: node for node in graph.nodes}
    waiting = [output.node for output in graph.outputs] + [n.name for n in graph.of_type(ir.Lif)]
    needed = {graph.input.name}
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed.add(name)
            waiting += nodes[name].inputs
    return dataclasses.replace(graph, nodes=tuple(node for node in graph.nodes if node.name in needed))
