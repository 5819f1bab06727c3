"""Trackers of Accelerate: they are told the configuration, every step and every epoch, and nothing else changes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from spikelet.base.errors import MissingLibrary, SpikeletError
from spikelet.train import Optimizer, Phase, Run, Teacher
from spikelet.train.progress import Silent
from tests.support.training_runs import Stop, assert_same_run, digits, small_config

tracking = pytest.importorskip("accelerate.tracking")


class Remembered(tracking.GeneralTracker):
    """A tracker that keeps what it is told."""

    name = "remembered"
    requires_logging_directory = False

    def __init__(self) -> None:
        super().__init__(_blank=True)
        self.config: dict[str, Any] = {}
        self.told: list[tuple[int, dict[str, Any]]] = []
        self.is_finished = False

    @property
    def tracker(self) -> list[tuple[int, dict[str, Any]]]:
        return self.told

    def start(self) -> None:
        self.told.clear()

    def store_init_configuration(self, values: dict[str, Any]) -> None:
        self.config = values

    def log(self, values: dict[str, Any], step: int | None = None, **kwargs: Any) -> None:
        assert step is not None
        self.told.append((step, values))

    def finish(self) -> None:
        self.is_finished = True


def test_a_tracker_is_told_the_configuration_every_step_and_every_epoch(tmp_path: Path):
    told = Remembered()
    config = small_config(phases=(Phase(2, 1),))
    Run(config, digits(), tmp_path / "told", Silent(), log_with=told).train()
    Run(config, digits(), tmp_path / "not", Silent()).train()
    assert_same_run(tmp_path / "told", tmp_path / "not")
    assert told.config["model"] == "qsnn_vgg_s"
    assert told.config["batch_size"] == 16
    assert all(isinstance(value, bool | int | float | str) for value in told.config.values())
    losses = [(step, values["step/loss"]) for step, values in told.told if "step/loss" in values]
    epochs = [(step, values) for step, values in told.told if "epoch/loss" in values]
    assert [step for step, _ in losses] == list(range(1, 9))
    assert [step for step, _ in epochs] == [4, 8]
    mean = sum(loss for _, loss in losses[:4]) / 4
    assert epochs[0][1]["epoch/loss"] == pytest.approx(mean)
    assert "epoch/validation_accuracy" in epochs[1][1]
    assert told.is_finished


def test_a_resumed_run_goes_on_counting(tmp_path: Path):
    config = small_config(phases=(Phase(1, 1), Phase(1, 2)))
    with pytest.raises(KeyboardInterrupt):
        Run(config, digits(), tmp_path, Stop(1)).train()
    told = Remembered()
    Run(config, digits(), tmp_path, Silent(), log_with=[told]).train()
    assert [step for step, values in told.told if "step/loss" in values] == [5, 6, 7, 8]


def test_a_tracker_that_cannot_write_costs_a_warning_and_no_training(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Remembered, "log", full)
    with pytest.warns(UserWarning, match=r"^remembered was not written \(No space left on device\)\.$") as caught:
        Run(small_config(phases=(Phase(1, 1),)), digits(), tmp_path, Silent(), log_with=Remembered()).train()
    assert len(caught) == 1
    assert (tmp_path / "weights.safetensors").exists()


@pytest.mark.parametrize("asked", ["tensorbord", ["tensorboard", 3], Optimizer()])
def test_what_names_no_tracker_is_refused_before_any_work(tmp_path: Path, asked: Any):
    with pytest.raises(SpikeletError, match=r"^log_with must name trackers of Accelerate, all, .*tensorboard"):
        Run(small_config(), digits(), tmp_path / "run", log_with=asked)
    assert not (tmp_path / "run").exists()


def test_a_tracker_that_is_not_installed_is_named_with_the_way_to_install_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("spikelet.train.trackers.find_spec", lambda name: None)
    with pytest.raises(MissingLibrary, match=r"the tracker comet_ml needs its library.* pip install comet-ml$"):
        Run(small_config(), digits(), tmp_path / "run", log_with="comet_ml")


def test_a_teacher_tells_the_trackers_that_were_named(tmp_path: Path):
    pytest.importorskip("tensorboard")
    told, config = Remembered(), small_config(phases=(Phase(1, 1),), teacher=Teacher(1))
    run = Run(config, digits(), tmp_path, log_with=["tensorboard", told])
    assert run.taught_by is not None
    assert run.taught_by.loop.accelerator.log_with == run.loop.accelerator.log_with[:1]
    assert run.loop.accelerator.log_with[1] is told
