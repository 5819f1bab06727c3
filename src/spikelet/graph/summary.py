"""What a graph's nodes are, as a table and as facts: shapes, weights, bits, bytes in a file, neurons, arithmetic.

Everything is read from the nodes' sizes alone, so that a graph which `analyse` refuses can be looked at too.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from spikelet.base.page import NAME
from spikelet.base.table import Table
from spikelet.base.text import fit_to_print
from spikelet.graph.edge import Shape
from spikelet.graph.file.document import stored_bytes
from spikelet.graph.file.limits import shapes_of, sources_of
from spikelet.graph.ops.neuron import Neuron
from spikelet.graph.ops.operation import Operation, Work

COLUMNS = ("node", "operation", "reads", "output", "weights", "bits", "bytes", "neurons", "operations/step")
SHORT = ("node", "operation", "output", "weights", "bits", "bytes", "neurons")  # what fits a narrow page
WORDS = ("node", "operation", "reads", "output")
FLOAT_BYTES, MEMBRANE_BITS = 4, 32  # of a float32, and of a membrane that is kept in full
LABELS = 100  # class names that are shown

Fact = tuple[str, str]


def nodes_table(nodes: Sequence[Operation], columns: Sequence[str] = COLUMNS) -> Table:
    """A row a node, with the named columns; bits are those of a weight, or of a neuron's membrane."""
    shapes, work = shapes_of(nodes), work_of(nodes)
    rows = [_cells(node, shapes[node.name], work[node.name]) for node in nodes]
    neurons = sum(math.prod(shapes[node.name]) for node in nodes if isinstance(node, Neuron))
    total = {
        "node": "total",
        "bytes": f"{sum(map(stored_bytes, nodes)):,}",
        "neurons": f"{neurons:,}",
        "operations/step": f"{sum(w.total for w in work.values()):,}",
    }
    prose = tuple(i for i, title in enumerate(columns) if title in WORDS)
    cells = [tuple(row.get(title, "") for title in columns) for row in (*rows, total)]
    return Table(tuple(columns), tuple(cells[:-1]), (cells[-1],), prose)


def _cells(node: Operation, shape: Shape, work: Work) -> dict[str, str]:
    size, weight = stored_bytes(node), getattr(node, "weight", None)
    cells = {
        "node": node.name,
        "operation": type(node).__name__,
        "reads": ", ".join(node.inputs),
        "output": " x ".join(map(str, shape)),
        "bytes": f"{size:,}" if size else "",
        "operations/step": f"{work.total:,}",
    }
    if weight is not None:
        cells |= {"weights": f"{weight.size:,}", "bits": str(getattr(node, "bits", ""))}
    if isinstance(node, Neuron):
        bits = MEMBRANE_BITS if node.membrane is None else node.membrane.bits
        cells |= {"bits": str(bits), "neurons": f"{math.prod(shape):,}"}
    return cells


def work_of(nodes: Sequence[Operation]) -> dict[str, Work]:
    """The arithmetic of each node for one sample and time step, by name; zeros are counted like other values."""
    shapes = shapes_of(nodes)
    return {node.name: node.work(*sources_of(node, shapes)) for node in nodes}


def bytes_facts(nodes: Sequence[Operation]) -> list[Fact]:
    """Bytes of the weights, and of everything else that nodes hold."""
    weights = [node for node in nodes if hasattr(node, "weight")]
    count = sum(node.weight.size for node in weights)  # type: ignore[attr-defined]
    codes, stored = sum(map(stored_bytes, weights)), sum(map(stored_bytes, nodes))
    return [
        ("weights", f"{codes:,} bytes for {count:,} weights ({FLOAT_BYTES * count:,} bytes as float32)"),
        ("scales, thresholds, maps", f"{stored - codes:,} bytes"),
    ]


def work_fact(nodes: Sequence[Operation], time_steps: int) -> Fact:
    """The arithmetic of one sample through all steps."""
    work = work_of(nodes).values()
    macs, rest = sum(w.macs for w in work), sum(w.additions + w.comparisons for w in work)
    said = f"{time_steps * macs:,} multiply-accumulates, {time_steps * rest:,} additions and comparisons"
    return "operations a sample", f"{said} in {time_steps} steps, dense"


def meaning_facts(shape: Shape, time_steps: int, outputs: Mapping[str, Any], labels: Sequence[str]) -> list[Fact]:
    """What goes in, what comes out (`outputs`: scales by node name), and the names of the classes."""
    (first, scale), *others = [(fit_to_print(name, NAME), scale) for name, scale in outputs.items()]
    classes = f"{len(labels)}: {_names(labels)}" if labels else "without names"
    return [
        ("input", f"uint8 {list(shape)}, {math.prod(shape):,} bytes an image; or {[time_steps, *shape]} frames"),
        ("logits", f"int32 of {first}, real logit = integer logit x {scale!r}"),
        *(("further output", f"int32 of {name}, real value = integer x {scale!r}") for name, scale in others),
        ("classes", classes),
    ]


def _names(labels: Sequence[str]) -> str:
    """The first hundred names, each short."""
    more = f" and {len(labels) - LABELS:,} more" if len(labels) > LABELS else ""
    return ", ".join(fit_to_print(label, 60) for label in labels[:LABELS]) + more
