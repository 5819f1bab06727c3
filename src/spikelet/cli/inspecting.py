"""`spikelet inspect`: what a packed file holds, node by node, byte by byte, and in its own words."""

from __future__ import annotations

import dataclasses
from typing import Any

from spikelet.base.table import CELL
from spikelet.base.text import shortened
from spikelet.cli.errors import naming
from spikelet.cli.opening import opened
from spikelet.cli.printing import facts, heading, say, show
from spikelet.graph import ir
from spikelet.graph.file.document import stored_bytes
from spikelet.graph.file.limits import shapes_of
from spikelet.graph.summary import bytes_facts, meaning_facts, nodes_table, work_fact, work_of
from spikelet.graph.trained_on import front_end_of
from spikelet.zoo import path_of

SCHEMA = "spikelet.inspect/1"
MOST = 100  # words about the origin that are shown


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
        show(nodes_table(graph.nodes))
        header = self.size - sum(map(stored_bytes, graph.nodes))
        outputs = {o.node: o.scale for o in graph.outputs}
        facts(
            [
                *bytes_facts(graph.nodes),
                ("header", f"{header:,} bytes of names, shapes, classes and words"),
                work_fact(graph.nodes, graph.time_steps),
                *meaning_facts(graph.input.shape, graph.time_steps, outputs, graph.labels),
                *self._hearing(),
            ]
        )
        if graph.meta:
            heading("What the file says about its origin")
            said = sorted(graph.meta.items())
            facts([(name, shortened(words, CELL)) for name, words in said[:MOST]])
            if len(said) > MOST:
                say(f"and {len(said) - MOST:,} more\n")

    def _hearing(self) -> list[tuple[str, str]]:
        hears = front_end_of(self.graph)
        if hears is None:
            return []
        each = f"{hears.bands} log-mels of every {hears.hop} samples at {hears.rate:,} Hz"
        each += ", beside their running means" if hears.adapt else ""
        return [("hears", f"WAV files: {each}; spikelet run {self.name} SOUND.wav")]

    def document(self) -> dict[str, Any]:
        """The same as JSON has it; every word whole."""
        graph, shapes, work = self.graph, shapes_of(self.graph.nodes), work_of(self.graph.nodes)
        stored = sum(map(stored_bytes, graph.nodes))
        return {
            "schema": SCHEMA,
            "model": self.name,
            "bytes": {"file": self.size, "arrays": stored, "header": self.size - stored},
            "time_steps": graph.time_steps,
            "input_shape": list(graph.input.shape),
            "classes": list(graph.labels),
            "hears": dataclasses.asdict(hears) if (hears := front_end_of(graph)) else None,
            "outputs": [{"node": o.node, "scale": o.scale} for o in graph.outputs],
            "operations_per_sample": graph.time_steps * sum(w.total for w in work.values()),
            "nodes": [
                {
                    "name": node.name,
                    "operation": type(node).__name__,
                    "reads": list(node.inputs),
                    "shape": list(shapes[node.name]),
                    "bits": getattr(node, "bits", None),
                    "bytes": stored_bytes(node),
                    "operations_per_step": work[node.name].total,
                }
                for node in graph.nodes
            ],
            "origin": dict(sorted(graph.meta.items())),
        }
