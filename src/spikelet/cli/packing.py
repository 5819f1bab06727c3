"""`spikelet pack`: a finished run as one file, described as `spikelet inspect` describes it."""

from __future__ import annotations

import json
from pathlib import Path

import torch

import spikelet
from spikelet.cli.errors import naming
from spikelet.cli.inspecting import describe
from spikelet.cli.outputs import require_file
from spikelet.cli.printing import heading, percent
from spikelet.cli.result import Result, load_result, recipe_of
from spikelet.cli.sources import spiking_run
from spikelet.data import names
from spikelet.graph.file.artifact import save
from spikelet.lowering import lower
from spikelet.train import TrainConfig


def pack(folder: Path, out: Path) -> None:
    """Lowers the run in `folder`, writes `out` and describes it.

    Raises:
        ValueError: the run is not finished, or can't be lowered and names the layer; or `out` is one of its files.
        FileNotFoundError: it was not evaluated yet, or `out` has no folder.
    """
    require_file(out, [folder])
    model, config = spiking_run(folder)
    result = load_result(folder)
    time_axis = 0 if len(result.sample_shape) == 4 else None
    graph = lower(model, _example(result), time_axis=time_axis, labels=result.labels, meta=origin(config, result))
    with naming(out):
        save(graph, out)
    describe(graph, str(out), out.stat().st_size)
    heading(f"saved {out}")


def _example(result: Result) -> torch.Tensor:
    """One sample of zeros, as a batch: only its shape matters."""
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
        "data": result.about if config.data in names() or result.data not in names() else f"folder {result.about}",
        "data_options": json.dumps(config.data_options) if config.data_options else "",
        "test_accuracy": accuracy,
        "commit": result.commit,
        "spikelet": spikelet.__version__,
    }
    return {name: value for name, value in known.items() if value}
