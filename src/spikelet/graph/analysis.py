"""Shapes and integer intervals of every edge, derived from the graph alone.

`analyse` asks each operation in turn, re-derives everything and trusts nothing: it runs when a graph is made and when
a file is loaded, and proves for *any* input bytes that no 32-bit value overflows, or refuses by name.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from spikelet.base.errors import GraphError
from spikelet.graph.edge import Edge as Edge
from spikelet.graph.graph import IntGraph
from spikelet.graph.ops.input import Input
from spikelet.graph.ops.operation import Interval, Operation
from spikelet.graph.required import require_graph

MAX_TIME_STEPS = 1024
MAX_OUTPUTS = 64
MAX_READS = 2**15  # inputs of all nodes together
MAX_PROOF = 2**26  # values that all intervals together are derived from: about a second
Refused = Callable[[Operation, GraphError], Interval]
MAX_DIMENSION = 65536  # of what a node that reads a later one is told of it


def analyse(graph: IntGraph) -> dict[str, Edge]:
    """Edges by node name, in the order of the graph.

    Raises:
        GraphError: names that repeat or come later, shapes that don't fit, attributes out of range, a graph whose
            intervals would take more than about a second to derive.
        OverflowRefused: a value that could leave int32.
    """
    edges = edges_of(graph)
    check_outputs(graph, edges)
    return edges


def raised(node: Operation, error: GraphError) -> Interval:
    """Raises `error`."""
    raise error


def edges_of(graph: IntGraph, refused: Refused = raised) -> dict[str, Edge]:
    """What `analyse` derives, without a look at the outputs.

    Args:
        refused: is given a node that can't be, and the error that says why; the interval that it returns, one for all
            channels, then stands for the node's, so that later ones are looked at too. Raises it unless given.
    Raises:
        GraphError: as `analyse` of what no node is to blame for, and what `refused` raises.
    """
    require_graph(graph)
    _check_sizes(graph)
    later = {node.name: node for node in graph.nodes}
    proof = 0
    edges: dict[str, Edge] = {}
    for i, node in enumerate(graph.nodes):
        if not node.name or node.name in edges:
            raise GraphError(f"node names must be unique and not empty, got {node.name!r} twice.")
        if isinstance(node, Input) != (i == 0):
            raise GraphError(f"{node.name}: exactly the first node must be the input.")
        sources = _sources(node, edges, later)
        try:
            _check(node, sources)
        except GraphError as error:
            edges[node.name] = _stand_in(node, sources, refused(node, error))
            continue
        proof += _proof(node, sources, graph.time_steps)
        if proof > MAX_PROOF:
            raise GraphError(
                f"{node.name}: proving that its values fit 32 bits takes the graph's analysis to {proof} values, "
                f"{MAX_PROOF} are allowed. Use fewer time steps, channels or inputs."
            )
        try:
            edges[node.name] = _edge(node, sources, graph.time_steps)
        except GraphError as error:
            edges[node.name] = _stand_in(node, sources, refused(node, error))
    for node in graph.nodes:
        if node.reads_later:
            node.check(*(edges[name] for name in node.inputs))
    return edges


def _stand_in(node: Operation, sources: list[Edge], interval: Interval) -> Edge:
    shape = node.output_shape(*(x.shape for x in sources))
    low, high = (np.broadcast_to(end, shape[:1]) for end in interval)
    return Edge(shape, low, high, node.timed(*sources))


def _check_sizes(graph: IntGraph) -> None:
    """Raises GraphError unless there are nodes, inputs and time steps, and no more than a graph may have."""
    if not graph.nodes:
        raise GraphError("a graph needs at least one node, got none.")
    if not 1 <= graph.time_steps <= MAX_TIME_STEPS:
        raise GraphError(f"time_steps must be 1 to {MAX_TIME_STEPS}, got {graph.time_steps}.")
    reads = sum(len(node.inputs) for node in graph.nodes)
    if reads > MAX_READS:
        raise GraphError(f"the nodes have {reads} inputs together, a graph may have {MAX_READS}. Add or join fewer.")


def _sources(node: Operation, edges: dict[str, Edge], later: dict[str, Operation]) -> list[Edge]:
    """The edges that `node` reads; of a later node, what it promises."""
    sources = []
    for name in node.inputs:
        if name in edges:
            sources.append(edges[name])
            continue
        promise = later[name].promise() if node.reads_later and name in later else None
        if promise is None:
            raise GraphError(f"{node.name}: reads {name!r}, which no earlier node makes.")
        shape = node.output_shape()
        fits = len(shape) in (1, 3) and all(1 <= d <= MAX_DIMENSION for d in shape)
        node.require(fits, "shape", shape, f"(C, H, W) or (F,) of 1 to {MAX_DIMENSION} each")
        sources.append(Edge(shape, np.zeros(shape[0], np.int64), np.full(shape[0], promise, np.int64), timed=True))
    return sources


def _check(node: Operation, sources: list[Edge]) -> None:
    """Raises GraphError where `node` can't read `sources`."""
    few, many = node.arity
    if not few <= len(sources) <= many:
        raise GraphError(f"{node.name}: takes {few} to {many} inputs, got {len(sources)}.")
    _require_plain_integers(node)
    node.check(*sources)


