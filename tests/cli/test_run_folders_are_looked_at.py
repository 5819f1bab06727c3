"""A run folder whose files are not what a training wrote is refused in one sentence, quickly and without memory."""

from __future__ import annotations

import json
import os
import re
import resource
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

DEEP = "[" * 100_000
PEAK = 3 << 30  # bytes that a refusal may have taken of this process at most, torch and all

CONFIG: dict[str, dict[str, Any]] = {
    "unknown option": {"model_options": {"zzz": 1}},
    "widths of letters": {"model_options": {"widths": "ab"}},
    "widths of terabytes": {"model_options": {"widths": [10**6, 10**6]}},
    "width of gigabytes": {"model_options": {"widths": [10**5]}},
    "widths of nothing": {"model_options": {"widths": []}},
    "many widths": {"model_options": {"widths": [12] * 100_000}},
    "classes without end": {"model_options": {"num_classes": 10**12}},
    "image without end": {"model_options": {"image_size": 10**9}},
    "model a list": {"model": ["qsnn_vgg_s"]},
    "model a number": {"model": 1},
    "model unknown": {"model": "\x1b[2J" * 10_000},
    "options a list": {"model_options": []},
    "data a list": {"data": []},
    "data options a list": {"data_options": []},
    "data option unknown": {"data_options": {"zzz": 1}},
    "data option root": {"data_options": {"root": "/"}},
    "data option of another type": {"data_options": {"image_size": "8"}},
    "phases a number": {"phases": 1},
    "phases of T without end": {"phases": [{"epochs": 1, "time_steps": 10**9}]},
    "no phases": {"phases": []},
    "seed negative": {"seed": -1},
    "unknown setting": {"zzz": 1},
    "a setting of code": {"loss": "__import__('os').system('true')"},
}
RESULT: dict[str, dict[str, Any]] = {
    "labels a number": {"labels": 1},
    "labels of numbers": {"labels": [1, 2]},
    "labels that lack one": {"labels": ["0"]},
    "labels of one name": {"labels": ["0"] * 10},
    "shape without end": {"sample_shape": [1, 10**6, 10**6]},
    "shape of letters": {"sample_shape": "abc"},
    "shape of others": {"sample_shape": [3, 9, 9]},
    "accuracy of letters": {"test_accuracy": "x"},
    "accuracy above all": {"test_accuracy": 7},
    "unknown field": {"zzz": 1},
    "commit a list": {"commit": []},
}


@pytest.fixture
def run(trained: Path, tmp_path: Path) -> Path:
    """A copy of a finished run."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def refused(done: Any, run: Path) -> None:
    """Holds that `done` is one sentence about `run`."""
    assert done.exit_code == 2, done.output
    assert done.stderr.count("\n") == 1
    assert done.stderr.rstrip("\n").isprintable()
    assert len(done.stderr) < 1200
    assert not re.search(r"unexpected \w*(Error|Exception)", done.stderr), done.stderr
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 < PEAK


def changed(path: Path, changes: dict[str, Any]) -> None:
    """Writes the JSON in `path` with some fields changed; those of a dict are changed one by one."""
    before = json.loads(path.read_text())
    for name, value in changes.items():
        old = before.get(name)
        before[name] = {**old, **value} if isinstance(old, dict) and isinstance(value, dict) else value
    path.write_text(json.dumps(before))


@pytest.mark.parametrize("kind", CONFIG)
def test_a_configuration_that_makes_no_run_is_refused(kind: str, run: Path, command: Callable[..., Any]) -> None:
    changed(run / "config.json", CONFIG[kind])
    refused(command("eval", run), run)
    refused(command("train", "--resume", run, "--threads", 1), run)


@pytest.mark.parametrize("kind", RESULT)
def test_a_result_that_is_not_this_runs_is_refused(kind: str, run: Path, command: Callable[..., Any]) -> None:
    changed(run / "result.json", RESULT[kind])
    refused(command("pack", run, "--out", run / "m.safetensors"), run)
    assert not (run / "m.safetensors").exists()


@pytest.mark.parametrize(
    "text", [DEEP, "", "null", "[]", "1", '"x"', "{", '{"a": NaN}', "\ufeff{}", "\x00", '{"model": ' + DEEP]
)
@pytest.mark.parametrize("name", ["config.json", "result.json", "run.json", "weights.safetensors"])
def test_a_file_that_is_another_text_is_refused(name: str, text: str, run: Path, command: Callable[..., Any]) -> None:
    (run / name).write_text(text)
    done = command("pack", run, "--out", run / "m.safetensors")
    refused(done, run)
    assert name in done.stderr


@pytest.mark.parametrize("name", ["config.json", "result.json", "run.json", "weights.safetensors", "checkpoint.pt"])
@pytest.mark.parametrize("kind", ["folder", "fifo", "device", "link to itself"])
def test_a_file_that_is_no_file_is_refused(name: str, kind: str, run: Path, command: Callable[..., Any]) -> None:
    path = run / name
    path.unlink(missing_ok=True)
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/zero" if kind == "device" else path)
    words = ("train", "--resume", run, "--threads", 1) if name == "checkpoint.pt" else ("pack", run, "--out", run / "m")
    done = command(*words)
    refused(done, run)
    assert name in done.stderr
