"""`spikelet eval`: one number three ways, and what differs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spikelet
from spikelet.cli.result import load_result
from spikelet.graph.ir import IntGraph


def accuracies(text: str) -> list[str]:
    return re.findall(r"([\d.]+) %", text)


def test_a_run_and_its_packed_file_have_one_accuracy_and_no_spike_differs(
    trained: Path, packed: Path, command: Callable[..., Any]
) -> None:
    of_run, of_file = command("eval", trained), command("eval", packed)
    assert of_run.exit_code == of_file.exit_code == 0, of_run.output + of_file.output
    real, integers = accuracies(of_run.output)
    assert [real] == [integers] == accuracies(of_file.output)
    assert re.search(r"spikes that differ +0 of 275,712 *\n", of_run.output), of_run.output
    assert re.search(r"logits that differ +0 of 3,590 *\n", of_run.output), of_run.output


def test_evaluating_makes_the_result_anew(trained: Path, command: Callable[..., Any]) -> None:
    before = (trained / "result.json").read_bytes()
    (trained / "result.json").unlink()
    assert command("eval", trained).exit_code == 0
    assert (trained / "result.json").read_bytes() == before


def test_evaluating_repairs_a_damaged_result_as_its_error_says(
    trained: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    shutil.copytree(trained, tmp_path / "run")
    (tmp_path / "run" / "result.json").write_text('{"data": "digits"}')
    refused = command("pack", tmp_path / "run", "--out", tmp_path / "m.safetensors")
    assert "Make it again with: spikelet eval" in refused.stderr
    assert command("eval", tmp_path / "run").exit_code == 0
    assert (tmp_path / "run" / "result.json").read_bytes() == (trained / "result.json").read_bytes()


def test_a_result_that_tells_of_other_samples_is_left_alone(trained: Path, command: Callable[..., Any]) -> None:
    file = trained / "result.json"
    before = file.read_bytes()
    other = json.dumps({**json.loads(before), "test_samples": 10_000}).encode()
    file.write_bytes(other)
    try:
        done = command("eval", trained)
        assert "result.json is unchanged: it is about 10,000 samples of digits" in done.output
        assert file.read_bytes() == other
    finally:
        file.write_bytes(before)


def test_a_run_with_float_weights_has_its_accuracy_in_pytorch_alone(
    tmp_path: Path, command: Callable[..., Any]
) -> None:
    made = command("train", "tiny", "--weight-bits", 32, "--membrane-bits", 32, "--out", tmp_path, "--threads", 1)
    done = command("eval", tmp_path)
    assert done.exit_code == made.exit_code == 0, made.output + done.output
    assert "integer program" not in done.output.replace("float weights have no integer program", "")
    assert accuracies(done.output) == [accuracies(made.output)[-1]]


def test_another_split_is_not_taken_for_the_result(trained: Path, command: Callable[..., Any]) -> None:
    before = load_result(trained)
    done = command("eval", trained, "--split", "validation")
    assert "validation set, 145 samples" in done.output
    assert load_result(trained) == before


def test_a_data_set_by_name_is_read_in_the_size_that_the_model_takes(
    trained: Path, packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    images = pytest.importorskip("PIL.Image")
    for split in ("train", "test"):
        for k in range(10):
            (tmp_path / split / str(k)).mkdir(parents=True)
            images.new("L", (40, 30), 20 * k + len(split)).save(tmp_path / split / str(k) / "one.png")
    for target in (trained, packed):
        done = command("eval", target, "--data", tmp_path)
        assert done.exit_code == 0, done.output
        assert "test set, 10 samples" in done.output


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--split", "exam"], "--split must be one of train, validation, test, got 'exam'"),
        (["--data", "nothing"], "data set 'nothing' was not found"),
    ],
)
def test_samples_that_are_not_there_are_refused(
    words: list[str], message: str, trained: Path, command: Callable[..., Any]
) -> None:
    done = command("eval", trained, *words)
    assert done.exit_code == 2
    assert message in done.stderr


def test_a_file_that_does_not_say_its_data_asks_for_it(
    packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    graph = spikelet.load(packed)
    bare = tmp_path / "bare.safetensors"
    spikelet.save(IntGraph.of_logits(graph.nodes, graph.time_steps, graph.logit_scale), bare)
    done = command("eval", bare)
    assert done.exit_code == 2
    assert "Name a data set with --data NAME" in done.stderr
    assert command("eval", bare, "--data", "digits").exit_code == 0


def test_a_difference_is_shown_by_layer(
    trained: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikelet.cli import evaluation

    class OneSpikeWrong(spikelet.Program):
        def spikes(self, x: Any) -> dict[str, Any]:
            found = super().spikes(x)
            first = next(iter(found.values()))
            first[0, 0].reshape(-1)[0] ^= 1
            return found

    monkeypatch.setattr(evaluation, "Program", OneSpikeWrong)
    done = command("eval", trained)
    assert re.search(r"in features\.1\.body\.0 +4 *\n", done.output), done.output


def test_a_target_that_is_nothing_is_refused(command: Callable[..., Any]) -> None:
    done = command("eval", "nothing")
    assert done.exit_code == 2
    assert "no file 'nothing', and no such model ships with spikelet" in done.stderr
