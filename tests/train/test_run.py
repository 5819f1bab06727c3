"""A run in its folder: stopped, killed, resumed, refused. A resumed run is the uninterrupted one, bit for bit."""

from __future__ import annotations

import math
import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import safetensors.torch
import torch
from torch import Tensor

from spikelet.data.samples import Samples
from spikelet.neurons import LIF
from spikelet.train import CheckpointError, Phase, Run, load_run
from spikelet.train.progress import Silent
from tests.support.training_runs import Stop, assert_same_run, digits, metrics, small_config

pytest.importorskip("accelerate")
ROOT = Path(__file__).resolve().parents[2]
STATES = ("checkpoint.pt", "weights.safetensors")


@pytest.mark.parametrize(
    ("compiler", "header", "named"),
    [
        ("g++", False, r"Python's headers \(Python\.h\), not found"),
        ("", True, r"the C\+\+ compiler \S+, not found"),
        ("", False, r"the C\+\+ compiler \S+ and Python's headers \(Python\.h\), not found"),
    ],
)
def test_a_missing_compiler_is_named_before_the_training(
    compiler: str, header: bool, named: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    data = digits()
    if header:
        (tmp_path / "Python.h").touch()
    for variable in ("CPATH", "CPLUS_INCLUDE_PATH"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setattr("shutil.which", lambda _: compiler)
    monkeypatch.setattr("sysconfig.get_path", lambda _: str(tmp_path))
    with pytest.raises(OSError, match=f"compile=True needs {named}"):
        Run(small_config(compile=True), data, tmp_path / "run")


class Poison(Silent):
    """Makes a weight NaN after the first step of the second epoch."""

    def __init__(self, weight: Tensor) -> None:
        self.weight = weight

    def step(self, epoch: int, step: int, loss: float) -> None:
        if (epoch, step) == (1, 0):
            self.weight.data.fill_(math.nan)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a run that nobody interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    Run(small_config(), digits(), folder).train()
    return folder


# --- a run ------------------------------------------------------------------------------------------


def test_a_run_leaves_its_configuration_metrics_checkpoint_and_weights(whole: Path):
    assert {p.name for p in whole.iterdir()} == {"config.json", "run.json", "metrics.jsonl", *STATES}
    lines = metrics(whole)
    assert [line["epoch"] for line in lines] == [0, 1, 2, 3]
    assert [line["time_steps"] for line in lines] == [1, 2, 2, 2]
    assert all(0 <= line["validation_accuracy"] <= 1 and 0 < line["firing_rate"] < 1 for line in lines)
    assert lines[-1]["loss"] < lines[0]["loss"]


def test_a_finished_run_loads_in_evaluation_mode_without_touching_the_generator(whole: Path):
    before = torch.get_rng_state()
    model, config = load_run(whole)
    assert torch.equal(torch.get_rng_state(), before)
    assert config.to_json() == small_config().to_json()
    assert not any(m.training for m in model.modules())
    assert {m.time_steps for m in model.modules() if isinstance(m, LIF)} == {2}
    trained = Run(small_config(), digits(), whole).train()  # nothing left to do
    x = digits().test.x
    with torch.no_grad():
        assert torch.equal(model(x), trained(x))


def test_two_runs_of_one_seed_are_one_and_of_two_seeds_are_two(whole: Path, tmp_path: Path):
    torch.manual_seed(99)  # whatever the caller did before
    Run(small_config(), digits(), tmp_path / "again").train()
    assert_same_run(whole, tmp_path / "again")
    Run(small_config(seed=1), digits(), tmp_path / "other").train()
    assert (tmp_path / "other" / "weights.safetensors").read_bytes() != (whole / "weights.safetensors").read_bytes()


def test_a_model_is_left_on_real_steps(tmp_path: Path):
    run = Run(small_config(phases=(Phase(1, 2, one_pass=True),)), digits(), tmp_path)
    trained, loaded = run.train(), load_run(tmp_path)[0]
    x = digits().test.x
    for model in (trained, loaded):
        assert model.train()(x).shape == (2, 10, 10)
    stopped = Run(small_config(phases=(Phase(2, 2, one_pass=True),)), digits(), tmp_path / "stopped", Stop(0, 1))
    with pytest.raises(KeyboardInterrupt):
        stopped.train()
    assert stopped.model.train()(x).shape == (2, 10, 10)


def test_a_run_without_validation_has_no_validation_accuracy(tmp_path: Path):
    Run(small_config(phases=(Phase(1, 1),)), digits(validation=0), tmp_path).train()
    assert "validation_accuracy" not in metrics(tmp_path)[0]


def test_validation_does_not_change_the_training(whole: Path, tmp_path: Path):
    Run(small_config(), digits(validation=0), tmp_path).train()
    assert (tmp_path / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()


def test_the_reporter_hears_of_every_step_and_epoch(tmp_path: Path):
    heard: list[Any] = []

    class Listener(Silent):
        def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
            heard.append(("start", epochs, steps_per_epoch, done))

        def step(self, epoch: int, step: int, loss: float) -> None:
            heard.append((epoch, step, math.isfinite(loss)))

        def epoch(self, metrics: dict[str, Any]) -> None:
            heard.append(metrics["epoch"])

        def finish(self) -> None:
            heard.append("finish")

    Run(small_config(phases=(Phase(1, 1),), batch_size=32), digits(), tmp_path, Listener()).train()
    assert heard == [("start", 1, 2, 0), (0, 0, True), (0, 1, True), 0, "finish"]


# --- resuming ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(("epochs", "step"), [(1, None), (2, None), (2, 1), (0, 2), (4, None)])
def test_a_stopped_run_goes_on_as_if_nothing_had_happened(whole: Path, tmp_path: Path, epochs: int, step: int | None):
    with pytest.raises(KeyboardInterrupt):
        Run(small_config(), digits(), tmp_path, Stop(epochs, step)).train()
    assert not (tmp_path / "weights.safetensors").exists()
    done = len(metrics(tmp_path)) if (tmp_path / "metrics.jsonl").exists() else 0
    assert done == epochs
    Run(small_config(), digits(), tmp_path).train()
    assert_same_run(whole, tmp_path)


def test_a_run_killed_within_an_epoch_goes_on_as_if_nothing_had_happened(whole: Path, tmp_path: Path):
    script = """
        import os, signal, sys
        from pathlib import Path
        import torch
        torch.set_num_threads(1)
        torch.use_deterministic_algorithms(True)
        from spikelet.train.progress import Silent
        from spikelet.train import Run
        from tests.support.training_runs import digits, small_config

        class Kill(Silent):
            def step(self, epoch, step, loss):
                if (epoch, step) == (2, 2):
                    os.kill(os.getpid(), signal.SIGKILL)

        Run(small_config(), digits(), Path(sys.argv[1]), Kill()).train()
    """
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "src"), str(ROOT)])}
    command = [sys.executable, "-c", textwrap.dedent(script), str(tmp_path)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert len(metrics(tmp_path)) == 2
    Run(small_config(), digits(), tmp_path).train()
    assert_same_run(whole, tmp_path)


def test_metrics_that_a_kill_left_behind_are_written_again(whole: Path, tmp_path: Path):
    with pytest.raises(KeyboardInterrupt):
        Run(small_config(), digits(), tmp_path, Stop(3)).train()
    (tmp_path / "metrics.jsonl").write_text('{"epoch": 0')
    Run(small_config(), digits(), tmp_path).train()
    assert_same_run(whole, tmp_path)


# --- refused ----------------------------------------------------------------------------------------


def files(folder: Path) -> dict[str, bytes]:
    return {p.name: p.read_bytes() for p in folder.iterdir()}


def test_another_configuration_in_the_same_folder_is_refused(whole: Path):
    before = files(whole)
    with pytest.raises(CheckpointError, match=r"holds a run of another configuration\. Choose another folder"):
        Run(small_config(seed=1), digits(), whole)
    assert files(whole) == before


def stopped(folder: Path, validation: int = 24) -> Path:
    with pytest.raises(KeyboardInterrupt):
        Run(small_config(), digits(validation), folder, Stop(1)).train()
    return folder / "checkpoint.pt"


@pytest.mark.parametrize("damage", ["truncated", "empty", "noise", "another model", "no history", "a list"])
def test_a_damaged_checkpoint_is_refused_by_name(tmp_path: Path, damage: str):
    path = stopped(tmp_path)
    state = torch.load(path, weights_only=True)
    if damage == "truncated":
        path.write_bytes(path.read_bytes()[:-1000])
    elif damage == "empty":
        path.write_bytes(b"")
    elif damage == "noise":
        path.write_bytes(bytes(range(256)) * 20)
    elif damage == "another model":
        torch.save({**state, "model": {"x": torch.zeros(1)}}, path)
    elif damage == "no history":
        torch.save({k: v for k, v in state.items() if k != "history"}, path)
    else:
        torch.save([1, 2], path)
    with pytest.raises(
        CheckpointError,
        match=r"checkpoint\.pt can't be (resumed \(.*Remove the folder to start again|read into .* it lacks 'features)",
    ):
        Run(small_config(), digits(), tmp_path).train()


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", "null", '{"model": "x"}', '{"phases": 3, "optimizer": {}, "regulation": {}}']
)
def test_a_damaged_configuration_is_refused_by_name(tmp_path: Path, text: str):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(CheckpointError, match=r"config\.json is not a run's configuration \("):
        Run(small_config(), digits(), tmp_path)
    with pytest.raises(CheckpointError, match=r"Give the folder of a `spikelet train` run"):
        load_run(tmp_path)


