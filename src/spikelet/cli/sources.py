"""What a command works on: a run folder or a packed file, and the samples to run it with.

A packed file chooses no more of its data than own_data.py allows. Classes meet by name (data/classes.py), and samples
that a network does not take are refused before any work.
"""

from __future__ import annotations

import dataclasses
import math
from pathlib import Path
from typing import Any

from torch import nn

from spikelet.base.errors import NoSuchFile, SpikeletError
from spikelet.base.strict_json import shown
from spikelet.cli.errors import naming
from spikelet.cli.grounds import ground_for
from spikelet.cli.opening import opened
from spikelet.cli.own_data import own_data
from spikelet.data import DataSplits, Samples, names
from spikelet.data import load as load_data
from spikelet.data.classes import class_names_of
from spikelet.data.load import Form
from spikelet.data.readers.folder import is_of_sound
from spikelet.graph.analysis import analyse
from spikelet.graph.ir import IntGraph
from spikelet.graph.trained_on import front_end_of
from spikelet.models.builder import Task
from spikelet.train import TrainConfig, load_run
from spikelet.train.origin import load_origin

SPLITS = ("train", "validation", "test")
RGB = 3  # channels
OPTIONS = ("validation", "seed", *Form.__annotations__)  # of load; its root is said on the command line


@dataclasses.dataclass(frozen=True)
class Takes:
    """What a network takes: samples of `shape` (C, H, W), frames in `time_steps` (None: any number), and its classes.

    classes: their names; empty where nobody named them.
    logits: how many classes there are.
    """

    shape: tuple[int, ...]
    time_steps: int | None
    classes: tuple[str, ...]
    logits: int

    def checked(self, samples: Samples, name: str) -> Samples:
        """`samples` with the network's class numbers. Grey ones become RGB for a network that takes that, as
        `spikelet run` does it, and their note says so.

        Raises:
            SpikeletError: their shape is not the network's; says both, and the way out.
            SpikeletError: there are samples of a class that the network lacks.
        """
        time, shape = samples.sample_shape[:-3], samples.sample_shape[-3:]
        if time and self.time_steps is not None and time[0] != self.time_steps:
            raise SpikeletError(
                f"{name} takes T = {self.time_steps} frames, and the samples of {samples.name} have {time[0]}."
            )
        if shape == (1, *self.shape[1:]) and self.shape[0] == RGB:
            samples = _in_rgb(samples)
        elif shape != self.shape:
            is_rgb = shape == (RGB, *self.shape[1:]) and self.shape[0] == 1
            raise SpikeletError(
                f"{name} takes samples of shape {list(self.shape)} (channels, height, width), and those of "
                f"{samples.name} are {list(shape)}. Choose other data with --data."
                f"{' (The same pictures saved in grey will do.)' if is_rgb else ''}"
            )
        return samples.by_name(self.classes, self.logits, name)


def _in_rgb(samples: Samples) -> Samples:
    """Grey samples with three equal channels."""
    note = ", ".join(part for part in (samples.note, "grey, to RGB") if part)
    return dataclasses.replace(samples, x=samples.x.repeat_interleave(RGB, -3), note=note)


@dataclasses.dataclass(frozen=True)
class Trained:
    """A finished run: the module in evaluation mode."""

    folder: Path
    model: nn.Module
    config: TrainConfig

    @property
    def name(self) -> str:
        """The folder."""
        return str(self.folder)

    @property
    def takes(self) -> Takes:
        """What the model takes: a network of the catalogue says it itself, any other was trained on it.

        Raises:
            SpikeletError: neither is known, or run.json is damaged.
        """
        names, task = class_names_of(self.model), getattr(self.model, "task", None)
        if isinstance(task, Task):
            return Takes(task.sample_shape, None, names, task.num_classes)
        origin = load_origin(self.folder)
        if origin is None:
            raise SpikeletError(
                f"{self.folder} has no run.json, which says what data its network takes. Train it anew."
            )
        return Takes(origin.data["train"].shape[-3:], None, names, len(origin.classes))


@dataclasses.dataclass(frozen=True)
class Packed:
    """A packed file."""

    name: str
    graph: IntGraph

    @property
    def takes(self) -> Takes:
        """What the graph takes."""
        graph = self.graph
        logits = math.prod(analyse(graph)[graph.output.name].shape)
        return Takes(graph.input.shape, graph.time_steps, graph.labels, logits)


@dataclasses.dataclass(frozen=True)
class Choice:
    """Which samples to use: a data set by name (None: the one of the training), its folder, and a split (None: the
    test set, or the validation set of a data set without one).

    Raises SpikeletError where there is no such split.
    """

    data: str | None = None
    root: str | None = None
    split: str | None = None

    def __post_init__(self) -> None:
        if self.split not in (None, *SPLITS):
            raise SpikeletError(f"--split must be one of {', '.join(SPLITS)}, got {self.split!r}.")

    def is_own_test_set(self, split: str) -> bool:
        """Whether accuracy on this split is the run's result."""
        return self.data is None and split == "test"

    def split_of(self, splits: DataSplits) -> str:
        """The name of the split to use."""
        return self.split or ("test" if len(splits.test) or not len(splits.validation) else "validation")


