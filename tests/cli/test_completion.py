"""Completion of words: the names there are, in the shells there are, without PyTorch."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spikelet
from spikelet import zoo
from spikelet.cli import offered
from spikelet.cli.completion import SHELLS, place_for
from spikelet.data import names
from spikelet.models.catalogue import BUILDERS
from spikelet.recipes import RECIPES

Command = Callable[..., Any]
WITHOUT_TORCH = "import sys; sys.modules['torch'] = sys.modules['numpy'] = None; from spikelet.cli import main; main()"


def test_the_names_that_are_offered_are_those_there_are() -> None:
    assert offered.shipped() == zoo.names()
    assert offered.recipes() == [name for name in RECIPES if name != "tiny"]
    assert offered.networks() == sorted(builder.__name__ for builder in BUILDERS)
    assert offered.data_sets() == list(names())


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        ("spikelet tra", ["plain,train"]),
        ("spikelet run qsnn-vgg-s-f", ["plain,qsnn-vgg-s-fashion-mnist"]),
        ("spikelet run runs/d", ["file,runs/d"]),
        ("spikelet train --model est_s", ["plain,est_swin_t"]),
        ("spikelet run m a.png --ax", ["plain,--axes"]),
        ("spikelet run m a.png --axes NC", ["plain,NCHW"]),
    ],
)
def test_a_tab_gives_the_words_that_begin_so(typed: str, expected: list[str]) -> None:
    asked = {"_SPIKELET_COMPLETE": "bash_complete", "COMP_WORDS": typed, "COMP_CWORD": str(len(typed.split()) - 1)}
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, env={**os.environ, **asked}, check=False
    )
    assert (done.stdout.splitlines(), done.stderr) == (expected, "")


@pytest.mark.parametrize("shell", SHELLS)
def test_the_script_is_shown_and_put_where_the_shell_looks(
    shell: str, tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("XDG_DATA_HOME", "XDG_CONFIG_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("SHELL", f"/bin/{shell}")
    shown = command("--show-completion")
    assert shown.exit_code == 0, shown.output
    assert f"_SPIKELET_COMPLETE={shell}_complete" in shown.stdout
    assert command("--show-completion", shell).stdout == shown.stdout
    installed = command("--install-completion")
    file, remark = place_for(shell)
    assert installed.stdout == f"wrote {file}\n{remark}\n"
    assert file.is_relative_to(tmp_path)
    assert file.read_text() + "\n" == shown.stdout


def test_another_shell_and_a_place_that_cannot_be_written_are_one_sentence(
    tmp_path: Path, command: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    refused = command("--show-completion", "tcsh")
    assert refused.exit_code == 2
    assert "words are completed in bash, zsh, fish, got 'tcsh'. Name one of these shells." in refused.stderr
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "file"))
    refused = command("--install-completion", "bash")
    assert refused.exit_code == 2
    assert "was not written" in refused.stderr
    assert spikelet.__version__ not in refused.output
