"""How the commands speak: text and tables on standard output, errors on standard error, colours on a terminal only.

Whatever is said is fit to print (base/text.py), and has only characters that the output's encoding holds.
"""

from __future__ import annotations

import errno
import shutil
import sys
from collections.abc import Sequence
from typing import TextIO

import click

from spikelet.base.page import Facts, Heading, Page
from spikelet.base.table import Table
from spikelet.base.table import facts as facts_of
from spikelet.base.text import fit_to_print, one_line
from spikelet.base.words import duration as duration
from spikelet.base.words import percent as percent
from spikelet.cli.quiet import has_warnings, is_quiet

WIDTH_OF_A_FILE = 160  # columns where the output is no terminal
WIDTH_OF_A_TERMINAL = 80  # where it does not say
PLAIN = str.maketrans({"─": "-", "━": "#", "·": "|", "→": ">"})  # for encodings without the characters we draw with


def width() -> int:
    """The columns that fit on a line of the standard output."""
    if sys.stdout.isatty():
        return shutil.get_terminal_size((WIDTH_OF_A_TERMINAL, 24)).columns
    return WIDTH_OF_A_FILE


def print_error(text: str) -> None:
    """One red line on standard error."""
    _print(f"error: {one_line(text)}", sys.stderr, fg="red")


def warn(text: str) -> None:
    """One yellow line on standard error: something was not done, and the work goes on."""
    _print(f"warning: {one_line(text)}", sys.stderr, fg="yellow")


def say(text: str, **style: object) -> None:
    """A line of text, never wrapped; `style` is click's: bold=True, fg="yellow" ..."""
    _print(fit_to_print(text), sys.stdout, **style)


def lines(text: str) -> None:
    """Lines for programs, as they are: whoever made them left out what a terminal would obey."""
    _print(text.removesuffix("\n"), sys.stdout)


def note(text: str, **style: object) -> None:
    """A line beside a result: left out where the command keeps to results."""
    if not is_quiet():
        say(text, **style)


def hint(text: str) -> None:
    """One yellow line on standard error about something that may surprise; left out with --quiet."""
    if has_warnings():
        warn(text)


def heading(text: str) -> None:
    """A bold line, which says what the table below shows."""
    say(text, bold=True)


def show(table: Table) -> None:
    """A table as wide as the output allows, and an empty line."""
    _print(f"{table.text(width())}\n", sys.stdout)


def show_page(page: Page) -> None:
    """A page, its headings bold; a table too wide goes on below."""
    for part in page.parts:
        match part:
            case Table():
                for one in part.laid_out(width()):
                    show(one)
            case Facts():
                facts(part.rows)
            case Heading():
                heading(part.text)
            case _:
                say(part)


def facts(rows: Sequence[tuple[str, str]]) -> None:
    """Names and values without titles, and an empty line."""
    _print(f"{facts_of(rows, width())}\n", sys.stdout)


def _print(text: str, stream: TextIO, **style: object) -> None:
    try:
        click.secho(in_encoding(text, stream.encoding or "ascii"), file=stream, **style)  # type: ignore[arg-type]
    except OSError as error:
        if error.errno in (None, errno.EPIPE):
            raise
        raise OSError(f"the output cannot be written: {error.strerror}.") from error


def in_encoding(text: str, encoding: str) -> str:
    """`text` in characters of `encoding`: what we draw with becomes plain, anything else is escaped."""
    try:
        text.encode(encoding)
    except UnicodeEncodeError:
        return text.translate(PLAIN).encode(encoding, "backslashreplace").decode(encoding)
    return text
