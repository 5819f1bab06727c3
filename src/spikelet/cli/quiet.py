"""Whether the command that runs keeps to its results.

    --quiet    results and errors alone
    --json     results are for programs, and standard output holds nothing else; warnings stay on standard error

Kept with the command, before its name as after it. Nothing here imports more than click, so that help stays quick.
"""

from __future__ import annotations

import click

QUIET, FOR_PROGRAMS = "quiet", "for programs"


def is_quiet() -> bool:
    """Whether no notes and no progress are to be shown beside results."""
    return _asked() is not None


def has_warnings() -> bool:
    """Whether warnings are to be shown."""
    return _asked() != QUIET


def _asked() -> str | None:
    ctx = click.get_current_context(silent=True)
    return ctx.meta.get(__name__) if ctx else None


def keep_quiet(ctx: click.Context, _: click.Parameter, is_on: bool) -> bool:
    """What --quiet calls; returns `is_on`."""
    if is_on:
        ctx.meta[__name__] = QUIET
    return is_on


def answer_programs(ctx: click.Context, _: click.Parameter, is_on: bool) -> bool:
    """What --json calls; returns `is_on`."""
    if is_on:
        ctx.meta.setdefault(__name__, FOR_PROGRAMS)
    return is_on


def quiet_option() -> click.Option:
    """-q, --quiet."""
    return click.Option(
        ["-q", "--quiet"], is_flag=True, expose_value=False, callback=keep_quiet, help="Say results and errors alone."
    )
