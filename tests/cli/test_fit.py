"""`spikelet fit`: a finished run, a budget, and the folder of the answer."""

from __future__ import annotations

import dataclasses
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spikelet
from spikelet.fitting import Fitted
from spikelet.fitting.job import Job

pytest.importorskip("optuna")

QUICK = ("--epochs", 1, "--probes", 1, "--threads", 1)


@pytest.fixture(scope="module")
def found() -> list[Fitted]:
    """What the one fit of this module found."""
    return []


@pytest.fixture(scope="module")
def fitted(
    trained: Path, tmp_path_factory: pytest.TempPathFactory, command: Callable[..., Any], found: list[Fitted]
) -> tuple[Path, Any]:
    out, run = tmp_path_factory.mktemp("fit") / "out", Job.run

    def kept(job: Job, watcher: Any) -> Fitted:
        found.append(run(job, watcher))
        return found[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Job, "run", kept)
        return out, command("fit", trained, "--max-bytes", "2.9k", "--out", out, *QUICK)


def test_the_folder_holds_a_file_within_the_budget_the_front_and_a_picture(fitted: tuple[Path, Any]):
    out, done = fitted
    assert done.exit_code == 0, done.output
    told = json.loads((out / "fit.json").read_text())
    assert (out / "model.safetensors").stat().st_size == told["result"]["bytes"] <= told["budget"]["max_bytes"]
    assert "test_accuracy" not in spikelet.load(out / "model.safetensors").meta  # that of the start
    assert told["is_within_budget"] is True
    assert told["front"] == sorted(told["front"], key=lambda c: c["bytes"])
    assert (out / "fit.png").read_bytes()[:4] == b"\x89PNG"
    assert spikelet.load(out / "model.safetensors").labels == tuple("0123456789")


def test_the_start_has_the_bytes_that_pack_writes(fitted: tuple[Path, Any], packed: Path):
    told = json.loads((fitted[0] / "fit.json").read_text())
    assert told["start"]["bytes"] == packed.stat().st_size
    assert f"{packed.stat().st_size:,}" in fitted[1].output


def test_the_front_the_plan_and_what_was_measured_are_printed(fitted: tuple[Path, Any]):
    text = fitted[1].output
    for words in ("The front:", "The chosen plan", "start", "result", "within the budget"):
        assert words in text


def test_an_accuracy_drop_that_is_not_met_is_told_by_the_exit_code(
    fitted: tuple[Path, Any], found: list[Fitted], trained: Path, tmp_path: Path, command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
):  # fmt: skip
    monkeypatch.setattr(Job, "run", lambda job, watcher: dataclasses.replace(found[0], budget=job.budget))
    monkeypatch.setattr(Fitted, "accuracy_drop", 5.0)
    done = command("fit", trained, "--max-bytes", "2900", "--max-accuracy-drop", 1, "--out", tmp_path / "o", *QUICK)
    assert done.exit_code == 1
    assert "NOT within the budget: " in done.output
    assert "5 points of accuracy lost, at most 1 asked" in " ".join(done.output.split())


def test_a_run_without_validation_images_is_told_the_option(trained: Path, tmp_path: Path, command: Callable[..., Any]):
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    config = json.loads((run / "config.json").read_text())
    (run / "config.json").write_text(json.dumps({**config, "data_options": {"validation": 0.0}}))
    refused = command("fit", run, "--max-bytes", "2.9k", *QUICK)
    assert refused.exit_code == 2
    assert "without validation images, by which fit judges. Give --validation 0.1" in " ".join(refused.output.split())
    went_on = command("fit", run, "--max-bytes", "10", "--validation", 0.2, *QUICK)
    assert "no plan meets 10 bytes" in went_on.output


def test_a_run_may_be_the_folder_one_stands_in(
    trained: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
):
    shutil.copytree(trained, tmp_path / "run")
    monkeypatch.chdir(tmp_path / "run")
    done = command("fit", ".", "--max-bytes", "10", *QUICK)
    assert "no plan meets 10 bytes" in done.output
    assert (tmp_path / "run-fit").is_dir()


def test_an_answer_is_not_written_over(fitted: tuple[Path, Any], trained: Path, command: Callable[..., Any]):
    before = (fitted[0] / "model.safetensors").read_bytes()
    done = command("fit", trained, "--max-bytes", "2.9k", "--out", fitted[0], *QUICK)
    assert done.exit_code == 2
    assert "holds model.safetensors already. Choose another --out" in " ".join(done.output.split())
    assert (fitted[0] / "model.safetensors").read_bytes() == before


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "Budget needs max_bytes, or max_sops, or both"),
        (("--max-bytes", "lots"), "a size must be a number of bytes such as 100000, 100k, 1.5M or 96Ki, got 'lots'"),
        (("--max-bytes", "100"), "no plan meets 100 bytes"),
        (("--max-sops", "-1"), "Budget.max_sops must be a number above 0"),
    ],
)
def test_a_budget_that_makes_no_sense_is_one_red_line(
    words: tuple[str, ...], message: str, trained: Path, tmp_path: Path, command: Callable[..., Any]
):
    done = command("fit", trained, *words, "--out", tmp_path / "none", *QUICK)
    assert done.exit_code == 2
    assert message in done.output.replace("\n", " ")
    assert not (tmp_path / "none" / "model.safetensors").exists()
