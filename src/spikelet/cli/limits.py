"""The limits on a packed file that the command line says: kept with the command that runs, and asked for by opening.py.

Nothing here imports the graph, so that help stays quick.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

WORDS = {
    "max_operations": "Limit of the file's operations a sample. Default: that of spikelet.load.",
    "max_bytes": "Limit of the memory that loading the file takes. Default: that of spikelet.load.",
}
F = TypeVar("F", bound=Callable[..., Any])


def limits(command: F) -> F:
    """`command` with an option for each limit of the packed files that it opens."""
    for name, words in WORDS.items():
        option = f"--{name.replace('_', '-')}"
        command = click.option(
            option, type=click.IntRange(1), metavar="N", expose_value=False, callback=_keep, help=words
        )(command)
    return command


def said() -> dict[str, int]:
    """The limits that were said to the command that runs, by their names in `spikelet.load`."""
    ctx = click.get_current_context(silent=True)
    return dict(ctx.meta.get(__name__, {})) if ctx else {}


def _keep(ctx: click.Context, option: click.Parameter, value: int | None) -> None:
    if value is not None:
        ctx.meta.setdefault(__name__, {})[option.name] = value
