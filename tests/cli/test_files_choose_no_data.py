"""A packed file chooses a data set that spikelet knows, read as it says within stated ranges, and nothing else."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

import spikelet
from spikelet.cli import sources
from spikelet.cli.own_data import own_data

DEEP = "[" * 900
RIGHT = {"validation": 0.25, "seed": 7, "slicing": "count", "time_steps": 2, "image_size": 8, "ground": "#00ff7f"}
WRONG = {
    "validation": [1, -0.1, float("nan"), float("inf"), "0.1", None, True, [0.1]],
    "seed": [-1, 2**32, 1.0, "1", True],
    "slicing": ["", "../x", 1, None, ["count"]],
    "time_steps": [1, 3, 10**9, "2", 2.0, True, None],
    "image_size": [0, 7, 40_000, "8", [8, 8], None],
    "ground": ["red", "", "#12345", 7, None, "white\n"],
    "root": ["/", ".", None],
    "columns": [["a", "b"], None],
    "name_or_path": ["digits"],
    "a\x1b[2J": [1],
    "zzz": [DEEP[:300]],
}
NAMES = (
    "attacker/dataset", "/etc", "..", "~", "./digits", "digits/", "Digits", "digits\n", " digits", "\x1b[2J",
    "\u202edigits", "h" + "ttp:" + "//example.org/x", "x" * 400_000, "a\0b",
)  # fmt: skip
TEXTS = ("[1]", "1", '"x"', "null", DEEP, "[" * 100_000, "{", "{}" * 400, "", "nan", '{"validation": 1e400}')


def file_of(packed: Path, to: Path, meta: Mapping[str, str]) -> Path:
    """The network of `packed` in a file that says `meta` of its origin."""
    spikelet.save(dataclasses.replace(spikelet.load(packed), meta=dict(meta)), to)
    return to


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, Any]]]:
    """What is read, in place of reading it."""
    seen: list[tuple[str, dict[str, Any]]] = []

    def read(name: str, **options: Any) -> None:
        seen.append((name, options))
        raise ValueError("enough")

    monkeypatch.setattr(sources, "load_data", read)
    return seen


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name)[:24])
@pytest.mark.parametrize("command_name", ["eval", "profile"])
def test_a_name_that_spikelet_does_not_know_is_refused(
    command_name: str, name: str, packed: Path, tmp_path: Path, command: Callable[..., Any], asked: list[Any]
) -> None:
    file = file_of(packed, tmp_path / "m.safetensors", {"data": name})
    done = command(command_name, file)
    assert done.exit_code == 2
    assert "Name the data set yourself with --data" in done.stderr
    assert done.stderr.startswith(f"error: {file}")
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) < 1000
    assert done.stderr.rstrip("\n").isprintable()
    assert not asked


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: text[:12])
def test_options_that_are_no_object_are_refused(
    text: str, packed: Path, tmp_path: Path, command: Callable[..., Any], asked: list[Any]
) -> None:
    done = command("eval", file_of(packed, tmp_path / "m.safetensors", {"data": "digits", "data_options": text}))
    assert done.exit_code == 2
    assert "data_options" in done.stderr
    assert done.stderr.count("\n") == 1
    assert len(done.stderr) < 1000
    assert not asked


@pytest.mark.parametrize(("key", "value"), [(key, value) for key, values in WRONG.items() for value in values])
def test_an_option_out_of_its_range_is_refused_by_name(key: str, value: Any, packed: Path) -> None:
    graph = spikelet.load(packed)
    meta = {"data": "digits", "data_options": json.dumps({**RIGHT, key: value})}
    with pytest.raises(ValueError, match=r"data_options.*Name the data set yourself with --data") as refused:
        own_data(dataclasses.replace(graph, meta=meta))
    assert ascii(key)[1:-1].replace("\\\\", "\\") in str(refused.value)
    assert len(str(refused.value)) < 1000


def test_options_in_their_ranges_are_those_that_the_data_is_read_with(
    packed: Path, tmp_path: Path, command: Callable[..., Any], asked: list[Any]
) -> None:
    meta = {"data": "digits (a note)", "data_options": json.dumps(RIGHT)}
    file = file_of(packed, tmp_path / "m.safetensors", meta)
    command("eval", file)
    command("eval", file, "--data", "digits")
    assert asked == [("digits", {"root": None, **RIGHT})] * 2
    command("eval", file, "--data", "other")
    of_it = {"root": None, "time_steps": 2, "image_size": 8, "ground": "#00ff7f", "validation": 0.0}
    assert asked[2:] == [("other", of_it)]


def test_data_of_another_name_is_read_where_the_user_says_so(
    packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    hostile = {"data": "/etc", "data_options": DEEP}
    done = command("eval", file_of(packed, tmp_path / "m.safetensors", hostile), "--data", "digits")
    assert done.exit_code == 0, done.output
    assert "test set, 359 samples" in done.output


def test_commands_that_read_no_data_read_no_meta_either(
    packed: Path, tmp_path: Path, command: Callable[..., Any], asked: list[Any]
) -> None:
    hostile = {"data": "/etc", "data_options": DEEP, "model": "\x1b[2J" * 1000, "\x07": "\u202e\n" * 100_000}
    file = file_of(packed, tmp_path / "m.safetensors", hostile)
    for name in ("inspect", "verify"):
        done = command(name, file)
        assert done.exit_code == 0, done.output
        assert all(line.isprintable() for line in done.output.splitlines())
        assert len(done.output) < 20_000
    assert not asked


def test_a_folder_that_is_called_as_a_known_data_set_is_not_taken_for_it(
    packed: Path, trained: Path, tmp_path: Path
) -> None:
    from spikelet.cli.lowered import origin
    from spikelet.cli.result import load_result
    from spikelet.train import load_run

    _, config = load_run(trained)
    of_a_folder = dataclasses.replace(config, data=str(tmp_path / "digits"))
    result = load_result(trained)
    assert own_data(dataclasses.replace(spikelet.load(packed), meta=origin(config, result))).name == "digits"
    with pytest.raises(ValueError, match="Name the data set yourself with --data"):
        own_data(dataclasses.replace(spikelet.load(packed), meta=origin(of_a_folder, result)))
