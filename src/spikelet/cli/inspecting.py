"""`spikelet inspect`: what a packed file holds, node by node, byte by byte, and in its own words."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

from spikelet.base.table import CELL, Table
from spikelet.base.text import fit_to_print, shortened
from spikelet.cli.errors import naming
from spikelet.cli.opening import opened
from spikelet.cli.printing import facts, heading, say, show
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.file.document import stored_bytes
from spikelet.graph.ops.operation import Work
from spikelet.zoo import path_of

COLUMNS = ("node", "operation", "reads", "output", "weights", "bits", "bytes", "operations/step")
PROSE = (0, 1, 2, 3)
SCHEMA = "spikelet.inspect/1"
FLOAT_BYTES = 4
MOST = 100  # class names, and words about the origin, that are shown


def inspect(model: str) -> Description:
    """What the file holds: the nodes, the bytes by part, the classes and the origin.

    Raises:
        ValueError, OSError: the file can't be read, or is damaged.
    """
    with naming(model):
        return Description(opened(model), model, path_of(model).stat().st_size)


@dataclasses.dataclass(frozen=True)
class Description:
    """What the file `name` of `size` bytes holds: `graph`."""

    graph: ir.IntGraph
    name: str
    size: int

    def show(self) -> None:
        """Prints it."""
        graph = self.graph
        heading(f"{self.name}: {len(graph.nodes)} nodes, T = {graph.time_steps}, {self.size:,} bytes")
        show(_nodes(graph))
        facts([*_sizes(graph, self.size), *_meaning(graph)])
        if graph.meta:
            heading("What the file says about its origin")
            said = sorted(graph.meta.items())
            facts([(name, shortened(words, CELL)) for name, words in said[:MOST]])
            if len(said) > MOST:
                say(f"and {len(said) - MOST:,} more\n")

    def document(self) -> dict[str, Any]:
        """The same as JSON has it; every word whole."""
        graph, edges, work = self.graph, analyse(self.graph), work_of(self.graph)
        stored = sum(map(stored_bytes, graph.nodes))
        return {
            "schema": SCHEMA,
            "model": self.name,
            "bytes": {"file": self.size, "arrays": stored, "header": self.size - stored},
            "time_steps": graph.time_steps,
            "input_shape": list(graph.input.shape),
            "classes": list(graph.labels),
            "outputs": [{"node": o.node, "scale": o.scale} for o in graph.outputs],
            "operations_per_sample": graph.time_steps * sum(w.total for w in work.values()),
            "nodes": [
                {
                    "name": node.name,
                    "operation": type(node).__name__,
                    "reads": list(node.inputs),
                    "shape": list(edges[node.name].shape),
                    "bits": getattr(node, "bits", None),
                    "bytes": stored_bytes(node),
                    "operations_per_step": work[node.name].total,
                }
                for node in graph.nodes
            ],
            "origin": dict(sorted(graph.meta.items())),
        }


def _nodes(graph: ir.IntGraph) -> Table:
    edges, work = analyse(graph), work_of(graph)
    rows = tuple(_row(node, edges[node.name].shape, work[node.name]) for node in graph.nodes)
    size, total = sum(map(stored_bytes, graph.nodes)), sum(w.total for w in work.values())
    return Table(COLUMNS, rows, (("total", "", "", "", "", "", f"{size:,}", f"{total:,}"),), PROSE)


def _row(node: ir.Operation, shape: tuple[int, ...], work: Work) -> tuple[str, ...]:
    """Weights and their bits where the node has any; the bytes of all its arrays."""
    weight, size = getattr(node, "weight", None), stored_bytes(node)
    values, bits = ("", "") if weight is None else (f"{weight.size:,}", str(getattr(node, "bits", "")))
    sides = (" x ".join(map(str, shape)), values, bits, f"{size:,}" if size else "", f"{work.total:,}")
    return node.name, type(node).__name__, ", ".join(node.inputs), *sides


def work_of(graph: ir.IntGraph) -> dict[str, Work]:
    """The arithmetic of each node for one sample and time step, by name; zeros are counted like other values."""
    edges = analyse(graph)
    return {node.name: node.work(*(edges[name].shape for name in node.inputs)) for node in graph.nodes}


def _sizes(graph: ir.IntGraph, size: int) -> list[tuple[str, str]]:
    weights = [node for node in graph.nodes if hasattr(node, "weight")]
    count = sum(node.weight.size for node in weights)  # type: ignore[attr-defined]
    codes, stored = sum(map(stored_bytes, weights)), sum(map(stored_bytes, graph.nodes))
    work, t = list(work_of(graph).values()), graph.time_steps
    macs, rest = t * sum(w.macs for w in work), t * sum(w.additions + w.comparisons for w in work)
    return [
        ("weights", f"{codes:,} bytes for {count:,} weights ({FLOAT_BYTES * count:,} bytes as float32)"),
        ("scales, thresholds, maps", f"{stored - codes:,} bytes"),
        ("header", f"{size - stored:,} bytes of names, shapes, classes and words"),
        (
            "operations a sample",
            f"{macs:,} multiply-accumulates, {rest:,} additions and comparisons in {t} steps, dense",
        ),
    ]


def _meaning(graph: ir.IntGraph) -> list[tuple[str, str]]:
    shape = graph.input.shape
    classes = f"{len(graph.labels)}: {_names(graph.labels)}" if graph.labels else "without names"
    return [
        ("input", f"uint8 {list(shape)}, {math.prod(shape):,} bytes an image; or {[graph.time_steps, *shape]} frames"),
        ("logits", f"int32 of {graph.output.name}, real logit = integer logit x {graph.logit_scale!r}"),
        *(("further output", f"int32 of {o.node}, real value = integer x {o.scale!r}") for o in graph.outputs[1:]),
        ("classes", classes),
    ]


def _names(labels: Sequence[str]) -> str:
    """The first hundred names, each short."""
    more = f" and {len(labels) - MOST:,} more" if len(labels) > MOST else ""
    return ", ".join(fit_to_print(label, 60) for label in labels[:MOST]) + more
