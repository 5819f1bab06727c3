"""`spikelet eval`: one number three ways, and what differs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet.cli.confusion import Confusion
from spikelet.cli.result import load_result
from spikelet.data import load
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
    document = json.loads(command("eval", tmp_path, "--by-class", "--json").stdout)
    assert (document["accuracy_integers"], document["is_exact"]) == (None, None)
    assert np.trace(document["confusion"]) / document["samples"] == document["accuracy_pytorch"]


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
    assert done.exit_code == 1
    assert re.search(r"in features\.1\.body\.0 +4 *\n", done.output), done.output
    as_json = command("eval", trained, "--json")
    document = json.loads(as_json.stdout)
    assert as_json.exit_code == 1
    assert document["is_exact"] is False
    assert document["spikes"]["differ"] == document["spikes"]["by_node"]["features.1.body.0"] == 4


def test_json_has_the_figures_of_the_text(trained: Path, packed: Path, command: Callable[..., Any]) -> None:
    of_run, of_file = (json.loads(command("eval", target, "--json").stdout) for target in (trained, packed))
    result = load_result(trained)
    assert of_run["accuracy_pytorch"] == of_run["accuracy_integers"] == of_file["accuracy_integers"]
    assert (of_run["accuracy_pytorch"], of_run["samples"]) == (result.test_accuracy, result.test_samples)
    assert of_run["is_exact"] is True
    assert (of_run["spikes"]["compared"], of_run["logits"]["compared"]) == (275_712, 3_590)
    assert (of_file["accuracy_pytorch"], of_file["is_exact"]) == (None, None)
    assert "classes" not in of_run


def test_classes_are_counted_as_the_program_gives_them(
    trained: Path, packed: Path, command: Callable[..., Any]
) -> None:
    test = load("digits").test
    logits = spikelet.Program(spikelet.load(packed))(test.x.numpy())
    y, best = test.y.numpy(), np.argsort(-logits, axis=1, kind="stable")
    expected = np.zeros((10, 10), int)
    for true, taken in zip(y, best[:, 0], strict=True):
        expected[true, taken] += 1
    for target in (trained, packed):
        document = json.loads(command("eval", target, "--by-class", "--json").stdout)
        assert document["confusion"] == expected.tolist()
        assert document["top5_accuracy"] == np.mean([t in five for t, five in zip(y, best[:, :5], strict=True)])
        assert [c["accuracy"] for c in document["classes"]] == (np.diag(expected) / expected.sum(1)).tolist()
        assert sum(c["samples"] for c in document["classes"]) == document["samples"]
    text = command("eval", packed, "--by-class").stdout
    assert re.search(r"^top-5 +[\d.]+ %", text, re.MULTILINE)
    assert re.search(rf"^0 +{expected[0].sum()} +{100 * expected[0, 0] / expected[0].sum():.2f} %", text, re.MULTILINE)


def test_of_many_classes_the_pairs_are_listed_and_one_without_samples_has_no_accuracy() -> None:
    logits = -np.abs(np.arange(20)[:, None] // 2 - np.arange(20)[None]).astype(float)
    found = Confusion.of(logits, np.arange(20), [])
    assert found.samples == found.counts.sum() == 20
    assert found.counts[3, 1] == found.counts[2, 1] == 1
    half = Confusion.of(logits[:10], np.arange(10), [f"c{k}" for k in range(20)])
    assert half.document()["classes"][15] == {"class": "c15", "samples": 0, "accuracy": None}
    assert half.top5 == sum(abs(k // 2 - k) <= 2 for k in range(10))


def test_a_target_that_is_nothing_is_refused(command: Callable[..., Any]) -> None:
    done = command("eval", "nothing")
    assert done.exit_code == 2
    assert "no file 'nothing', and no such model ships with spikelet" in done.stderr
