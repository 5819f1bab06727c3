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
from spikelet.cli import main

CLI = Path(cli.__file__).parent
COMMANDS = ("train", "eval", "profile", "pack", "run", "models", "fit")


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


def test_an_error_is_one_line_and_exit_code_two(command: Callable[..., Any]) -> None:
    done = command("eval", "nothing")
    assert done.exit_code == 2
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: no file 'nothing'")
    assert done.stdout == ""


def test_debug_shows_the_error_itself(command: Callable[..., Any]) -> None:
    done = command("--debug", "eval", "nothing")
    assert isinstance(done.exception, FileNotFoundError)


def test_a_mistake_of_ours_keeps_its_traceback(command: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from spikelet.cli import catalogue

    def broken(pattern: str) -> None:
        raise AttributeError("a bug")

    monkeypatch.setattr(catalogue, "models", broken)
    assert isinstance(command("models").exception, AttributeError)


def test_the_version_is_that_of_the_package(command: Callable[..., Any]) -> None:
    done = command("--version")
    assert (done.exit_code, done.output) == (0, f"spikelet {spikelet.__version__}\n")


def test_the_module_runs_as_the_console_script_does(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "spikelet", "eval", "nothing"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        check=False,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("error: no file 'nothing'")


@pytest.mark.parametrize("library", ["typer", "rich"])
def test_a_missing_library_names_the_extra(
    library: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in [n for n in sys.modules if n.split(".")[0] == library or n.startswith("spikelet.cli.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, library, None)
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2
    assert capsys.readouterr().err == (
        f"error: the command line needs {library}. Install it with: pip install 'spikelet[cli]'\n"
    )


def test_help_needs_nothing_but_typer_and_rich() -> None:
    loaded = {
        name
        for file in ("__init__.py", "app.py", "options.py", "printing.py")
        for node in ast.parse((CLI / file).read_text()).body
        for name in _imported(node)
    }
    ours = {"spikelet.cli.options", "spikelet.cli.printing"}
    assert {name.split(".")[0] for name in loaded - ours} - sys.stdlib_module_names == {"typer", "rich"}


def _imported(node: ast.stmt) -> list[str]:
    if isinstance(node, ast.ImportFrom):
        return [node.module or ""]
    return [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