def test_a_folder_without_a_run_is_refused(tmp_path: Path):
    with pytest.raises(CheckpointError, match=r"config\.json is not a run's configuration"):
        load_run(tmp_path / "nowhere")


def test_an_unfinished_run_does_not_load(tmp_path: Path):
    stopped(tmp_path)
    with pytest.raises(CheckpointError, match=r"the run is not finished\. Go on with `spikelet train --resume "):
        load_run(tmp_path)


@pytest.mark.parametrize("damage", ["truncated", "empty", "another model"])
def test_damaged_weights_are_refused_by_name(whole: Path, tmp_path: Path, damage: str):
    for name, data in files(whole).items():
        (tmp_path / name).write_bytes(data)
    path = tmp_path / "weights.safetensors"
    if damage == "another model":
        path.write_bytes(safetensors.torch.save({"x": torch.zeros(1)}))
    else:
        path.write_bytes(path.read_bytes()[:-100] if damage == "truncated" else b"")
    with pytest.raises(CheckpointError, match=r"weights\.safetensors can't be read"):
        load_run(tmp_path)


def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(tmp_path: Path):
    checkpoint = stopped(tmp_path)
    before = checkpoint.read_bytes()

    run = Run(small_config(), digits(), tmp_path)
    run.loop.reporter = Poison(run.model.classifier.weight)  # type: ignore[union-attr, arg-type]
    with pytest.raises(
        FloatingPointError, match=r"loss became nan in epoch 1, step 1\. Lower Optimizer\.lr \(now 0\.01\); "
    ):
        run.train()
    assert checkpoint.read_bytes() == before


