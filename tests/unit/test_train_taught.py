"""A run with a teacher: what it trains first, when it asks, and how it goes on after a stop."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import torch

from spikelet.neurons import LIF
from spikelet.train import Run, Teacher, TrainConfig, load_run
from spikelet.train.distillation import Distillation
from spikelet.train.loop import Objective
from spikelet.train.objective import firing_rates, rate_loss
from tests.training_runs import Stop, assert_same_run, digits, metrics, small_config

pytest.importorskip("accelerate")


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run without a teacher."""
    folder = tmp_path_factory.mktemp("whole")
    Run(small_config(), digits(), folder).train()
    return folder


def taught(**changes: Any) -> TrainConfig:
    """`small_config` with two epochs of a teacher, which is asked from the third epoch on."""
    return small_config(teacher=Teacher(2, after=2), **changes)


@pytest.fixture(scope="module")
def whole_taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a taught run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole_taught")
    Run(taught(), digits(), folder).train()
    return folder


def test_a_teacher_is_trained_first_and_is_a_run_of_its_own(whole_taught: Path, tmp_path: Path):
    Run(taught().of_teacher(), digits(), tmp_path).train()
    assert_same_run(whole_taught / "teacher", tmp_path)
    teacher, config = load_run(whole_taught / "teacher")
    assert config.analog
    assert not any(isinstance(m, LIF) for m in teacher.modules())
    assert [line["firing_rate"] for line in metrics(tmp_path)] == [0.0, 0.0]


def test_a_teacher_changes_nothing_before_it_is_asked_and_something_afterwards(whole: Path, whole_taught: Path):
    plain, with_teacher = metrics(whole), metrics(whole_taught)
    assert plain[:2] == with_teacher[:2]
    assert plain[2]["loss"] != with_teacher[2]["loss"]


def test_a_teacher_that_agrees_with_the_network_leaves_its_gradient_to_the_labels(tmp_path: Path):
    run = Run(taught(), digits(), tmp_path)
    x, y = digits().train.batch(torch.arange(8))
    model = run.model.eval()
    plain = Objective(model, run.config)(x, y)[0]
    told = Objective(model, run.config, Distillation(copy.deepcopy(model), 0.5, 4.0))(x, y)[0]
    regulation = run.config.regulation.spike
    with firing_rates(model) as rates:
        model(x)
    pull = regulation * rate_loss(rates)
    assert (told - pull).item() == pytest.approx(0.5 * (plain - pull).item(), rel=1e-5)


@pytest.mark.parametrize(
    ("part", "stop"), [("teacher", Stop(1)), ("teacher", Stop(1, 1)), ("", Stop(1)), ("", Stop(2, 2)), ("", Stop(3))]
)
def test_a_taught_run_goes_on_as_if_nothing_had_happened(whole_taught: Path, tmp_path: Path, part: str, stop: Stop):
    run = Run(taught(), digits(), tmp_path)
    stopped = run.taught_by if part else run
    assert stopped is not None
    stopped.loop.reporter = stop
    with pytest.raises(KeyboardInterrupt):
        run.train()
    assert not (tmp_path / part / "weights.safetensors").exists()
    Run(taught(), digits(), tmp_path).train()
    assert_same_run(whole_taught, tmp_path)
    assert_same_run(whole_taught / "teacher", tmp_path / "teacher")
