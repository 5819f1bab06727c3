"""What an object shows of itself: a page of headings, tables, facts and lines, as text and as HTML.

class Report(Displayed):
    def page(self):     return Page((Heading("a network"), self.table(), "and a line"))
    def in_short(self): return "a network, 3 layers"

print(report)       the page, 100 columns wide
repr(report)        Report(a network, 3 layers)
report              in a notebook: the page as HTML, every word of it escaped
"""

from __future__ import annotations

import abc
import dataclasses
import html
from collections.abc import Iterable, Iterator

from spikelet.base.table import Row, Table, facts
from spikelet.base.text import fit_to_print

WIDTH = 100  # columns of a page as text
ROWS = 48  # of a table that are shown; the middle ones of a longer one are counted
NAME = 40  # characters of a name in a table's first column
LEFT, RIGHT = ' style="text-align:left"', ' style="text-align:right"'


@dataclasses.dataclass(frozen=True)
class Heading:
    """A line that says what stands below it."""

    text: str


@dataclasses.dataclass(frozen=True)
class Facts:
    """Names and values, without titles."""

    rows: tuple[tuple[str, str], ...]


Part = Heading | Table | Facts | str


@dataclasses.dataclass(frozen=True)
class Page:
    """Headings, tables, facts and lines, in their order."""

    parts: tuple[Part, ...]

    def text(self, width: int = WIDTH) -> str:
        """The page in lines of at most `width` characters, where words allow it; a table too wide goes on below.

        An empty line stands before every heading but the first, and before facts.
        """
        lines: list[str] = []
        for part in self.parts:
            if lines and isinstance(part, Heading | Facts):
                lines.append("")
            lines += _text(part, width)
        return "\n".join(lines)

    def html(self) -> str:
        """The page for a notebook; every word is escaped."""
        return f"<div>{''.join(map(_html, self.parts))}</div>"


class Displayed(abc.ABC):
    """An object that shows itself as a page: printed as text, in notebooks as HTML, and in one line as its repr."""

    @abc.abstractmethod
    def page(self) -> Page:
        """What it shows."""

    @abc.abstractmethod
    def in_short(self) -> str:
        """What it is, in a few words, which stand in its repr."""

    def __str__(self) -> str:
        return self.page().text()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({fit_to_print(self.in_short())})"

    def _repr_html_(self) -> str:
        return self.page().html()


def _text(part: Part, width: int) -> Iterator[str]:
    match part:
        case Table():
            parts = part.folded(ROWS).with_names_of(NAME).laid_out(width)
            yield "\n\n".join(one.text(width) for one in parts)
        case Facts():
            yield facts(part.rows, width)
        case Heading():
            yield fit_to_print(part.text)
        case _:
            yield fit_to_print(part)


def _html(part: Part) -> str:
    match part:
        case Table():
            table = part.folded(ROWS)
            head = _row(table.columns, table.prose, "th")
            body = "".join(_row(row, table.prose) for row in (*table.rows, *table.footer))
            return f"<table><thead>{head}</thead><tbody>{body}</tbody></table>"
        case Facts():
            return f"<table><tbody>{''.join(_row(row, (0, 1)) for row in part.rows)}</tbody></table>"
        case Heading():
            return f"<p><b>{_escaped(part.text)}</b></p>"
        case _:
            return f"<p>{_escaped(part)}</p>"


def _row(cells: Row, prose: Iterable[int], tag: str = "td") -> str:
    sides = [LEFT if i in prose else RIGHT for i in range(len(cells))]
    return f"<tr>{''.join(f'<{tag}{side}>{_escaped(c)}</{tag}>' for side, c in zip(sides, cells, strict=True))}</tr>"


def _escaped(text: str) -> str:
    return html.escape(fit_to_print(text))
