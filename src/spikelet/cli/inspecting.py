"""`spikelet inspect`: what a packed file holds, node by node, byte by byte, and in its own words."""

from __future__ import annotations

import math

from spikelet.base.table import Table
from spikelet.cli.printing import facts, heading, show
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.file.document import stored_bytes
from spikelet.zoo import load, path_of

COLUMNS = ("node", "operation", "reads", "output", "values", "bits", "bytes")
PROSE = (0, 1, 2, 3)
FLOAT_BYTES = 4


def inspect(model: str) -> None:
    """Prints the nodes, the bytes by part, the classes and the origin.

    Raises:
        ValueError, OSError: the file can't be read, or is damaged.
    """
    graph = load(model)
    size = path_of(model).stat().st_size
    heading(f"{model}: {len(graph.nodes)} nodes, T = {graph.time_steps}, {size:,} bytes")
    show(_nodes(graph))
    facts([*_bytes(graph, size), *_meaning(graph)])
    if graph.meta:
        heading("What the file says about its origin")
        facts(list(graph.meta.items()))


def _nodes(graph: ir.IntGraph) -> Table:
    edges = analyse(graph)
    rows = tuple(_row(node, edges[node.name].shape) for node in graph.nodes)
    return Table(COLUMNS, rows, (("total", "", "", "", "", "", f"{sum(map(stored_bytes, graph.nodes)):,}"),), PROSE)


def _row(node: ir.Operation, shape: tuple[int, ...]) -> tuple[str, ...]:
    """Weights and their bits where the node has any; the bytes of all its arrays."""
    weight = getattr(node, "weight", None)
    values, bits = ("", "") if weight is None else (f"{weight.size:,}", str(getattr(node, "bits", "")))
    size = stored_bytes(node)
    reads = ", ".join(node.inputs)
    return node.name, type(node).__name__, reads, " x ".join(map(str, shape)), values, bits, f"{size:,}" if size else ""


def _bytes(graph: ir.IntGraph, size: int) -> list[tuple[str, str]]:
    weights = [node for node in graph.nodes if isinstance(node, ir.Conv | ir.Linear)]
    count = sum(node.weight.size for node in weights)
    codes, stored = sum(map(stored_bytes, weights)), sum(map(stored_bytes, graph.nodes))
    return [
        ("weights", f"{codes:,} bytes for {count:,} weights ({FLOAT_BYTES * count:,} bytes as float32)"),
        ("scales, thresholds, maps", f"{stored - codes:,} bytes"),
        ("header", f"{size - stored:,} bytes"),
    ]


def _meaning(graph: ir.IntGraph) -> list[tuple[str, str]]:
    shape = graph.input.shape
    classes = f"{len(graph.labels)}: {', '.join(graph.labels)}" if graph.labels else "without names"
    return [
        ("input", f"uint8 {list(shape)}, {math.prod(shape):,} bytes an image; or {[graph.time_steps, *shape]} frames"),
        ("logits", f"int32, real logit = integer logit x {graph.logit_scale!r}"),
        ("classes", classes),
    ]
