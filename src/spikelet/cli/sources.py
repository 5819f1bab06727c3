"""What a command works on: a run folder or a packed file, and the samples to run it with."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any

from torch import nn

from spikelet.data import DataSplits, Samples
from spikelet.data import load as load_data
from spikelet.graph.ir import IntGraph
from spikelet.models.catalogue import MODELS
from spikelet.train import TrainConfig, load_run
from spikelet.zoo import load as load_graph

SPLITS = ("train", "validation", "test")


@dataclasses.dataclass(frozen=True)
class Trained:
    """A finished run: the module in evaluation mode."""

    folder: Path
    model: nn.Module
    config: TrainConfig


@dataclasses.dataclass(frozen=True)
class Packed:
    """A packed file."""

    name: str
    graph: IntGraph


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which samples to use: a data set by name (None: the one of the training), its folder, and a split.

    Raises ValueError where there is no such split.
    """

    data: str | None = None
    root: str | None = None
    split: str = "test"

    def __post_init__(self) -> None:
        if self.split not in SPLITS:
            raise ValueError(f"--split must be one of {', '.join(SPLITS)}, got {self.split!r}.")

    @property
    def is_own_test_set(self) -> bool:
        """Whether accuracy on these samples is the run's result."""
        return self.data is None and self.split == "test"


def spiking_run(folder: Path) -> tuple[nn.Module, TrainConfig]:
    """The model and the configuration of a finished run.

    Raises:
        ValueError: not finished, damaged, or an analog twin, which is not what is deployed.
    """
    model, config = load_run(folder)
    if config.analog:
        raise ValueError(
            f"{folder} holds an analog twin, which teaches and is not deployed. Give the run that it taught."
        )
    return model, config


def open_target(target: str) -> Trained | Packed:
    """What `target` names: a run folder, or else a packed file or a shipped model.

    Raises:
        FileNotFoundError, ValueError: none of these, or damaged.
    """
    folder = Path(target)
    if folder.is_dir():
        return Trained(folder, *load_run(folder))
    return Packed(target, load_graph(target))


def splits_of(config: TrainConfig, root: str | None) -> DataSplits:
    """The data set of a configuration.

    Raises:
        FileNotFoundError, ValueError, ImportError: see `spikelet.data.load`.
    """
    return _read(config.data, root, config.data_options)


def samples_of(target: Trained | Packed, choice: Choice) -> tuple[DataSplits, Samples]:
    """The data set and its chosen split, in the shape that the target takes.

    Raises:
        FileNotFoundError, ValueError, ImportError: see `spikelet.data.load`; the split is empty; or a packed file
            does not say what it was trained on.
    """
    splits = _splits(target, choice)
    samples: Samples = getattr(splits, choice.split)
    if not len(samples):
        raise ValueError(f"{samples.name} has no {choice.split} samples. Choose another --split.")
    return splits, samples


def _splits(target: Trained | Packed, choice: Choice) -> DataSplits:
    if isinstance(target, Trained):
        if choice.data is None:
            return splits_of(target.config, choice.root)
        time_steps = target.config.time_steps(target.config.epochs - 1)
        frames = target.config.data_options.get("time_steps", time_steps)  # an analog twin has no steps of its own
        return _read(choice.data, choice.root, {"image_size": image_size_of(target.config), "time_steps": frames})
    meta, graph = target.graph.meta, target.graph
    if choice.data is not None:
        options = {"image_size": graph.input.shape[-1], "time_steps": graph.time_steps}
        return _read(choice.data, choice.root, options)
    own = meta.get("data", "").split(" (")[0]
    if not own:
        raise ValueError(f"{target.name} does not say what it was trained on. Name a data set with --data NAME.")
    return _read(own, choice.root, {"time_steps": graph.time_steps} | json.loads(meta.get("data_options", "{}")))


def _read(name: str, root: str | None, options: dict[str, Any]) -> DataSplits:
    try:
        return load_data(name, root=root, **options)
    except FileNotFoundError as error:
        raise FileNotFoundError(f"{error} Say where it lies with --data-root PATH.") from error


def image_size_of(config: TrainConfig) -> int:
    """Side of the images that a configuration's model takes."""
    options = inspect.signature(MODELS[config.model]).bind(**config.model_options)
    options.apply_defaults()
    return options.arguments["image_size"]
