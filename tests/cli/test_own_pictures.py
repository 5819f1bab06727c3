"""A folder of pictures becomes a network without a line of Python: train --data, pack, run, eval."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import spikelet
from spikelet.cli.result import load_result
from spikelet.data import load
from spikelet.train import Run, load_run
from spikelet.train.checkpoint import load_config
from tests.support.pictures import read_picture
from tests.support.shapes import CLASSES, make_shapes

Command = Callable[..., Any]
SMALL = ("--image-size", 16, "--threads", 1)


@pytest.fixture(autouse=True, scope="module")
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as changed:
        changed.setenv("SPIKELET_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def shapes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Pictures of three classes, for training and test."""
    return make_shapes(tmp_path_factory.mktemp("own") / "shapes", {"train": 12, "test": 5})


@pytest.fixture(scope="module")
def run(shapes: Path, command: Command) -> Path:
    """The run that `train --data` made of them."""
    folder = shapes.parent / "run"
    done = command("train", "--data", shapes, "--epochs", 2, *SMALL, "--out", folder)
    assert done.exit_code == 0, done.output
    assert "test accuracy" in done.stdout
    assert "(shapes (PNG images), 15 samples, last epoch)" in done.stdout
    return folder


@pytest.fixture(scope="module")
def file(run: Path, command: Command) -> Path:
    """The packed file of that run."""
    path = run.parent / "shapes.safetensors"
    done = command("pack", run, "--out", path)
    assert done.exit_code == 0, done.output
    return path


def test_classes_channels_and_size_are_the_datas(run: Path) -> None:
    options = load_config(run).model_options
    assert (options["num_classes"], options["in_channels"], options["image_size"]) == (3, 3, 16)
    assert load_result(run).labels == CLASSES
    assert load_run(run)[0].class_names == CLASSES


def test_the_run_is_evaluated_and_no_spike_differs(run: Path, command: Command) -> None:
    done = command("eval", run)
    assert done.exit_code == 0, done.output
    assert "on shapes, PNG images: test set, 15 samples" in done.stdout
    assert "spikes that differ            0 of" in done.stdout


def test_the_file_runs_on_pictures_as_they_lie(file: Path, shapes: Path, command: Command) -> None:
    done = command("run", file, shapes / "test" / "cross" / "0.png")
    assert done.exit_code == 0, done.output
    assert "cut to the middle, resized to 16 x 16" in done.stdout
    assert all(name in done.stdout for name in CLASSES)
    again = command("eval", file, "--data", shapes)
    assert again.exit_code == 0, again.output
    assert f"{load_result(run_of(file)).test_accuracy:.2%}"[:-1] in again.stdout


def run_of(file: Path) -> Path:
    return file.parent / "run"


def test_a_picture_is_brought_to_size_in_run_as_in_training(shapes: Path) -> None:
    read = load(shapes, image_size=16).test
    paths = [shapes / "test" / kind / f"{k}.png" for kind in CLASSES for k in range(5)]
    assert all((read_picture(p, (3, 16, 16), 2).pixels == x.numpy()).all() for p, x in zip(paths, read.x, strict=True))


def test_a_file_says_of_its_data_no_more_than_a_name(file: Path, shapes: Path) -> None:
    meta = spikelet.load(file).meta
    assert meta["data"] == "shapes (PNG images)"
    assert str(shapes.parent) not in json.dumps(meta)


def test_a_folder_without_splits_is_evaluated_on_what_was_held_out(tmp_path: Path, command: Command) -> None:
    flat = make_shapes(tmp_path / "flat", {"": 12})
    done = command("train", "--data", flat, "--epochs", 1, *SMALL, "--out", tmp_path / "run")
    assert done.exit_code == 0, done.output
    assert "no test set" in done.stdout
    shown = command("eval", tmp_path / "run")
    assert shown.exit_code == 0, shown.output
    assert "validation set, 3 samples" in shown.stdout
    assert load_result(tmp_path / "run").test_accuracy is None
    refused = command("eval", tmp_path / "run", "--split", "test")
    assert "flat has no test samples. It has 33 of --split train and 3 of --split validation." in refused.stderr


def test_what_dry_run_prints_is_what_config_takes(shapes: Path, tmp_path: Path, command: Command) -> None:
    words = ("--data", shapes, "--image-size", 16, "--model", "qsnn_vgg_s_avg", "--epochs", 3, "--batch-size", 5,
             "--lr", 0.01, "--weight-bits", 4, "--membrane-bits", 8, "--time-steps", 3, "--seed", 7,
             "--firing-rate", 0.5)  # fmt: skip
    printed = command("train", *words, "--dry-run", "--out", tmp_path / "run")
    assert printed.exit_code == 0, printed.output
    assert list(tmp_path.iterdir()) == []
    config = json.loads(printed.stdout)
    assert [config[name] for name in ("model", "batch_size", "seed", "data")] == [
        "qsnn_vgg_s_avg", 5, 7, str(shapes.resolve()),
    ]  # fmt: skip
    assert config["optimizer"]["lr"] == 0.01
    assert config["regulation"] == {"weight": True, "spike": 0.4, "rate": 0.5}
    assert sum(phase["epochs"] for phase in config["phases"]) == 3
    assert {phase["time_steps"] for phase in config["phases"]} == {3}
    assert config["model_options"] == {
        "num_classes": 3, "in_channels": 3, "image_size": 16, "time_steps": 3, "weight_bits": 4, "membrane_bits": 8,
    }  # fmt: skip
    (tmp_path / "my.json").write_text(printed.stdout)
    again = command("train", "--config", tmp_path / "my.json", "--dry-run")
    assert again.stdout == printed.stdout


def test_a_recipe_is_trained_on_own_data_with_its_own_settings(
    shapes: Path, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Any] = []

    def stopped(run: Run) -> None:
        seen.append((run.config, run.folder))
        raise ValueError("enough")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "train", stopped)
    command("train", "tiny", "--data", shapes, "--batch-size", 12)
    ((config, folder),) = seen
    assert folder == Path("runs/tiny-shapes")
    assert config.model_options["widths"] == [12]
    assert (config.model_options["in_channels"], config.model_options["image_size"]) == (3, 8)
    assert config.data_options == {"image_size": 8}


def test_known_sets_keep_their_own_size(command: Command) -> None:
    done = command("train", "--data", "digits", "--dry-run")
    config = json.loads(done.stdout)
    assert config["data"] == "digits"
    assert config["data_options"] == {}
    assert (config["model_options"]["image_size"], config["model_options"]["in_channels"]) == (8, 1)


def test_a_moved_folder_is_found_by_data_root(shapes: Path, run: Path, tmp_path: Path, command: Command) -> None:
    shutil.copytree(shapes, tmp_path / "elsewhere")
    shutil.copytree(run, tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    (tmp_path / "run" / "config.json").write_text(json.dumps(config | {"data": str(tmp_path / "gone")}))
    lost = command("eval", tmp_path / "run")
    assert lost.exit_code == 2
    assert "Say where it lies now with --data-root PATH" in lost.stderr
    found = command("eval", tmp_path / "run", "--data-root", tmp_path / "elsewhere")
    assert found.exit_code == 0, found.output