def _proof(node: Operation, sources: list[Edge], time_steps: int) -> int:
    """Values that the interval of `node` is derived from: the ends of channels, and what the operation says."""
    ends = sum(len(x.low) + len(x.high) for x in sources)
    return ends + node.proof(*sources, T=time_steps)


def _edge(node: Operation, sources: list[Edge], time_steps: int) -> Edge:
    shape = node.output_shape(*(x.shape for x in sources))
    if not 1 <= len(shape) <= 3 or any(not 1 <= d < 2**31 for d in shape) or math.prod(shape) >= 2**31:
        raise GraphError(f"{node.name}: its output shape {shape} is empty or too large.")
    low, high = node.interval(*sources, T=time_steps)
    node.require_int32("output", low, high)
    return Edge(shape, low, high, node.timed(*sources))


def _require_plain_integers(node: Operation) -> None:
    """NumPy's integers wrap around: an attribute must be Python's, or the bounds computed from it prove nothing."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if dataclasses.is_dataclass(value):
            value = tuple(vars(value).values())
        for v in value if isinstance(value, tuple) else (value,):
            if isinstance(v, np.generic):
                node.require(False, field.name, repr(v), "a plain Python number")


def check_outputs(graph: IntGraph, edges: dict[str, Edge]) -> None:
    """Raises GraphError unless outputs exist and the first is a vector of logits, for all time steps or for each."""
    if not 1 <= len(graph.outputs) <= MAX_OUTPUTS:
        raise GraphError(f"outputs: a graph has 1 to {MAX_OUTPUTS}, got {len(graph.outputs)}.")
    names = [output.node for output in graph.outputs]
    for output in graph.outputs:
        if output.node not in edges or names.count(output.node) > 1:
            raise GraphError(f"outputs must be different nodes of the graph, got {output.node!r}.")
        if not (math.isfinite(output.scale) and output.scale > 0):
            raise GraphError(f"logit_scale must be a positive finite number, got {output.scale}.")
    logits = edges[graph.outputs[0].node]
    if len(logits.shape) != 1:
        raise GraphError(
            f"{graph.outputs[0].node}: the first output must be one vector of logits, got {logits.shape}. (A module "
            "returns a map as y.flatten(2), or behind a vector, as a further output.)"
        )
    if graph.labels and len(graph.labels) != logits.shape[0]:
        raise GraphError(f"labels must name {logits.shape[0]} classes, got {len(graph.labels)}.")


def reason_to_end(graph: IntGraph, edges: dict[str, Edge]) -> str | None:
    """Why `graph` can't run on beyond its time steps; None where it can (spec V6)."""
    for node in graph.nodes:
        if not node.endless(*(edges[name] for name in node.inputs), T=graph.time_steps):
            return f"{node.name} ({node.word}) is proved to fit 32 bits for {graph.time_steps} time steps only"
    return None


def reads_later_nodes(graph: IntGraph) -> bool:
    """Whether a node reads a later one, so that the graph must run step by step."""
    position = {node.name: i for i, node in enumerate(graph.nodes)}
    return any(position[name] >= i for i, node in enumerate(graph.nodes) for name in node.inputs)
