"""How the commands speak: text and tables on standard output, errors on standard error, colours on a terminal only."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Sequence

import click

from spikelet.base.table import Table
from spikelet.base.table import facts as facts_of

WIDTH_OF_A_FILE = 160  # columns where the output is no terminal
WIDTH_OF_A_TERMINAL = 80  # where it does not say


def width() -> int:
    """The columns that fit on a line of the standard output."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size((WIDTH_OF_A_TERMINAL, 24)).columns
    return WIDTH_OF_A_FILE


def print_error(error: BaseException) -> None:
    """One red line on standard error."""
    click.secho(f"error: {error}", fg="red", err=True)


def say(text: str, **style: object) -> None:
    """A line of text, never wrapped; `style` is click's: bold=True, fg="yellow" ..."""
    click.secho(text, **style)  # type: ignore[arg-type]


def heading(text: str) -> None:
    """A bold line, which says what the table below shows."""
    say(text, bold=True)


def show(table: Table) -> None:
    """A table as wide as the output allows, and an empty line."""
    say(f"{table.text(width())}\n")


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Names and values without titles, and an empty line."""
    say(f"{facts_of(rows, width())}\n")


def percent(share: float) -> str:
    """A share in percent: 0.9861 as '98.61 %'."""
    return f"{100 * share:.2f} %"


def duration(seconds: float) -> str:
    """A time in words: '8 s', '3 min 05 s' or '2 h 07 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
