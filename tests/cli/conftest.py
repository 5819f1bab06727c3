"""One tiny run on digits, trained by the command line once, for every test of the commands."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from spikelet.cli.app import app
from spikelet.cli.catalogue import Catalogue, models
from spikelet.recipes import RECIPES
from spikelet.train import Optimizer, Phase, TrainConfig


def tiny(seed: int = 0, weight_bits: int = 1, membrane_bits: int = 2) -> TrainConfig:
    """A recipe of seconds."""
    return TrainConfig(
        model="qsnn_vgg_s",
        model_options={
            "time_steps": 2, "weight_bits": weight_bits, "membrane_bits": membrane_bits,
            "in_channels": 1, "image_size": 8, "widths": [12],
        },
        data="digits",
        phases=(Phase(1, 1), Phase(1, 2)),
        batch_size=64,
        optimizer=Optimizer(lr=8e-3),
        seed=seed,
    )  # fmt: skip


@pytest.fixture(autouse=True, scope="package")
def _tiny_recipe() -> Iterator[None]:
    """Makes `tiny` known by name."""
    RECIPES["tiny"] = tiny
    yield
    del RECIPES["tiny"]


@pytest.fixture(scope="package")
def command() -> Callable[..., Any]:
    """Runs the command line in this process: `command("eval", folder)` -> its Result."""

    def call(*words: object) -> Any:
        return CliRunner().invoke(app, [str(word) for word in words])

    return call


@pytest.fixture(scope="package")
def everything() -> Catalogue:
    """What `spikelet models` lists, every network counted once."""
    return models("*")


@pytest.fixture(scope="package")
def trained(tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Any]) -> Path:
    """The folder of a finished tiny run, with what the command printed in printed.txt."""
    folder = tmp_path_factory.mktemp("cli") / "run"
    done = command("train", "tiny", "--out", folder, "--threads", 1)
    assert done.exit_code == 0, done.output
    (folder / "printed.txt").write_text(done.output)
    return folder


@pytest.fixture(scope="package")
def packed(trained: Path, command: Callable[..., Any]) -> Path:
    """The packed file of the tiny run, with what the command printed beside it."""
    path = trained.parent / "tiny.safetensors"
    done = command("pack", trained, "--out", path)
    assert done.exit_code == 0, done.output
    path.with_suffix(".txt").write_text(done.output)
    return path
