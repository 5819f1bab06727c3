"""A run with a teacher: what it trains first, when it asks, and how it goes on after a stop."""

from __future__ import annotations

import copy
import dataclasses
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from spikelet.base.errors import SpikeletError
from spikelet.neurons import LIF
from spikelet.train import DualRegulation, Optimizer, Phase, Run, Teacher, TrainConfig, load_run
from spikelet.train.analog import to_analog
from spikelet.train.distillation import Distillation
from spikelet.train.lessons import SoftLogits, divergence
from spikelet.train.losses import firing_rates, rate_loss, step_cross_entropy
from spikelet.train.objective import Objective
from spikelet.train.progress import Silent
from tests.support.training_runs import Stop, assert_same_run, digits, metrics, small_config

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


def test_the_objective_has_the_teachers_word_and_the_whole_rate_loss(tmp_path: Path):
    run = Run(taught(), digits(), tmp_path)
    x, y = digits().train.batch(torch.arange(8))
    model, teacher = run.model.train(), to_analog(copy.deepcopy(run.model)).eval()
    told = Objective(model, run.config, Distillation(teacher, SoftLogits(0.25, temperature=3.0)))(x, y)[0]
    with firing_rates(model) as rates:
        logits = model(x)
    labels = step_cross_entropy(logits, y, run.config.label_smoothing)
    word = divergence(logits.mean(0), teacher(x).mean(0), 3.0)
    expected = 0.75 * labels + 0.25 * word + run.config.regulation.spike * rate_loss(rates)
    assert told.item() == pytest.approx(expected.item(), rel=1e-5)


def test_weight_and_temperature_are_those_of_the_configuration(tmp_path: Path):
    run = Run(small_config(teacher=Teacher(1, 0.25, 3.0)), digits(), tmp_path)
    run.train()
    assert run.distillation is not None
    assert run.distillation.lessons == (SoftLogits(0.25, temperature=3.0),)


def test_an_objective_without_neurons_keeps_to_its_device(tmp_path: Path):
    config = taught().of_teacher()
    objective = Objective(Run(config, digits(), tmp_path).model.to("meta"), config)
    x, y = torch.zeros(2, 1, 8, 8, dtype=torch.uint8, device="meta"), torch.zeros(2, dtype=torch.long, device="meta")
    assert {value.device.type for value in objective(x, y)} == {"meta"}


def test_what_the_network_refuses_is_known_before_its_teacher_is_trained(tmp_path: Path):
    events = digits().map(lambda part: dataclasses.replace(part, x=part.x[:, None].repeat(1, 3, 1, 1, 1)))
    run = Run(taught(phases=(Phase(1, 3), Phase(3, 3, one_pass=True))), events, tmp_path)
    with pytest.raises(ValueError, match="still images"):
        run.train()
    assert not (tmp_path / "teacher").exists()


def test_a_reporter_hears_of_the_networks_own_epochs_alone(tmp_path: Path):
    class Heard(Silent):
        def __init__(self) -> None:
            self.starts: list[tuple[int, int]] = []
            self.epochs: list[int] = []

        def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
            self.starts.append((epochs, done))

        def epoch(self, metrics: dict[str, Any]) -> None:
            self.epochs.append(metrics["epoch"])

    own, teachers = Heard(), Heard()
    run = Run(taught(), digits(), tmp_path, own)
    assert run.taught_by is not None
    run.taught_by.loop.reporter = teachers
    run.train()
    assert (own.starts, own.epochs) == ([(run.config.epochs, 0)], [*range(run.config.epochs)])
    assert (teachers.starts, teachers.epochs) == ([(2, 0)], [0, 1])


def test_a_rehearsal_leaves_no_trace(tmp_path: Path):
    run = Run(taught(), digits(), tmp_path)
    before, state = copy.deepcopy(run.model.state_dict()), torch.get_rng_state()
    run.rehearse()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in run.model.state_dict().items())


def test_a_teacher_that_diverges_says_that_it_is_the_teacher(tmp_path: Path):
    run = Run(taught(optimizer=Optimizer(lr=1e38)), digits(), tmp_path)
    with pytest.raises(FloatingPointError, match=r"the teacher: .* Lower Optimizer\.lr"):
        run.train()


def test_a_finished_run_does_not_train_its_teacher_again(whole_taught: Path, tmp_path: Path):
    shutil.copytree(whole_taught, tmp_path / "run", ignore=shutil.ignore_patterns("teacher"))
    Run(taught(), digits(), tmp_path / "run").train()
    assert not (tmp_path / "run" / "teacher").exists()


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


def test_features_that_blocks_do_not_keep_are_refused_before_the_teacher_is_trained(tmp_path: Path):
    options = {"time_steps": 2, "in_channels": 1, "image_size": 8, "width": 16, "depth": 1, "heads": 2, "patch": 2}
    config = small_config(
        model="bestformer_4_384",
        model_options=options,
        teacher=Teacher(2, gram=1.0),
        regulation=DualRegulation(spike=0.0),
        phases=(Phase(1, 2),),
    )
    with pytest.raises(SpikeletError, match=r"query carries no gradient\. .* recompute=False"):
        Run(config, digits(), tmp_path).train()
    assert not (tmp_path / "teacher").exists()
    kept = dataclasses.replace(config, model_options={**options, "recompute": False})
    Run(kept, digits(), tmp_path / "kept").rehearse()
