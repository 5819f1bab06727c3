"""A run on disk, which a killed run continues bit for bit.

    config.json          the TrainConfig
    run.json             classes, data and processes that a resumed run must have again (origin.py)
    checkpoint.pt        model, optimizer, epoch, history: one file, replaced atomically after each epoch
    metrics.jsonl        one line an epoch, rewritten from the history (never a half-written line)
    weights.safetensors  the trained model, when the run is done (weights.py)
    teacher/             the same of its teacher, where it has one (run.py)

Order of samples, augmentation and learning rate are functions of (seed, epoch, step), so no generator
state needs saving and a resumed run equals an uninterrupted one bit for bit on one CPU set-up.
"""

from __future__ import annotations

import copy
import dataclasses
import io
import json
import shlex
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import CheckpointError, SpikeletError
from spikelet.base.files import atomic_write
from spikelet.base.numbers import instance
from spikelet.base.paths import path_of
from spikelet.base.regular import open_regular, read_regular
from spikelet.base.strict_json import shown
from spikelet.models import create_model, list_models
from spikelet.train.analog import to_analog
from spikelet.train.config import TrainConfig
from spikelet.train.evaluate import name_classes
from spikelet.train.origin import class_names_in
from spikelet.train.phases import set_binary, set_phase
from spikelet.train.weights import FILE as WEIGHTS
from spikelet.train.weights import first_line, read_weights, require_state

CHECKPOINT = "checkpoint.pt"
MAX_WEIGHTS = 2**30
MAX_LAYERS = 512
MAX_CONFIG, MAX_METRICS, MAX_FILE = 2**20, 2**28, 2**36  # bytes of config.json, metrics.jsonl and checkpoint.pt
NEEDED = ("model", "optimizer")
METRICS = ("time_steps", "loss", "firing_rate", "learning_rate", "seconds")


State = Mapping[str, Any]  # what has a state_dict, by name: "model", "optimizer", and "scaler" in fp16


def _write(path: Path, data: bytes) -> None:
    with atomic_write(path) as file:
        file.write(data)


def save_config(folder: Path, config: TrainConfig) -> None:
    """Writes config.json."""
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / "config.json", config.to_json().encode())


def load_config(folder: Path) -> TrainConfig:
    """Reads config.json.

    Raises:
        CheckpointError: absent, or not a configuration.
    """
    return read_config(folder / "config.json", "Give the folder of a `spikelet train` run.")


def read_config(path: Path, way_out: str) -> TrainConfig:
    """The configuration in a file; `way_out` ends the error.

    Raises:
        CheckpointError: absent, or not a configuration.
    """
    try:
        return TrainConfig.from_dict(json.loads(read_regular(path, MAX_CONFIG)))
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as e:
        raise CheckpointError(f"{path} is not a run's configuration ({_why_not(path, e)}). {way_out}") from e


def _why_not(path: Path, error: Exception) -> str:
    if not path.parent.exists():
        return f"there is no folder {path.parent}"
    if not path.parent.is_dir():
        return f"{path.parent} is a file and no folder"
    return first_line(error) if path.exists() else "there is no such file"


def save_checkpoint(folder: Path, training: State, history: list[dict[str, Any]]) -> None:
    """Writes metrics so far and state after an epoch; metrics first, so that a kill in between loses no line."""
    buffer = io.BytesIO()
    torch.save({**{name: part.state_dict() for name, part in training.items()}, "history": history}, buffer)
    _write(folder / "metrics.jsonl", "".join(json.dumps(h) + "\n" for h in history).encode())
    _write(folder / CHECKPOINT, buffer.getvalue())


def load_history(folder: Path) -> list[dict[str, Any]]:
    """The epochs' metrics from metrics.jsonl; empty without that file.

    Raises:
        CheckpointError: a line is no epoch's metrics.
    """
    path = folder / "metrics.jsonl"
    try:
        return (
            _epochs([json.loads(line) for line in read_regular(path, MAX_METRICS).splitlines()])
            if path.exists()
            else []
        )
    except (OSError, ValueError, RecursionError) as e:
        raise CheckpointError(f"{path} is damaged ({first_line(e)}). Resuming the run writes it again.") from e


def load_checkpoint(folder: Path, training: State) -> list[dict[str, Any]]:
    """The history of the epochs trained, after putting back their state; empty without a checkpoint.

    Raises:
        CheckpointError: it is damaged, or of another model. Everything is then as it was before.
    """
    path = folder / CHECKPOINT
    if not path.exists():
        return []
    before = {name: copy.deepcopy(part.state_dict()) for name, part in training.items()}
    try:
        state = _read(path)
        history = _epochs(list(state["history"]))
        require_state(state["model"], training["model"], path)
        for name, part in training.items():
            if name in state or name in NEEDED:  # a checkpoint from before there were scalers has none
                part.load_state_dict(state[name])
        _require_shapes(training["optimizer"])
    except Exception as e:
        for name, part in training.items():
            part.load_state_dict(before[name])
        if isinstance(e, CheckpointError):
            raise
        raise CheckpointError(f"{path} can't be resumed ({first_line(e)}). Remove the folder to start again.") from e
    return history


