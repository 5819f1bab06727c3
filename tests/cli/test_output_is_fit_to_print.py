"""What commands print: characters that the output has, nothing that a terminal obeys, and lines that can be pasted."""

from __future__ import annotations

import dataclasses
import json
import os
import shlex
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from spikelet.base.command import command_line
from spikelet.cli.printing import in_encoding

HOSTILE = (
    "\x1b]0;PWNED\x07\x1b[2J\x1b[1;1H\x1b[32maccuracy 100.00 %\x1b[0m", "\u202egnp.exe", "two\nlines\r", "x" * 200_000,
    "\u200b", "\x9b31m", "\u2028", "\t\v\f", "\0", "猫", "",
)  # fmt: skip


@pytest.fixture(scope="module")
def hostile(packed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file whose class names, node names and words are made to be obeyed."""
    graph = spikelet.load(packed)
    labels = tuple(f"{name}{i}" for i, name in enumerate(HOSTILE[:10]))
    meta = {name + str(i): name for i, name in enumerate(HOSTILE)}
    path = tmp_path_factory.mktemp("hostile") / "m.safetensors"
    spikelet.save(dataclasses.replace(graph, labels=labels, meta=meta | {"model": HOSTILE[0]}), path)
    np.save(path.with_suffix(".npy"), np.zeros(graph.input.shape, np.uint8))
    return path


@pytest.mark.parametrize("name", ["run", "inspect", "verify", "profile"])
def test_words_of_a_file_are_shown_and_not_obeyed(
    name: str, hostile: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    image = hostile.with_suffix(".npy")
    out = ("--out", tmp_path / "p.json") if name == "profile" else ()
    done = command(name, hostile, *(() if name == "inspect" else (image, *out)), *(("--top", 10) * (name == "run")))
    assert done.exit_code == 0, done.output
    assert all(line.isprintable() for line in done.output.splitlines())
    assert len(done.output) < 30_000
    if name in ("run", "inspect"):
        assert "\\x1b[2J" in done.output
        assert "猫" in done.output
    if out:
        assert json.loads((tmp_path / "p.json").read_text())


@pytest.mark.parametrize("encoding", ["ascii", "cp1252", "latin-1", "cp437", "utf-8"])
def test_characters_are_those_that_the_output_has(encoding: str, hostile: Path) -> None:
    for words in (
        ("run", str(hostile), str(hostile.with_suffix(".npy")), "--top", "10"),
        ("--help",),
        ("inspect", "猫"),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "spikelet", *words],
            capture_output=True,
            env={**os.environ, "PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
            check=False,
        )
        said = (done.stdout + done.stderr).decode(encoding)
        assert done.returncode == (2 if words[0] == "inspect" else 0), said
        assert "codec" not in said
        assert "Traceback" not in said
        if words[0] == "run":
            assert said.count(" %") >= 10, "every class is shown"


@pytest.mark.parametrize("closed", ["1", "2"])
def test_a_stream_that_is_closed_costs_no_result(closed: str, packed: Path, tmp_path: Path) -> None:
    array = tmp_path / "a.npy"
    np.save(array, np.zeros((1, 8, 8), np.uint8))
    words = shlex.join([sys.executable, "-m", "spikelet", "run", str(packed), str(array)])
    done = subprocess.run(["sh", "-c", f"{words} {closed}>&-"], capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert (b" %" in done.stdout) == (closed == "2")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no disk that is always full")
def test_an_output_that_cannot_be_written_is_named(packed: Path) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "spikelet", "inspect", str(packed)], stdout=full, stderr=subprocess.PIPE, check=False
        )
    assert done.returncode == 2
    assert done.stderr == b"error: the output cannot be written: No space left on device.\n"


def test_what_we_draw_with_is_plain_where_it_must_be() -> None:
    assert in_encoding("── ━ · → é 猫", "ascii") == "-- # | > \\xe9 \\u732b"
    assert in_encoding("── ━ · → é 猫", "utf-8") == "── ━ · → é 猫"
    assert in_encoding("\ud800", "utf-8") == "\\ud800"


@pytest.mark.parametrize("name", ["plain", "my run", "it's", "a;rm -r b", "$(x)", "-rf", "*", "猫"])
def test_a_suggested_command_is_read_by_a_shell_as_it_is_meant(name: str) -> None:
    _, verb, path = shlex.split(command_line("eval", Path(name)))
    assert verb == "eval"
    assert Path(path) == Path(name)
    assert not path.startswith("-")


def test_every_command_that_is_suggested_can_be_pasted(
    trained: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from spikelet.train import Run

    folder = tmp_path / "my run"
    made = command("train", "tiny", "--out", folder, "--threads", 1)
    shown = [line.removeprefix("next:").strip() for line in made.output.splitlines() if "spikelet " in line]
    assert [shlex.split(line)[:3] for line in shown] == [
        ["spikelet", "eval", str(folder)],
        ["spikelet", "pack", str(folder)],
    ]
    (folder / "result.json").unlink()
    unmeasured = command("pack", folder, "--out", tmp_path / "m.safetensors")
    assert unmeasured.stderr.rstrip().endswith(f"Make it with: spikelet eval '{folder}'")
    of_images = command("profile", folder, "a.png")
    assert of_images.stderr.rstrip().endswith(f"Pack it first: spikelet pack '{folder}' --out model.safetensors")

    def stopped(run: Run) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Run, "train", stopped)
    done = command("train", "tiny", "--out", tmp_path / "other run")
    assert done.exit_code == 130
    assert done.stderr == f"error: stopped. Go on with: spikelet train --resume '{tmp_path / 'other run'}'\n"
