"""Small training runs that can be stopped and compared."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch

from spikelet.data.samples import DataSplits
from spikelet.train import DualRegulation, Optimizer, Phase, TrainConfig
from spikelet.train.progress import Silent


def small_config(**changes: Any) -> TrainConfig:
    """Four epochs: one step, two in one pass, two; an estimator, a learning rate and an augmentation that change."""
    config = TrainConfig(
        "qsnn_vgg_s",
        {"time_steps": 2, "in_channels": 1, "image_size": 8, "widths": (4, 8)},
        "digits",
        augment="crop1",
        phases=(Phase(1, 1), Phase(1, 2, one_pass=True), Phase(2, 2)),
        batch_size=16,
        optimizer=Optimizer(lr=1e-2, weight_decay=1e-3),
        regulation=DualRegulation(spike=0.01),
        gradient="ede",
    )
    return dataclasses.replace(config, **changes)


def digits(validation: int = 24) -> DataSplits:
    """Sixty-four digits to train on; a few more to validate."""
    pytest.importorskip("sklearn")
    from spikelet.data.load import load

    splits = load("digits")
    parts = (torch.arange(64), torch.arange(64, 64 + validation), torch.arange(10))
    return DataSplits(*(splits.train.subset(part) for part in parts))


class Stop(Silent):
    """Interrupts a run: after `epochs` epochs, or within the next one."""

    def __init__(self, epochs: int, step: int | None = None) -> None:
        self.epochs, self.at = epochs, step

    def epoch(self, metrics: dict[str, Any]) -> None:
        if self.at is None and metrics["epoch"] == self.epochs - 1:
            raise KeyboardInterrupt

    def step(self, epoch: int, step: int, loss: float) -> None:
        if (epoch, step) == (self.epochs, self.at):
            raise KeyboardInterrupt


def metrics(folder: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the seconds."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k != "seconds"} for line in lines]


def assert_same_run(a: Path, b: Path) -> None:
    """Weights, optimizer, configuration and metrics, bit for bit."""
    assert (a / "weights.safetensors").read_bytes() == (b / "weights.safetensors").read_bytes()
    assert (a / "config.json").read_bytes() == (b / "config.json").read_bytes()
    assert metrics(a) == metrics(b)
    first, second = (torch.load(f / "checkpoint.pt", weights_only=True)["optimizer"] for f in (a, b))
    assert first["param_groups"] == second["param_groups"]
    assert first["state"].keys() == second["state"].keys()
    for key, state in first["state"].items():
        assert all(torch.equal(torch.as_tensor(v), torch.as_tensor(second["state"][key][n])) for n, v in state.items())