def _read(path: Path) -> dict[str, Any]:
    """The file's content, after its checksums were compared, which torch does not do."""
    with open_regular(path, MAX_FILE) as file, zipfile.ZipFile(file) as archive:
        if (bad := archive.testzip()) is not None:
            raise SpikeletError(f"{bad} has another checksum than it was written with")
    return torch.load(path, map_location="cpu", weights_only=True)


def _require_shapes(optimizer: Any) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            for name, value in optimizer.state.get(parameter, {}).items():
                if isinstance(value, Tensor) and value.dim() and value.shape != parameter.shape:
                    raise SpikeletError(f"the optimizer's {name} has shape {tuple(value.shape)}")


def _epochs(history: list[Any]) -> list[dict[str, Any]]:
    """`history`, checked to be the metrics of epochs 0, 1, ..."""
    for number, metrics in enumerate(history):
        if not isinstance(metrics, dict) or metrics.get("epoch") != number:
            raise SpikeletError(f"the metrics of epoch {number} are {shown(metrics)}")
        if not all(type(metrics.get(name)) in (int, float) for name in METRICS):
            raise SpikeletError(f"the metrics of epoch {number} lack a number among {', '.join(METRICS)}")
    return history


def build(config: TrainConfig, own: nn.Module | None = None) -> nn.Module:
    """The model of a configuration, with new weights and the quantizers and time steps of its last epoch.

    own: a module in its place, which keeps its weights and is changed itself.

    Raises:
        SpikeletError: the options make no such model, or one of more than a thousand million weights; or `own` is given
            for a name that already stands for a model.
    """
    model = _new(config) if own is None else _own(own, config)
    if config.analog:
        return to_analog(model)
    set_binary(model, config, config.epochs - 1)
    set_phase(model, dataclasses.replace(config.phase(config.epochs - 1), one_pass=False))
    return model


def _new(config: TrainConfig) -> nn.Module:
    with torch.random.fork_rng(devices=[]):  # leaves the caller's generator alone
        _outline(config)
        torch.manual_seed(config.seed)
        return create_model(config.model, **config.model_options)


def _own(model: nn.Module, config: TrainConfig) -> nn.Module:
    instance("Run", nn.Module, model=model)
    if config.model in list_models():
        raise SpikeletError(
            f"TrainConfig.model is {shown(config.model)}, which already names a model, and another one was given. Call "
            "yours by a name of its own, or leave model= out."
        )
    if config.model_options:
        raise SpikeletError(
            f"TrainConfig.model_options must be {{}} where the model itself is given, got "
            f"{shown(config.model_options)}. (To make it from options, register its builder: register_model.)"
        )
    return model


def _outline(config: TrainConfig) -> None:
    """Builds the model without memory, so that a refusal comes before a machine's memory is asked for."""
    what = f"TrainConfig.model_options do not make a {shown(config.model)}"
    for name, value in config.model_options.items():
        if isinstance(value, list | tuple) and len(value) > MAX_LAYERS:
            raise SpikeletError(f"{what}: {shown(name)} has {len(value)} entries, at most {MAX_LAYERS} are built.")
    try:
        with torch.device("meta"):
            model = create_model(config.model, **config.model_options)
    except SpikeletError:
        raise
    except Exception as e:
        raise SpikeletError(f"{what} ({first_line(e)}), got {shown(config.model_options)}.") from e
    if (count := sum(p.numel() for p in model.parameters())) > MAX_WEIGHTS:
        raise SpikeletError(f"{what} of at most {MAX_WEIGHTS:,} weights: it would have {count:,}. Lower its widths.")


def _way_out(config: TrainConfig) -> str:
    if config.model in list_models():
        return ""
    return (
        " A network of your own is found by a name that its package registers (spikelet.register_model), or given: "
        "load_run(folder, model)."
    )


def load_run(folder: str | Path, model: nn.Module | None = None) -> tuple[nn.Module, TrainConfig]:
    """A trained model in evaluation mode, and its configuration, from a run folder.

    The model's `class_names` are those of its training, where the folder says them.

    Args:
        folder: of the run.
        model: the module to put the weights into, for a run of a module of one's own (`Run(..., model=)`).
    Raises:
        CheckpointError: the folder holds no finished run, or a damaged one.
    """
    folder = path_of(folder, "folder")
    config = load_config(folder)
    path = folder / WEIGHTS
    if not path.exists():
        raise CheckpointError(
            f"{path} does not exist: the run is not finished. Go on with "
            f"`spikelet train --resume {shlex.quote(str(folder))}`."
        )
    names = class_names_in(folder)
    try:
        model = build(config, model)
    except ValueError as e:
        raise CheckpointError(f"{folder / 'config.json'} makes no model: {e}{_way_out(config)}") from e
    state = read_weights(folder)
    require_state(state, model, path)
    model.load_state_dict(state)
    name_classes(model, names)
    return model.eval(), config
