"""The loss scale of fp16 goes on where it was: a resumed run is the uninterrupted one, scale and all.

Accelerate makes its scaler on a GPU alone; PyTorch's own for the CPU takes its place here.
"""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from spikelet.train import Phase, Run
from spikelet.train.progress import Reporter, Silent
from tests.support.training_runs import Stop, assert_same_run, digits, small_config


def scaled_run(folder: Path, reporter: Reporter | None = None) -> Run:
    """Three epochs of four steps, with a scale that doubles after every three."""
    run = Run(small_config(phases=(Phase(3, 1),)), digits(), folder, reporter or Silent())
    run.loop.accelerator.scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=3)
    return run


def test_a_resumed_run_has_the_scale_of_the_uninterrupted_one(tmp_path: Path):
    whole = scaled_run(tmp_path / "whole")
    whole.train()
    assert whole.loop.accelerator.scaler.get_scale() == 1024 * 2**4
    with pytest.raises(KeyboardInterrupt):
        scaled_run(tmp_path / "parts", Stop(1)).train()
    resumed = scaled_run(tmp_path / "parts")
    resumed.train()
    assert_same_run(tmp_path / "whole", tmp_path / "parts")
    assert resumed.loop.accelerator.scaler.state_dict() == whole.loop.accelerator.scaler.state_dict()
    kept = torch.load(tmp_path / "parts" / "checkpoint.pt", weights_only=True)["scaler"]
    assert kept == whole.loop.accelerator.scaler.state_dict()