def spiking_run(folder: Path) -> tuple[nn.Module, TrainConfig]:
    """The model and the configuration of a finished run.

    Raises:
        SpikeletError: not finished, damaged, or an analog twin, which is not what is deployed.
    """
    with naming(folder):
        model, config = load_run(folder)
    if config.analog:
        raise SpikeletError(
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
        with naming(folder):
            return Trained(folder, *load_run(folder))
    with naming(target):
        return Packed(target, opened(target))


def splits_of(config: TrainConfig, root: str | None) -> DataSplits:
    """The data set of a configuration; `root` is where it lies now, the folder itself where it was given by its path.

    Raises:
        FileNotFoundError, ValueError, ImportError: see `spikelet.data.load`.
    """
    if config.data in names():
        return read_splits(config.data, root, config.data_options)
    try:
        return read_splits(config.data if root is None else root, None, config.data_options)
    except FileNotFoundError as error:
        raise NoSuchFile(f"{error} Say where it lies now with --data-root PATH.") from error


def samples_of(target: Trained | Packed, choice: Choice) -> tuple[DataSplits, Samples]:
    """The data set and its chosen split, in the shape that the target takes.

    Raises:
        FileNotFoundError, ValueError, ImportError: see `spikelet.data.load`; the split is empty; or a packed file
            does not say what it was trained on.
    """
    splits = _splits(target, choice)
    split = choice.split_of(splits)
    samples: Samples = getattr(splits, split)
    if not len(samples):
        raise SpikeletError(f"{samples.name} has no {split} samples. {_other_splits(splits)}")
    return splits, target.takes.checked(samples, target.name)


def _other_splits(splits: DataSplits) -> str:
    there = {name: len(getattr(splits, name)) for name in SPLITS}
    found = [f"{count} of --split {name}" for name, count in there.items() if count]
    return f"It has {' and '.join(found)}." if found else "It has none at all."


def _splits(target: Trained | Packed, choice: Choice) -> DataSplits:
    """The data set of the choice, read as in training where it is the training's."""
    if isinstance(target, Trained):
        if choice.data in (None, target.config.data):
            return splits_of(target.config, choice.root)
        time_steps = target.config.time_steps(target.config.epochs - 1)
        frames = target.config.data_options.get("time_steps", time_steps)  # an analog twin has no steps of its own
        size, ground = target.takes.shape[-1], target.config.data_options.get("ground", "white")
        form = _form(choice.data, size, frames, ground, target.config.data_options.get("sound"))
        return read_splits(choice.data, choice.root, {**form, **_held_out(choice)})
    graph = target.graph
    if choice.data in (None, graph.meta.get("data", "").split(" (")[0]) and choice.data in (None, *names()):
        with naming(target.name):
            own = own_data(graph)
        return read_splits(own.name, choice.root, own.options)
    ground = str(ground_for(graph.meta, None))
    hears = front_end_of(graph)
    sound = None if hears is None else dataclasses.asdict(hears)
    form = _form(choice.data, graph.input.shape[-1], graph.time_steps, ground, sound)
    return read_splits(choice.data, choice.root, {**form, **_held_out(choice)})


def _form(data: str | None, size: int, steps: int, ground: str, sound: dict[str, int] | None) -> dict[str, Any]:
    """How other data than the training's is read: pictures of a size on a ground, or sounds through a front end."""
    if data is not None and data not in names() and is_of_sound(data):
        return {"time_steps": steps, "sound": sound}
    return {"image_size": size, "time_steps": steps, "ground": ground}


def _held_out(choice: Choice) -> dict[str, float]:
    """What `load` holds out of other data than the training's: nothing, unless that part is what is asked for."""
    return {} if choice.split == "validation" else {"validation": 0.0}


def read_splits(name: str, root: str | None, options: dict[str, Any]) -> DataSplits:
    """The data set `name`, read with the options of a configuration.

    Raises:
        FileNotFoundError, ValueError, ImportError: an option is not one of a configuration's, or what
            `spikelet.data.load` raises.
    """
    if unknown := [key for key in options if key not in OPTIONS]:
        raise SpikeletError(
            f"data set {shown(name)}: {shown(unknown[0])} is no option of a run's data. "
            f"There are: {', '.join(OPTIONS)}."
        )
    try:
        with naming(name):
            return load_data(name, root=root, **options)
    except FileNotFoundError as error:
        if name not in names():
            raise
        raise NoSuchFile(f"{error} Say where it lies with --data-root PATH.") from error
