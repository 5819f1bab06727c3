"""`spikelet pack`: a finished run as one file, and its bytes beside the theory.

    theory = sum over layers of weights * bits / 8  +  constants       (thresholds, scales: what the arrays take)

The file adds its header: names, shapes, class names and origin as text.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch

import spikelet
from spikelet.base.table import Table
from spikelet.cli.printing import facts, heading, percent, show
from spikelet.cli.result import Result, load_result, recipe_of
from spikelet.cli.sources import spiking_run
from spikelet.graph import ir
from spikelet.graph.file.artifact import save
from spikelet.graph.ir import IntGraph
from spikelet.lowering import lower
from spikelet.profiling.packed import node_bytes
from spikelet.train import TrainConfig

FLOAT_BYTES = 4


def pack(folder: Path, out: Path) -> None:
    """Lowers the run in `folder` and writes `out`.

    Raises:
        ValueError: the run is not finished, or can't be lowered; names the layer.
        FileNotFoundError: it was not evaluated yet, or `out` has no folder.
    """
    model, config = spiking_run(folder)
    result = load_result(folder)
    graph = lower(model, _example(result), labels=result.labels, meta=origin(config, result))
    save(graph, out)
    heading("Bytes")
    show(_bytes_by_layer(graph))
    facts(_totals(graph, out))
    heading("What the file says")
    facts([("classes", ", ".join(graph.labels)), *graph.meta.items()])
    heading(f"saved {out}")


def _example(result: Result) -> torch.Tensor:
    """A batch of one, of zeros: only its shape matters."""
    shape = result.sample_shape
    return torch.zeros((shape[0], 1, *shape[1:]) if len(shape) == 4 else (1, *shape), dtype=torch.uint8)


def origin(config: TrainConfig, result: Result) -> dict[str, str]:
    """Where a model comes from, as the strings that its file keeps; what is unknown is left out."""
    bits = {
        name: str(config.model_options[name])
        for name in ("weight_bits", "membrane_bits")
        if name in config.model_options
    }
    accuracy = (
        "" if result.test_accuracy is None else f"{percent(result.test_accuracy)} of {result.test_samples}, last epoch"
    )
    known = {
        "model": config.model,
        "recipe": recipe_of(config),
        "seed": str(config.seed),
        **bits,
        "data": result.about,
        "data_options": json.dumps(config.data_options) if config.data_options else "",
        "test_accuracy": accuracy,
        "commit": result.commit,
        "spikelet": spikelet.__version__,
    }
    return {name: value for name, value in known.items() if value}


def _bytes_by_layer(graph: IntGraph) -> Table:
    rows = []
    for node in graph.nodes:
        if isinstance(node, ir.Conv | ir.Linear):
            rows.append((node.name, f"{node.weight.size:,}", str(node.bits), f"{node_bytes(node):,}"))
        elif isinstance(node, ir.Affine):
            rows.append((node.name, f"{node.shift.size:,} channels", "-", f"{node_bytes(node):,}"))
    return Table(("layer", "weights", "bits", "bytes"), tuple(rows))


def _totals(graph: IntGraph, path: Path) -> list[tuple[str, str]]:
    weights = [node for node in graph.nodes if isinstance(node, ir.Conv | ir.Linear)]
    codes = sum(node.weight.size * node.bits for node in weights) / 8
    constants = sum(node_bytes(node) for node in graph.of_type(ir.Affine))
    size, count = path.stat().st_size, sum(node.weight.size for node in weights)
    theory = codes + constants
    return [
        ("weights", f"{codes:,.0f} B for {count:,} weights ({FLOAT_BYTES * count:,} B as float32)"),
        ("scales and thresholds", f"{constants:,} B"),
        ("theory", f"{theory:,.0f} B"),
        ("file", f"{size:,} B = theory x {size / theory:.3f}, or theory + {size - theory:,.0f} B of header"),
    ]
