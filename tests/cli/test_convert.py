"""`spikelet convert`: a run of a network with levels, its accuracy by steps, and the file of its spiking twin."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from torch import nn

import spikelet
from spikelet.models.catalogue import MODELS
from spikelet.neurons import Levels
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.quant import Uniform
from spikelet.recipes import RECIPES
from spikelet.train import Optimizer, Phase, TrainConfig


def leveled(num_classes: int = 10, in_channels: int = 1, image_size: int = 8) -> nn.Module:
    """A network with levels, of one convolution."""
    return nn.Sequential(
        Encode(), Conv2d(in_channels, 8, 3, Uniform(4)), BatchNorm2d(8), Levels(16, 2.0), nn.Flatten(2),
        Linear(8 * (image_size - 2) ** 2, num_classes, Uniform(8, per_channel=False)),
    )  # fmt: skip


def recipe(seed: int = 0) -> TrainConfig:
    """Three epochs of it."""
    return TrainConfig(
        model="leveled", model_options={"in_channels": 1, "image_size": 8}, data="digits", phases=(Phase(3, 1),),
        batch_size=64, optimizer=Optimizer(lr=8e-3), seed=seed,
    )  # fmt: skip


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Any]) -> Iterator[Path]:
    """The folder of a finished run of it."""
    MODELS["leveled"], RECIPES["leveled"] = leveled, recipe
    folder = tmp_path_factory.mktemp("convert") / "run"
    done = command("train", "leveled", "--out", folder, "--threads", 1)
    assert done.exit_code == 0, done.output
    yield folder
    del MODELS["leveled"], RECIPES["leveled"]


def accuracies(text: str) -> dict[str, list[str]]:
    """The table's cells by the first of each row."""
    return {row[0]: row[1:] for line in text.splitlines() if (row := line.replace(" %", "").split()) and "." in line}


def test_the_table_has_a_row_for_each_number_of_steps(run: Path, command: Callable[..., Any], tmp_path: Path):
    out, picture = tmp_path / "twin.safetensors", tmp_path / "steps.png"
    pytest.importorskip("matplotlib")
    done = command("convert", run, "--levels", 16, "--steps", 8, "--out", out, "--picture", picture, "--threads", 1)
    assert done.exit_code == 0, done.output
    rows = accuracies(done.output)
    assert list(rows) >= ["1", "2", "4", "8", "16", "network"]
    assert rows["16"][0] == rows["network"][0]  # the barrier at T = L loses nothing
    assert float(rows["16"][1]) > float(rows["1"][1])
    assert picture.read_bytes()[:4] == b"\x89PNG"
    graph = spikelet.load(out)
    assert graph.time_steps == 1
    assert graph.labels == tuple("0123456789")
    assert graph.meta["converted"] == "barrier, 16 steps"
    assert graph.meta["test_accuracy"].startswith(rows["16"][0])
    told = command("eval", out)
    assert rows["16"][0] in told.output


def test_a_stream_is_saved_with_its_steps(run: Path, command: Callable[..., Any], tmp_path: Path):
    out = tmp_path / "twin.safetensors"
    done = command("convert", run, "--levels", 5, "--steps", 1, "--schedule", "stream", "--out", out, "--threads", 1)
    assert done.exit_code == 0, done.output
    rows = accuracies(done.output)
    assert rows["5"][0] == "-"
    assert spikelet.load(out).time_steps == 5
    assert rows["5"][1] in command("eval", out).output


def test_training_images_start_a_stream(run: Path, command: Callable[..., Any], tmp_path: Path):
    out, picture = tmp_path / "twin.safetensors", tmp_path / "steps.png"
    pytest.importorskip("matplotlib")
    words = "--levels", 4, "--steps", 8, "--schedule", "started", "--out", out, "--picture", picture, "--threads", 1
    done = command("convert", run, *words)
    assert done.exit_code == 0, done.output
    rows = accuracies(done.output)
    assert {row: len(cells) for row, cells in rows.items() if row in "1248"} == dict.fromkeys("1248", 3)
    assert "begin as 256 training images ask for" in done.output
    graph = spikelet.load(out)
    assert (graph.time_steps, graph.meta["converted"]) == (4, "started, 4 steps")
    assert rows["4"][2] in command("eval", out).output
    assert picture.read_bytes()[:4] == b"\x89PNG"


def test_a_stream_is_not_started_without_training_images(run: Path, command: Callable[..., Any], tmp_path: Path):
    for digit in range(10):
        folder = tmp_path / "own" / "test" / str(digit)
        folder.mkdir(parents=True)
        Image.fromarray(np.full((8, 8), 25 * digit, np.uint8)).save(folder / "one.png")
    refused = command("convert", run, "--data", tmp_path / "own", "--schedule", "started")
    assert refused.exit_code == 2
    assert "--schedule started needs training images" in refused.output


def test_what_can_t_be_converted_is_one_line(run: Path, trained: Path, command: Callable[..., Any], tmp_path: Path):
    packed = tmp_path / "m.safetensors"
    assert command("convert", run, "--levels", 4, "--steps", 1, "--out", packed).exit_code == 0
    for words, said in (
        ((packed,), "is a packed file, which is integers already"),
        ((trained,), "LIF spikes already"),
        ((run, "--levels", 6), "--levels must be a power of two with the barrier schedule, got 6"),
        ((run, "--levels", 0), "--levels"),
        ((run, "--out", tmp_path / "no" / "m.safetensors"), "--out"),
        ((run, "--picture", tmp_path), "--picture"),
        ((tmp_path / "nothing",), "nothing"),
    ):
        refused = command("convert", *words)
        assert refused.exit_code == 2
        assert said in refused.output
