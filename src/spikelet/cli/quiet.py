"""Whether the command that runs keeps to its results: asked by --quiet, or by --json, whose results are for programs.

Kept with the command, before its name as after it. Nothing here imports more than click, so that help stays quick.
"""

from __future__ import annotations

import click


def is_quiet() -> bool:
    """Whether nothing is to be said but results and errors."""
    ctx = click.get_current_context(silent=True)
    return bool(ctx and ctx.meta.get(__name__))


def keep_quiet(ctx: click.Context, _: click.Parameter, is_on: bool) -> bool:
    """What an option's callback does; returns `is_on`."""
    if is_on:
        ctx.meta[__name__] = True
    return is_on


def quiet_option() -> click.Option:
    """-q, --quiet."""
    return click.Option(
        ["-q", "--quiet"], is_flag=True, expose_value=False, callback=keep_quiet, help="Say results and errors alone."
    )
