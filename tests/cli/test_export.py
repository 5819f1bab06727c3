"""`spikelet export`: a project of C, what it takes, and what is refused."""

from __future__ import annotations

import errno
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet
from tests.export.compiled import needs_compiler


@needs_compiler
def test_a_packed_file_becomes_a_project_that_checks_itself(
    packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    done = command("export", packed, "--to", "c", "--out", tmp_path / "c", "--name", "digits")
    assert done.exit_code == 0, done.output
    assert "bytes of flash" not in done.stderr
    for words in ("flash", "RAM of run", "stack", "synaptic operations", f"make -C {tmp_path / 'c'} check"):
        assert words in done.output
    quick = {**os.environ, "CFLAGS": "-std=c99 -O0"}  # tests/export compiles as devices do
    checked = subprocess.run(["make", "-s", "check"], cwd=tmp_path / "c", capture_output=True, text=True, env=quick)
    assert checked.stdout == "digits: 3 runs and a stream of 2 steps, 0 wrong values\n", checked.stderr


def test_a_dry_run_says_the_same_and_writes_nothing(packed: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    asked = json.loads(command("export", packed, "--dry-run", "--json").stdout)
    made = json.loads(command("export", packed, "--out", tmp_path / "c", "--json").stdout)
    assert asked.pop("out") is None
    assert made.pop("out") == str(tmp_path / "c")
    assert asked == made
    assert asked["schema"] == "spikelet.export/1"
    assert asked["flash"] == asked["constants"] + asked["kernels"] + asked["calls"]


def test_another_ecosystem_gets_its_manifest(packed: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    done = command("export", packed, "--to", "arduino", "--out", tmp_path / "digits", "--name", "digits", "--json")
    assert json.loads(done.stdout)["to"] == "arduino"
    assert "name=digits" in (tmp_path / "digits" / "library.properties").read_text()
    assert "README.md says how it is run" in command("export", packed, "--to", "zephyr", "--out", tmp_path / "z").output


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Say where to write with --out DIR"),
        (("--out", "FULL"), "--out must be a new or an empty folder"),
        (("--out", "NEW", "--name", "Digits"), "name must be a lower-case letter"),
        (("--out", "NEW", "--flash", "1k"), "bytes of flash, and 1,000 are there"),
        (("--out", "NEW", "--ram", "1Ki"), "bytes of RAM (with its stack), and 1,024 are there"),
        (("--out", "NEW", "--ram", "much"), "--ram"),
        (("--out", "NEW", "--to", "rust"), "--to) must be one of c, arduino, platformio, zephyr, esp-idf, micropython"),
    ],
)
def test_what_can_not_be_is_refused_in_a_sentence(
    words: tuple[str, ...], said: str, packed: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    places = {"FULL": str(packed.parent), "NEW": str(tmp_path / "c")}
    done = command("export", packed, *(places.get(word, word) for word in words))
    assert done.exit_code == 2
    assert said in done.stderr.splitlines()[-1]
    assert not (tmp_path / "c").exists()


def test_instructions_are_counted_on_what_is_given(packed: Path, tmp_path: Path, command: Callable[..., Any]) -> None:
    pytest.importorskip("unicorn")
    pytest.importorskip("ziglang")
    shape = spikelet.load(packed).input.shape
    np.save(tmp_path / "dark.npy", np.zeros(shape, np.uint8))
    np.save(tmp_path / "many.npy", np.zeros((3, *shape), np.uint8))
    noise, dark = (
        json.loads(command("export", packed, "--dry-run", "--json", *words).stdout)["counted"]
        for words in ((), ("--input", tmp_path / "dark.npy"))
    )
    assert noise["sample"] == "noise"
    assert dark["sample"].endswith("dark.npy")
    assert 0 < dark["instructions"] < noise["instructions"]
    assert "Arm DDI 0439" in noise["cycle_source"]
    shown = command("export", packed, "--dry-run").output
    assert f"{noise['instructions']:,} a run on noise" in " ".join(shown.split())
    refused = command("export", packed, "--dry-run", "--input", tmp_path / "many.npy")
    assert refused.exit_code == 2
    assert "--input must hold one sample" in refused.stderr


def test_without_the_emulator_the_table_says_so(
    packed: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "unicorn", None)
    done = command("export", packed, "--dry-run")
    assert done.exit_code == 0
    assert "not counted" in done.output
    assert "spikelet[targets]" in done.output
    refused = command("export", packed, "--dry-run", "--input", tmp_path / "x.npy")
    assert refused.exit_code == 2
    assert "spikelet[targets]" in refused.stderr


def test_a_full_disk_is_named_by_the_folder(
    packed: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*words: Any, **more: Any) -> Any:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("spikelet.cli.exporting.put", full)
    done = command("export", packed, "--to", "c", "--out", tmp_path / "c")
    assert (done.exit_code, done.stderr.splitlines()[-1]) == (2, f"error: {tmp_path / 'c'}: No space left on device")
