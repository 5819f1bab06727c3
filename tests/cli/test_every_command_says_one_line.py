"""Whatever a command is given, and whatever is raised within, it says one printable line and ends with its code."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spikelet.cli import catalogue, evaluation, images, sources

PLACES = (
    "eval", "profile", "fit", "pack", "run", "bench", "inspect", "verify", "export", "train", "image", "data", "root",
)  # fmt: skip
KINDS = (
    "missing", "empty", "text", "folder", "fifo", "device", "link to itself", "long", "control", "not utf-8", "zero",
    "surrogate", "space", "nothing", "hyphen", "unreadable",
)  # fmt: skip


def made(kind: str, folder: Path) -> str:
    """The path of something that is no model, no run, no picture and no data."""
    path = folder / kind.replace(" ", "")
    if kind == "empty":
        path.touch()
    elif kind == "text":
        path.write_text("\x1b[2Jaccuracy 100 %\n" * 1000)
    elif kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    elif kind == "link to itself":
        path.symlink_to(path)
    elif kind == "unreadable":
        path.write_bytes(b"x")
        path.chmod(0)
    named = {
        "device": "/dev/zero", "long": str(folder / ("x" * 5000)), "control": str(folder / "\x1b[2J\r\n\u202e"),
        "not utf-8": os.fsdecode(os.fsencode(folder) + b"/\xff\xfe"), "zero": f"{folder}/a\0b",
        "surrogate": f"{folder}/\ud800", "space": " ", "nothing": "", "hyphen": "-",
    }  # fmt: skip
    return named.get(kind, str(path))


def words_for(place: str, name: str, packed: Path, trained: Path, out: Path) -> list[object]:
    """A command with `name` in the place of a model, a run, a picture, or data."""
    return {
        "fit": ["fit", name, "--max-bytes", "3k", "--out", out],
        "pack": ["pack", name, "--out", out],
        "export": ["export", name, "--out", out],
        "run": ["run", name, "a.png"],
        "train": ["train", "--resume", name],
        "image": ["run", packed, name],
        "data": ["eval", packed, "--data", name],
        "root": ["eval", trained, "--data", "mnist", "--data-root", name],
    }.get(place, [place, name])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("place", PLACES)
def test_a_name_of_something_else_is_refused_in_one_line(
    place: str, kind: str, packed: Path, trained: Path, tmp_path: Path, command: Callable[..., Any]
) -> None:
    name = made(kind, tmp_path)
    done = command(*words_for(place, name, packed, trained, tmp_path / "out"))
    last = done.stderr.splitlines()[-1]
    assert done.exit_code == 2, done.output
    assert last.lower().startswith("error: "), done.output
    assert last.isprintable()
    assert len(done.stderr) < 1200
    assert "unexpected" not in last
    assert "object at 0x" not in last
    assert "Traceback" not in done.output
    if kind in ("missing", "empty", "text", "folder", "fifo"):
        assert tmp_path.name in last, "names what it is about"


RAISED = (
    ("TypeError", TypeError("'NoneType' object is not subscriptable")),
    ("RuntimeError", RuntimeError("Given groups=1\n  frame #0\n" * 500)),
    ("RecursionError", RecursionError("maximum recursion depth exceeded")),
    ("MemoryError", MemoryError()),
    ("SyntaxError", SyntaxError("not a TIFF file")),
    ("KeyError", KeyError("x\x1b[2J")),
    ("AssertionError", AssertionError()),
    ("UnicodeDecodeError", UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte")),
    ("OSError", OSError(28, "No space left on device")),
    ("StopIteration", StopIteration()),
    ("Exception", Exception("")),
)


@pytest.mark.parametrize(("name", "error"), RAISED, ids=[name for name, _ in RAISED])
def test_any_exception_is_one_line_that_names_what_was_read(
    name: str,
    error: Exception,
    packed: Path,
    tmp_path: Path,
    command: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object, **__: object) -> None:
        raise error

    (tmp_path / "a.png").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(images, "pictures_in", fails)
    monkeypatch.setattr(sources, "load_data", fails)
    monkeypatch.setattr(evaluation, "Program", fails)
    monkeypatch.setattr(catalogue, "models", fails)
    lines = {
        "a.png": command("run", packed, "a.png"),
        "digits": command("eval", packed),
        "nmnist": command("profile", packed, "--data", "nmnist"),
        "error": command("models"),
    }
    for what, done in lines.items():
        assert done.exit_code == 2
        assert done.stderr.count("\n") == 1
        assert done.stderr.startswith("error: ")
        assert what in done.stderr
        assert done.stderr.rstrip("\n").isprintable()
        assert len(done.stderr) < 1000
    expected = isinstance(error, OSError | ValueError | MemoryError | RecursionError)
    assert ("unexpected" in lines["error"].stderr) is not expected
    assert expected or name in lines["a.png"].stderr


def test_an_error_that_nobody_expects_says_how_to_see_more(
    command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(pattern: str) -> None:
        raise AttributeError("a bug\x1b[2J")

    monkeypatch.setattr(catalogue, "models", broken)
    done = command("models")
    assert done.stderr.startswith("error: unexpected AttributeError: a bug\\x1b[2J (spikelet --debug")
    for words in (("--debug", "models"), ("models", "--debug")):
        shown = command(*words)
        assert "Traceback (most recent call last)" in shown.stderr
        assert "raise AttributeError" in shown.stderr
        assert all(line.isprintable() for line in shown.stderr.splitlines())
        assert shown.exit_code == 2
    monkeypatch.setenv("SPIKELET_DEBUG", "1")
    assert "Traceback" in command("models").stderr


def test_ctrl_c_is_one_line_and_exit_code_130(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def stopped(pattern: str) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(catalogue, "models", stopped)
    done = command("models")
    assert (done.exit_code, done.stdout, done.stderr) == (130, "", "error: stopped.\n")


def test_a_warning_is_one_line(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    def warns(pattern: str) -> catalogue.Catalogue:
        warnings.warn("odd\nthing\x1b[2J", UserWarning, stacklevel=1)
        return catalogue.Catalogue((), (), ())

    monkeypatch.setattr(catalogue, "models", warns)
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        done = command("models")
    assert (done.exit_code, done.stderr) == (0, "warning: odd thing\\x1b[2J\n")


def test_what_was_typed_is_not_obeyed_by_the_terminal(command: Callable[..., Any]) -> None:
    for words in (("\x1b[2J",), ("run", "--\x1b[2J"), ("--\x1b[2J",), ("run", "a", "b", "--top", "\x1b[2J" * 1000)):
        done = command(*words)
        assert done.exit_code == 2
        assert all(line.isprintable() for line in done.stderr.splitlines())
        assert len(done.stderr) < 1500


@pytest.mark.skipif(shutil.which("head") is None, reason="needs a shell's head")
def test_a_closed_pipe_is_quiet() -> None:
    words = f"'{sys.executable}' -m spikelet inspect qsnn-vgg-s-cifar10 | head -c 1"
    done = subprocess.run(["sh", "-c", words], capture_output=True, text=True, check=False)
    assert done.stderr == ""
