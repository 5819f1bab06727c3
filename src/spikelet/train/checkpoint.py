"""A run on disk, which a killed run continues bit for bit.

    config.json          the TrainConfig
    checkpoint.pt        model, optimizer, epoch, history: one file, replaced atomically after each epoch
    metrics.jsonl        one line an epoch, rewritten from the history (never a half-written line)
    weights.safetensors  the trained model, when the run is done
    teacher/             the same of its teacher, where it has one (run.py)

Order of samples, augmentation and learning rate are functions of (seed, epoch, step), so no generator
state needs saving and a resumed run equals an uninterrupted one bit for bit on one CPU set-up.
"""

from __future__ import annotations

import dataclasses
import io
import json
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import nn

from spikelet.base.errors import CheckpointError
from spikelet.base.files import atomic_write
from spikelet.models import create_model
from spikelet.train.analog import to_analog
from spikelet.train.config import TrainConfig
from spikelet.train.phases import set_binary, set_phase


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
    path = folder / "config.json"
    try:
        return TrainConfig.from_dict(json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as e:
        raise CheckpointError(
            f"{path} is not a run's configuration ({e}). Give the folder of a `spikelet train` run."
        ) from e


def save_checkpoint(
    folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer, history: list[dict[str, Any]]
) -> None:
    """Writes metrics so far and state after an epoch; metrics first, so that a kill in between loses no line."""
    buffer = io.BytesIO()
    torch.save({"model": model.state_dict(), "optimizer": optimizer.state_dict(), "history": history}, buffer)
    _write(folder / "metrics.jsonl", "".join(json.dumps(h) + "\n" for h in history).encode())
    _write(folder / "checkpoint.pt", buffer.getvalue())


def load_history(folder: Path) -> list[dict[str, Any]]:
    """The epochs' metrics from metrics.jsonl; empty without that file."""
    path = folder / "metrics.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def load_checkpoint(folder: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> list[dict[str, Any]]:
    """The history of the epochs trained, after putting back their state; empty without a checkpoint."""
    path = folder / "checkpoint.pt"
    if not path.exists():
        return []
    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        history = list(state["history"])
    except Exception as e:
        raise CheckpointError(f"{path} can't be resumed ({e}). Remove the folder to start again.") from e
    return history


def save_weights(folder: Path, model: nn.Module) -> None:
    """Writes weights.safetensors."""
    tensors = {k: v.contiguous() for k, v in model.state_dict().items()}
    _write(folder / "weights.safetensors", safetensors.torch.save(tensors))


def build(config: TrainConfig) -> nn.Module:
    """The model of a configuration, with new weights and the quantizers and time steps of its last epoch."""
    with torch.random.fork_rng(devices=[]):  # leaves the caller's generator alone
        torch.manual_seed(config.seed)
        model = create_model(config.model, **config.model_options)
    if config.analog:
        return to_analog(model)
    set_binary(model, config, config.epochs - 1)
    set_phase(model, dataclasses.replace(config.phase(config.epochs - 1), one_pass=False))
    return model


def load_run(folder: str | Path) -> tuple[nn.Module, TrainConfig]:
    """A trained model in evaluation mode, and its configuration, from a run folder.

    Raises:
        CheckpointError: the folder holds no finished run, or a damaged one.
    """
    folder = Path(folder)
    config = load_config(folder)
    path = folder / "weights.safetensors"
    if not path.exists():
        raise CheckpointError(
            f"{path} does not exist: the run is not finished. Go on with `spikelet train --resume {folder}`."
        )
    model = build(config)
    try:
        model.load_state_dict(safetensors.torch.load_file(path))
    except (OSError, RuntimeError, safetensors.SafetensorError) as e:
        raise CheckpointError(f"{path} can't be read as the weights of this configuration's model ({e}).") from e
    return model.eval(), config
