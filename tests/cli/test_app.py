"""The command line as a whole: help that teaches, errors in one line, libraries that are missing."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import spikelet
from spikelet import cli

SOURCE = Path(cli.__file__).parent.parent
TORCH = ("train", "eval", "profile", "pack", "fit")
DEVICE = ("run", "bench", "inspect", "verify", "models", "export")
COMMANDS = (*TORCH, *DEVICE)
LOADED = (
    "answers",
    "commands",
    "completion",
    "errors",
    "export_command",
    "inspect_command",
    "limits",
    "offered",
    "options",
    "printing",
    "quiet",
    "stopped",
)  # by help


def test_help_lists_every_command(command: Callable[..., Any]) -> None:
    text = command("--help").output
    for name in COMMANDS:
        assert f" {name} " in text
        assert f"spikelet {name} " in text or name in ("profile", "models"), "the tour"


@pytest.mark.parametrize("name", COMMANDS)
def test_the_help_of_a_command_explains_it_and_gives_an_example(name: str, command: Callable[..., Any]) -> None:
    done = command(name, "--help")
    assert done.exit_code == 0
    explanation, _, example = done.output.partition("Example:")
    assert len(explanation.split()) > 25
    assert example.lstrip().startswith(f"spikelet {name}")
    assert "-q, --quiet" in example
    assert ("--json" in example) is (name not in ("train", "fit"))


def test_an_error_is_one_line_and_exit_code_two(command: Callable[..., Any]) -> None:
    done = command("eval", "nothing")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: no file 'nothing'")
    assert done.stdout == ""


def test_debug_shows_the_error_itself(command: Callable[..., Any]) -> None:
    for words in (("--debug", "eval", "nothing"), ("eval", "nothing", "--debug")):
        done = command(*words)
        assert done.exit_code == 2
        assert done.stderr.startswith("Traceback (most recent call last)")
        assert done.stderr.splitlines()[-1].startswith("error: no file 'nothing'")


def test_the_version_is_that_of_the_package(command: Callable[..., Any]) -> None:
    done = command("--version")
    assert (done.exit_code, done.output) == (0, f"spikelet {spikelet.__version__}\n")


def test_the_module_runs_as_the_console_script_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spikelet", "inspect", "nothing"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no file 'nothing'")


def test_help_needs_nothing_but_click() -> None:
    loaded: set[str] = set()
    waiting = [f"spikelet.cli.{name}" for name in ("__init__", "app", *LOADED)]
    while waiting:
        file = SOURCE.joinpath(*waiting.pop().split(".")[1:]).with_suffix(".py")
        names = {name for node in ast.parse(file.read_text()).body for name in _imported(node)} - loaded
        loaded |= names
        waiting += [name for name in names if name.startswith("spikelet.base.")]
    ours = {"spikelet", *(f"spikelet.cli.{name}" for name in LOADED)}
    others = {name for name in loaded - ours if not name.startswith("spikelet.base.")}
    assert {name.split(".")[0] for name in others} - sys.stdlib_module_names == {"click"}


def _imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
