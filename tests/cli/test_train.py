"""`spikelet train`: what it prints and leaves behind, how it resumes, and how it refuses."""

from __future__ import annotations

import dataclasses
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spikelet.cli.result import load_result
from spikelet.cli.training import _summary
from spikelet.data import batches, load
from spikelet.recipes import RECIPES
from spikelet.train import Run, Teacher, evaluate, load_run
from spikelet.train.checkpoint import build
from spikelet.train.progress import Together


def stop_and_keep(seen: list[Any], value: object) -> None:
    """Instead of training: keeps `value`, and ends the command."""
    seen.append(value)
    raise ValueError("enough")


def test_a_run_prints_a_line_and_a_row_an_epoch_and_the_test_accuracy(trained: Path) -> None:
    text = (trained / "printed.txt").read_text()
    assert "epoch 1/2  T 1  loss" in text
    assert "epoch 2/2  T 2  loss" in text
    assert text.count("validation") == 3, "two lines and the head of the table"
    assert "test accuracy" in text


def test_the_test_accuracy_kept_is_that_of_the_last_epochs_weights(trained: Path) -> None:
    model, _ = load_run(trained)
    result = load_result(trained)
    assert result.test_accuracy == evaluate(model, batches(load("digits").test, 100))
    assert result.labels == tuple("0123456789")
    assert result.sample_shape == (1, 8, 8)