def test_a_weight_that_is_no_number_stops_the_run_although_its_neurons_only_fall_silent(tmp_path: Path):
    checkpoint = stopped(tmp_path / "run", validation=0)
    before = checkpoint.read_bytes()
    run = Run(small_config(), digits(validation=0), tmp_path / "run")
    run.loop.reporter = Poison(next(run.model.parameters()))
    with pytest.raises(FloatingPointError, match=r"holds NaN or infinity after epoch 1\. .* epoch 0 was the last"):
        run.train()
    assert checkpoint.read_bytes() == before


def test_a_model_that_there_is_not_is_refused_before_anything_is_written(tmp_path: Path):
    with pytest.raises(ValueError, match="no model named 'resnet'"):
        Run(small_config(model="resnet"), digits(), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_more_batch_than_data_is_refused(tmp_path: Path):
    with pytest.raises(ValueError, match="batch_size 65 on 1 process"):
        Run(small_config(batch_size=65), digits(), tmp_path)


def test_without_accelerate_the_error_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "accelerate", None)
    with pytest.raises(
        ImportError, match=r"training needs accelerate\. Install it with: pip install 'spikelet\[train\]'"
    ):
        Run(small_config(), digits(), tmp_path)


# --- several processes ------------------------------------------------------------------------------


def test_processes_share_each_step_s_samples(tmp_path: Path):
    run = Run(small_config(augment="none"), digits(), tmp_path)
    alone = [x for x, _ in run.loop.batches_of(1)]

    def share(rank: int, processes: int) -> list[Tensor]:
        run.loop.accelerator = SimpleNamespace(num_processes=processes, process_index=rank)  # type: ignore[assignment]
        return [x for x, _ in run.loop.batches_of(1)]

    for processes in (2, 4):
        shares = [share(rank, processes) for rank in range(processes)]
        together = [torch.cat(step) for step in zip(*shares, strict=True)]
        assert all(torch.equal(a, b) for a, b in zip(together, alone, strict=True))


def test_samples_of_a_tiny_set_have_the_form_of_all():
    assert isinstance(digits().train, Samples)
    assert digits().train.sample_shape == (1, 8, 8)
