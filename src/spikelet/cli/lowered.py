"""A finished run as integers, with its classes and the words about its origin that its packed file keeps."""

from __future__ import annotations

import json
from pathlib import Path

import torch

import spikelet
from spikelet.cli.printing import percent
from spikelet.cli.result import Result, load_result, recipe_of
from spikelet.cli.sources import spiking_run
from spikelet.data import names
from spikelet.graph.ir import IntGraph
from spikelet.lowering import lower
from spikelet.train import TrainConfig


def graph_of_run(folder: Path) -> IntGraph:
    """The graph of the run in `folder`.

    Raises:
        ValueError: the run is not finished, or can't be lowered and names the layer.
        FileNotFoundError: it was not evaluated yet.
    """
    model, config = spiking_run(folder)
    result = load_result(folder)
    time_axis = 0 if len(result.sample_shape) == 4 else None
    return lower(model, _example(result), time_axis=time_axis, labels=result.labels, meta=origin(config, result))


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