def test_ctrl_c_within_an_epoch_says_how_to_go_on_which_ends_with_the_weights_of_an_unbroken_run(
    trained: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def pressed(told: Together, epoch: int, step: int, loss: float) -> None:
        if (epoch, step) == (1, 7):
            signal.raise_signal(signal.SIGINT)

    folder, before = tmp_path / "run", signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with monkeypatch.context() as user:
            user.setattr(Together, "step", pressed)
            done = command("train", "tiny", "--out", folder, "--threads", 1)
    finally:
        signal.signal(signal.SIGINT, before)
    assert done.exit_code == 130
    assert done.stderr.splitlines()[-1] == f"error: stopped. Go on with: spikelet train --resume {folder}"
    assert (folder / "checkpoint.pt").exists()
    assert not (folder / "weights.safetensors").exists()
    done = command("train", "--resume", folder, "--threads", 1)
    assert done.exit_code == 0, done.output
    assert "2 epochs of 20 steps, 1 of them done" in done.output
    assert (folder / "weights.safetensors").read_bytes() == (trained / "weights.safetensors").read_bytes()


def test_bits_and_seed_reach_the_configuration(
    tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.setattr(Run, "train", lambda run: stop_and_keep(seen, run.config))
    command("train", "tiny", "--out", tmp_path / "run", "--seed", 3, "--weight-bits", 4, "--membrane-bits", 8)
    assert seen == [RECIPES["tiny"](seed=3, weight_bits=4, membrane_bits=8)]


def test_the_run_lies_under_runs_by_default(
    tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Run, "train", lambda run: stop_and_keep(seen, run.folder))
    command("train", "tiny")
    assert seen == [Path("runs/tiny")]


def test_tensorboard_gets_the_scalars(tmp_path: Path, command: Callable[..., Any]) -> None:
    pytest.importorskip("tensorboard")
    done = command("train", "tiny", "--out", tmp_path / "run", "--tracker", "tensorboard")
    assert done.exit_code == 0, done.output
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(tmp_path / "run" / "logs" / "spikelet"))
    events.Reload()
    history = [json.loads(line) for line in (tmp_path / "run" / "metrics.jsonl").read_text().splitlines()]
    assert [round(e.value, 4) for e in events.Scalars("epoch/loss")] == [round(h["loss"], 4) for h in history]
    assert len(events.Scalars("step/loss")) == 40


def test_tensorboard_without_its_library_names_the_extra(
    tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorboard", None)
    done = command("train", "tiny", "--out", tmp_path / "run", "--tracker", "tensorboard")
    assert done.exit_code == 2
    assert "pip install 'spikelet[tensorboard]'" in done.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["train"], "train needs data or a recipe. Your own pictures: spikelet train --data FOLDER, "),
        (["train"], "There are: qsnn-digits, "),
        (
            ["train", "qsnn-digit"],
            "no recipe 'qsnn-digit'. Did you mean 'qsnn-digits'? There are: qsnn-digits, ",
        ),
        (["train", "qsnn_vgg_s"], "but a network: spikelet train --data FOLDER --model qsnn_vgg_s trains it"),
        (["train", "tiny", "--resume", "somewhere"], "--resume takes everything from the folder"),
        (["train", "--resume", "somewhere", "--seed", "1"], "--resume takes everything from the folder"),
        (["train", "--resume", "no-such-folder"], "is not a run's configuration"),
        (["train", "qsnn-nmnist", "--out", "never"], "Say where it lies with --data-root PATH"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    words: list[str], message: str, command: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    done = command(*words)
    assert done.exit_code == 2
    assert message in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_another_run_is_left_alone(trained: Path, command: Callable[..., Any]) -> None:
    before = {p.name: p.read_bytes() for p in trained.iterdir()}
    done = command("train", "tiny", "--seed", 1, "--out", trained)
    assert done.exit_code == 2
    assert "holds a run of another configuration" in done.stderr
    assert {p.name: p.read_bytes() for p in trained.iterdir()} == before


def test_a_pruned_run_shows_the_larger_network_and_both_can_be_evaluated(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    done = command("train", "qpsnn-digits", "--epochs", 1, "--out", tmp_path / "run", "--threads", 1)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "unpruned pruning None: 1 at T = 2 before; then channels leave by svs" in said
    assert done.output.index("\nunpruned  epoch 1/1  T 2") < done.output.index("\nepoch 1/1  T 2")
    assert said.index("before pruning") < said.index("total")
    for folder in (tmp_path / "run", tmp_path / "run" / "unpruned"):
        shown = command("eval", folder)
        assert shown.exit_code == 0, shown.output
        assert "spikes that differ            0 of" in shown.output
    packed = command("pack", tmp_path / "run", "--out", tmp_path / "small.safetensors")
    assert packed.exit_code == 0, packed.output
    again = command("train", "--resume", tmp_path / "run")
    assert again.exit_code == 0, again.output


def test_a_taught_run_shows_its_teacher_and_both_can_be_evaluated(
    tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(
        RECIPES, "taught", lambda **given: dataclasses.replace(RECIPES["tiny"](**given), teacher=Teacher(1, after=1))
    )
    done = command("train", "taught", "--out", tmp_path / "run", "--threads", 1)
    assert done.exit_code == 0, done.output
    said = " ".join(done.output.split())
    assert "teacher its analog twin, 1 epoch(s) before; weight 0.9 at temperature 4, asked after 1 epoch(s)" in said
    assert done.output.index("\nteacher  epoch 1/1  T 1") < done.output.index("\nepoch 1/2  T 1")
    assert said.index("its teacher before") < said.index("total")
    for folder, what in ((tmp_path / "run", "logits that differ"), (tmp_path / "run" / "teacher", "float weights")):
        shown = command("eval", folder)
        assert shown.exit_code == 0, shown.output
        assert what in shown.output
    for words in (("pack", "--out", tmp_path / "out.safetensors"), ("fit", "--max-bytes", "8k")):
        refused = command(words[0], tmp_path / "run" / "teacher", *words[1:])
        assert refused.exit_code != 0
        assert "teacher holds an analog twin, which teaches and is not deployed. Give the run" in refused.output
    assert {p.name for p in tmp_path.iterdir()} == {"run"}
    assert {p.name for p in (tmp_path / "run").iterdir()} >= {"teacher"}
    resumed = command("train", "--resume", tmp_path / "run" / "teacher")
    assert "its analog twin: ReLU for neurons, float weights" in " ".join(resumed.output.split())
    assert "spikelet pack" not in resumed.output


def test_a_network_without_integers_says_so_before_it_trains(tmp_path: Path) -> None:
    config = RECIPES["est-digits"]()
    lines = {}
    for attention in ("levels", "softmax"):
        one = dataclasses.replace(config, model_options={**config.model_options, "attention": attention})
        lines[attention] = dict(_summary(one, tmp_path, load("digits").train, build(one)))
    assert "integers" not in lines["levels"]
    assert lines["softmax"]["integers"].startswith("none, so that it can't be packed: its attention is a softmax")
