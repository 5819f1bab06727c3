"""The two kinds of click command that `spikelet` is made of: the group, and a command that computes in PyTorch."""

from __future__ import annotations

from typing import Any

import click

from spikelet.base.optional import need
from spikelet.cli.printing import print_error

EXPECTED = (ValueError, OSError, ImportError, FloatingPointError)
EXIT_ERROR = 2


class Commands(click.Group):
    """The group of commands. An error that the library raises on purpose becomes one line and exit code 2."""

    def invoke(self, ctx: click.Context) -> Any:
        """Runs a command. Exits with code 2 after an expected error, unless --debug asks for its traceback."""
        try:
            return super().invoke(ctx)
        except EXPECTED as error:
            if ctx.params["debug"]:
                raise
            print_error(error)
            ctx.exit(EXIT_ERROR)


class TorchCommand(click.Command):
    """A command that computes in PyTorch: its help says so, and without PyTorch it says how to install it."""

    def __init__(self, *arguments: Any, **settings: Any) -> None:
        needs = "Needs PyTorch: pip install 'spikelet[train]'"
        super().__init__(*arguments, **{"epilog": needs, **settings})

    def invoke(self, ctx: click.Context) -> Any:
        """Runs the command. Raises MissingLibrary where PyTorch is not installed."""
        need("torch", package="PyTorch", extra="train", what=f"spikelet {self.name}")
        return super().invoke(ctx)
