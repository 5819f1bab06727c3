"""How the commands speak: one console for text and tables, one for errors. Numbers in one form everywhere."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

WIDTH_OF_A_FILE = 160  # columns where the output is no terminal


def console() -> Console:
    """The standard output as it is now: colours and bars only on a terminal."""
    made = Console(highlight=False)
    return made if made.is_terminal else Console(highlight=False, width=WIDTH_OF_A_FILE)


def print_error(error: BaseException) -> None:
    """The one red line, on standard error."""
    text = Text(f"error: {error}", style="red")
    Console(stderr=True, highlight=False).print(text, soft_wrap=True)


def say(text: str, style: str = "") -> None:
    """A line of text, never wrapped and never read as markup."""
    console().print(Text(text, style=style), soft_wrap=True)


def heading(text: str) -> None:
    """What the table below it shows."""
    say(text, "bold")


def table(columns: Sequence[str], rows: Iterable[Sequence[str]], footer: Iterable[Sequence[str]] = ()) -> Table:
    """A table: text to the left in the first column, the others to the right; `footer` rows stand below a line."""
    made = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for i, column in enumerate(columns):
        made.add_column(column, justify="right" if i else "left", overflow="fold", no_wrap=not i)
    for row in rows:
        made.add_row(*map(Text, row))
    closing = [tuple(row) for row in footer]
    if closing:
        made.add_section()
    for row in closing:
        made.add_row(*(Text(cell, style="bold") for cell in row))
    return made


def facts(rows: Iterable[tuple[str, str]]) -> Table:
    """A table of names and values, without a heading row."""
    made = Table(box=None, show_header=False, pad_edge=False)
    made.add_column()
    made.add_column(overflow="fold")
    for name, value in rows:
        made.add_row(Text(name, style="dim"), Text(value))
    return made


def percent(share: float) -> str:
    """0.9861 as '98.61 %'."""
    return f"{100 * share:.2f} %"


def duration(seconds: float) -> str:
    """'8 s', '3 min 05 s' or '2 h 07 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
