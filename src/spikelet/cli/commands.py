"""The kinds of click command that `spikelet` is made of: the group, a command, and one that computes in PyTorch.

an exception        one line on standard error, exit code 2; with --debug its traceback before it
Ctrl-C              one line, exit code 130
a closed pipe       nothing, as for any filter
a warning           one line on standard error; with --quiet nothing
"""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from spikelet.base.optional import need
from spikelet.base.text import one_line, printable
from spikelet.cli.errors import sentence_of
from spikelet.cli.printing import hint, print_error
from spikelet.cli.quiet import quiet_option
from spikelet.cli.stopped import EXIT_STOPPED

EXIT_ERROR = 2
OWN = (click.exceptions.Exit, click.Abort, click.ClickException, BrokenPipeError)  # click's own business


class Command(click.Command):
    """A command, which takes --quiet and --debug after its name as well as before."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params.append(quiet_option())
        self.params.append(
            click.Option(
                ["--debug"], is_flag=True, hidden=True, expose_value=False, callback=_debug, envvar="SPIKELET_DEBUG"
            )
        )


def _debug(ctx: click.Context, _: click.Parameter, is_on: bool) -> None:
    ctx.find_root().params["debug"] = is_on or ctx.find_root().params.get("debug", False)


class Commands(click.Group):
    """The group of commands. Whatever a command raises becomes one line and an exit code."""

    command_class = Command

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.params.append(quiet_option())

    def main(self, *arguments: Any, **settings: Any) -> Any:
        """Runs the command line, on streams that escape what their encoding lacks; one that was closed before this
        process began leads nowhere."""
        for name in ("stdout", "stderr"):
            if getattr(sys, name) is None:
                setattr(sys, name, Path(os.devnull).open("w", encoding="utf-8"))  # noqa: SIM115 (it stays open)
            stream = getattr(sys, name)
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        return super().main(*arguments, **settings)

    def make_context(self, *arguments: Any, **settings: Any) -> click.Context:
        """Reads the group's own options."""
        with _words_of_click():
            return super().make_context(*arguments, **settings)

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command. Exits with code 2 after an exception, and with 130 after Ctrl-C."""
        with warnings.catch_warnings(), _words_of_click():
            warnings.showwarning = _warned
            try:
                return super().invoke(ctx)
            except OWN:
                raise
            except KeyboardInterrupt as stop:
                _tell(ctx, stop, " ".join(("stopped.", *map(str, stop.args))))
                ctx.exit(EXIT_STOPPED)
            except Exception as error:
                _tell(ctx, error, sentence_of(error))
                ctx.exit(EXIT_ERROR)


def _tell(ctx: click.Context, error: BaseException, text: str) -> None:
    if ctx.params.get("debug"):
        lines = "".join(traceback.format_exception(error)).splitlines()
        click.echo("\n".join(map(printable, lines)), err=True)
    print_error(text)


def _warned(message: Warning | str, *where: Any, **more: Any) -> None:
    """Stands for `warnings.showwarning`."""
    hint(str(message))


@contextlib.contextmanager
def _words_of_click() -> Iterator[None]:
    """Errors of click about what was typed, fit to print."""
    try:
        yield
    except click.MissingParameter as error:
        raise click.UsageError(one_line(f"{error.format_message()}{_example(error.ctx)}"), error.ctx) from error
    except click.ClickException as error:
        error.message = one_line(error.message)  # type: ignore[misc]
        raise


def _example(ctx: click.Context | None) -> str:
    """The first example of a command's help."""
    _, _, lines = ((ctx.command.help if ctx else None) or "").partition("Example:")
    found = next((line.strip() for line in lines.splitlines() if line.strip()), "")
    return f" As in: {found}" if found else ""


class TorchCommand(Command):
    """A command that computes in PyTorch: its help says so, and without PyTorch it says how to install it."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        needs = "Needs PyTorch: pip install 'spikelet[train]'"
        super().__init__(*arguments, **{"epilog": needs, **settings})

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. Raises MissingLibrary where PyTorch is not installed."""
        need("torch", package="PyTorch", extra="train", what=f"spikelet {self.name}")
        return super().invoke(ctx)
