"""A run is resumed on the data and among the processes that it began with, or refused by name."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from spikelet.data.samples import DataSplits, Samples
from spikelet.train import CheckpointError, Phase, Run, load_run
from spikelet.train.origin import Fingerprint, Origin, load_origin
from tests.support.training_runs import Stop, assert_same_run, digits, metrics, small_config

pytest.importorskip("accelerate")
CONFIG = small_config(phases=(Phase(2, 1),))
OLD = Path(__file__).resolve().parents[1] / "golden" / "run_0_1_0"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    Run(CONFIG, digits(), folder).train()
    return folder


@pytest.fixture
def stopped(whole: Path, tmp_path: Path) -> Path:
    """The folder of a run that was stopped after its first epoch."""
    with pytest.raises(KeyboardInterrupt):
        Run(CONFIG, digits(), tmp_path, Stop(1)).train()
    return tmp_path


def changed(part: str, change: Callable[[Samples], Samples]) -> DataSplits:
    data = digits()
    return dataclasses.replace(data, **{part: change(getattr(data, part))})


def other_pixel(part: Samples) -> Samples:
    x = part.x.clone()
    x[3, 0, 4, 4] ^= 1
    return dataclasses.replace(part, x=x)


def other_label(part: Samples) -> Samples:
    y = part.y.clone()
    y[3] = (y[3] + 1) % 10
    return dataclasses.replace(part, y=y)


CHANGES: dict[str, tuple[Callable[[Samples], Samples], str]] = {
    "fewer": (lambda part: part.subset(torch.arange(len(part) - 1)), r"samples \d+, before \d+"),
    "another pixel": (other_pixel, "other images"),
    "another label": (other_label, "other labels"),
    "another order": (lambda part: part.subset(torch.arange(len(part)).flip(0)), "other images"),
    "a note": (lambda part: dataclasses.replace(part, note="JPEG q75 copy"), "note 'JPEG q75 copy', before .*"),
}


@pytest.mark.parametrize("part", ["train", "validation", "test"])
@pytest.mark.parametrize("change", CHANGES)
def test_other_data_is_refused_and_named(stopped: Path, part: str, change: str):
    make, words = CHANGES[change]
    before = {path.name: path.read_bytes() for path in stopped.iterdir()}
    with pytest.raises(
        CheckpointError, match=rf"was trained on other data \({part}: {words}\)\. Resume it on the data"
    ):
        Run(CONFIG, changed(part, make), stopped)
    assert {path.name: path.read_bytes() for path in stopped.iterdir()} == before


def test_other_images_of_another_shape_are_refused_before_that(stopped: Path):
    data = digits().map(lambda part: dataclasses.replace(part, x=part.x.repeat(1, 3, 1, 1)))
    with pytest.raises(ValueError, match=r"does not fit the model: digits has samples of shape \[3, 8, 8\]"):
        Run(CONFIG, data, stopped)


def test_the_name_of_a_data_set_that_was_moved_makes_no_difference(whole: Path, stopped: Path):
    moved = digits().map(lambda part: dataclasses.replace(part, name="moved"))
    Run(CONFIG, moved, stopped).train()
    assert_same_run(whole, stopped)


def test_classes_in_another_order_are_the_same_data(whole: Path, stopped: Path):
    data = digits()
    order = torch.tensor([3, 1, 4, 0, 5, 9, 2, 6, 8, 7])
    names = tuple(data.train.labels[int(k)] for k in order)
    turned = data.map(lambda part: dataclasses.replace(part, y=order.argsort()[part.y], labels=names))
    Run(CONFIG, turned, stopped).train()
    assert_same_run(whole, stopped)


def test_another_number_of_processes_is_refused(stopped: Path):
    origin = load_origin(stopped)
    assert origin is not None
    dataclasses.replace(origin, processes=2).save(stopped)
    with pytest.raises(CheckpointError, match=r"trained by 2 process\(es\), and now there are 1.* --num_processes 2\)"):
        Run(CONFIG, digits(), stopped)


@pytest.mark.parametrize("change", [{"mixed_precision": "bf16"}, {"compile": True}, {"augment": "none"}])
def test_precision_compilation_and_augmentation_are_of_the_configuration(stopped: Path, change: dict[str, Any]):
    with pytest.raises(CheckpointError, match="holds a run of another configuration"):
        Run(dataclasses.replace(CONFIG, **change), digits(), stopped)


def test_another_version_of_torch_is_a_warning(whole: Path, stopped: Path):
    origin = load_origin(stopped)
    assert origin is not None
    dataclasses.replace(origin, versions={**origin.versions, "torch": "1.0"}).save(stopped)
    with pytest.warns(UserWarning, match=r"was begun with torch 1\.0, now .*: it goes on, but not bit for bit"):
        Run(CONFIG, digits(), stopped)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"schema": "spikelet.run/1"}', "[" * 100_000, '{"schema": 2}'])
def test_a_damaged_origin_is_refused_by_name(stopped: Path, text: str):
    (stopped / "run.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"run\.json is damaged \("):
        Run(CONFIG, digits(), stopped)


def test_a_fingerprint_is_of_the_content_alone():
    part = digits().train
    copy = Samples(part.x.clone(), part.y.clone(), part.labels, "other name", part.note)
    assert Fingerprint.of(part) == Fingerprint.of(copy)
    for make, _ in CHANGES.values():
        assert Fingerprint.of(make(part)) != Fingerprint.of(part)


def test_what_a_folder_says_of_its_origin_survives_json(stopped: Path):
    assert load_origin(stopped) == Origin.of(digits(), 1)
    assert json.loads((stopped / "run.json").read_text())["schema"] == "spikelet.run/1"


def test_a_run_from_before_data_was_compared_goes_on_with_a_warning(tmp_path: Path):
    folder = tmp_path / "old"
    shutil.copytree(OLD, folder)
    with pytest.warns(UserWarning, match="does not say on which data it was trained"):
        run = Run(small_config(), digits(), folder)
    run.train()
    assert [line["epoch"] for line in metrics(folder)] == [0, 1, 2, 3]
    load_run(folder)
    with pytest.raises(CheckpointError, match="other data"):
        Run(small_config(), digits(validation=0), folder)


def test_a_finished_run_knows_its_classes(whole: Path):
    model, _ = load_run(whole)
    assert model.class_names == digits().train.labels
