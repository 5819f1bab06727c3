"""`--show-completion` and `--install-completion`: words that the Tab key completes in bash, zsh and fish.

The shell asks click, which asks the options (options.py) and offered.py; nothing of it loads PyTorch. A file that the
shell looks for by itself is written; a file of the user's, such as .bashrc, is never changed.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import ShellComplete, get_completion_class

from spikelet.cli.printing import say

SHELLS = ("bash", "zsh", "fish")
HERE = "this shell"  # what stands for the one of the environment
PROGRAM, VARIABLE = "spikelet", "_SPIKELET_COMPLETE"
F = TypeVar("F", bound=Callable[..., Any])


def completion_options(command: F) -> F:
    """The group `command` with both options."""
    words = {
        "--show-completion": (_show, "Print the script that completes words in SHELL: bash, zsh or fish."),
        "--install-completion": (_install, "Put that script where SHELL finds it. Default: the shell in use."),
    }
    for name, (callback, text) in words.items():
        option = click.option(
            name, metavar="[SHELL]", is_flag=False, flag_value=HERE, expose_value=False, is_eager=True,
            callback=callback, help=text,
        )  # fmt: skip
        command = option(command)
    return command


def script_for(shell: str, command: click.Command) -> str:
    """The script that makes `shell` complete words of `command`.

    Raises:
        UsageError: another shell.
    """
    kind = get_completion_class(shell) if shell in SHELLS else None
    if kind is None:
        raise click.UsageError(f"words are completed in {', '.join(SHELLS)}, got {shell!r}. Name one of these shells.")
    return ShellComplete.source(kind(command, {}, PROGRAM, VARIABLE))


def place_for(shell: str) -> tuple[Path, str]:
    """The file that `shell` looks for, and what is to be said of it."""
    home = Path.home()
    shared = Path(os.environ.get("XDG_DATA_HOME") or home / ".local" / "share")
    settings = Path(os.environ.get("XDG_CONFIG_HOME") or home / ".config")
    if shell == "bash":
        file = shared / "bash-completion" / "completions" / PROGRAM
        return file, f"New shells read it where the package bash-completion is; elsewhere add to ~/.bashrc: . '{file}'"
    if shell == "zsh":
        file = home / ".zfunc" / f"_{PROGRAM}"
        return file, "Add to ~/.zshrc, unless it is there: fpath+=(~/.zfunc); autoload -Uz compinit; compinit"
    return settings / "fish" / "completions" / f"{PROGRAM}.fish", "New shells read it."


def _show(ctx: click.Context, _: click.Parameter, shell: str | None) -> None:
    if shell is not None and not ctx.resilient_parsing:
        click.echo(script_for(_shell(shell), ctx.command))
        ctx.exit()


def _install(ctx: click.Context, _: click.Parameter, shell: str | None) -> None:
    if shell is not None and not ctx.resilient_parsing:
        script = script_for(_shell(shell), ctx.command)
        file, remark = place_for(_shell(shell))
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(script, encoding="utf-8")
        except OSError as error:
            raise click.UsageError(f"{file} was not written ({error.strerror or error}).") from error
        say(f"wrote {file}")
        say(remark)
        ctx.exit()


def _shell(name: str) -> str:
    return Path(os.environ.get("SHELL", "")).name if name == HERE else name
