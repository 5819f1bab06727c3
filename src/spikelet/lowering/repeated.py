"""One constant in place of as many equal ones as there are channels.

A grid, a saturation or an average multiplies every channel by the same number. Formats 1 and 2 of the packed file hold
constants by channel only, so a graph that they can say keeps them; any other holds such a constant once. In
BESTformer's streams that is an eighth of a small network's file.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.graph.file.format import format_of

ONCE = 3  # the first format that holds a constant once for all channels


def without_repeats(graph: ir.IntGraph, edges: Mapping[str, Edge]) -> ir.IntGraph:
    """`graph` with constants that all channels share held once, where its format can say so. `edges`: its analysis."""
    if format_of(graph, edges) < ONCE:
        return graph
    nodes = tuple(_once(node) if isinstance(node, ir.Affine) else node for node in graph.nodes)
    return dataclasses.replace(graph, nodes=nodes)


def _once(node: ir.Affine) -> ir.Affine:
    constants = {"multiplier": node.multiplier, "shift": node.shift, "offset": node.offset}
    if not all((values == values[:, :1]).all() for values in constants.values()):
        return node
    return dataclasses.replace(node, **{name: values[:, :1] for name, values in constants.items()})
