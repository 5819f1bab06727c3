"""What is left where a command is stopped or the disk is full: one line, and files that are the old ones or none."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import spikelet.cli
from spikelet.runtime import Program


class Stops:
    """A module that is stopped while it is imported."""

    def __getattr__(self, name: str) -> Any:
        raise KeyboardInterrupt


def test_ctrl_c_before_the_command_line_is_there(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "spikelet.cli.app", Stops())
    with pytest.raises(SystemExit) as ended:
        spikelet.cli.main()
    assert ended.value.code == 130
    assert capsys.readouterr() == ("", "error: stopped.\n")


def test_a_stopped_evaluation_keeps_the_result_of_before(
    trained: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = {path.name: path.read_bytes() for path in trained.iterdir()}

    def stopped(*words: Any, **more: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("spikelet.cli.evaluation.verify", stopped)
    done = command("eval", trained)
    assert (done.exit_code, done.stderr) == (130, "error: stopped.\n")
    assert {path.name: path.read_bytes() for path in trained.iterdir()} == before


@pytest.mark.parametrize("error", [KeyboardInterrupt(), OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))])
def test_a_stopped_run_leaves_no_half_of_a_table(
    error: BaseException, packed: Path, tmp_path: Path, command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    np.save(tmp_path / "x.npy", np.zeros((200, 1, 8, 8), np.uint8))
    calls: list[int] = []
    whole = Program.__call__

    def at_last(program: Program, x: Any) -> Any:
        calls.append(len(x))
        if len(calls) > 1:
            raise error
        return whole(program, x)

    monkeypatch.setattr(Program, "__call__", at_last)
    done = command("run", packed, tmp_path / "x.npy", tmp_path / "x.npy", "--csv", tmp_path / "found.csv")
    assert done.exit_code == (130 if isinstance(error, KeyboardInterrupt) else 2), done.output
    assert len(done.stderr.splitlines()) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["x.npy"]
