"""Rows of text under column titles, as data; how they look is decided once, here.

layer      bits  bytes
──────────────────────
conv1         8    432
fc            1  1,280
──────────────────────
total            1,712
"""

from __future__ import annotations

import dataclasses
import textwrap
from collections.abc import Iterator, Sequence

from spikelet.base.text import fit_to_print, shortened

GAP = 2  # spaces between two columns
RULE = "─"
NARROWEST = 24  # columns of the last column, before a table may be wider than asked for
CELL, NAME, VALUE = 400, 60, 2000  # characters of a cell, of a name, and of the value beside it

Row = tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Table:
    """Column titles, rows, and closing rows below a line.

    prose: positions of the columns that are set to the left, as words are; the others are set to the right, as
        numbers are. The last column, if it is one of them, wraps where the table gets too wide.

    Words from files are kept fit to print: escaped and shortened (base/text.py).
    """

    columns: Row
    rows: tuple[Row, ...]
    footer: tuple[Row, ...] = ()
    prose: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        object.__setattr__(self, "columns", _fit(self.columns))
        object.__setattr__(self, "rows", tuple(map(_fit, self.rows)))
        object.__setattr__(self, "footer", tuple(map(_fit, self.footer)))

    def text(self, width: int = 160) -> str:
        """The table, at most `width` characters wide where titles and the last column can give way."""
        widths = self.widths()
        if sum(widths) + GAP * (len(widths) - 1) > width:
            widths = self._narrowed(width)
        rule = RULE * (sum(widths) + GAP * (len(widths) - 1))
        lines = [*self._lines(self.columns, widths), rule]
        for row in self.rows:
            lines += self._lines(row, widths)
        if self.footer:
            lines.append(rule)
        for row in self.footer:
            lines += self._lines(row, widths)
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.text()

    def widths(self, *, wrapped_titles: bool = False) -> list[int]:
        """The characters that each column takes, with its title on one line or a word a line."""
        titles = [max(map(len, title.split()), default=0) if wrapped_titles else len(title) for title in self.columns]
        cells = zip(*self.rows, *self.footer, strict=True) if self.rows or self.footer else ((),) * len(titles)
        return [max(title, *map(len, column), 0) for title, column in zip(titles, cells, strict=True)]

    def folded(self, most: int) -> Table:
        """The table with at most `most` rows: in the place of the middle ones stands how many they are."""
        if len(self.rows) <= most:
            return self
        first, last = 2 * most // 3, most - 2 * most // 3 - 1
        between = (f"... {len(self.rows) - first - last:,} more", *("" for _ in self.columns[1:]))
        rows = (*self.rows[:first], between, *self.rows[len(self.rows) - last :])
        return dataclasses.replace(self, rows=rows)

    def only(self, titles: Sequence[str]) -> Table:
        """The columns of these titles, as they stand in this table."""
        return self._of([i for i, title in enumerate(self.columns) if title in titles])

    def with_names_of(self, most: int) -> Table:
        """The table with the first column's words shortened to `most` characters."""
        names = [(shortened(row[0], most), *row[1:]) for row in (*self.rows, *self.footer)]
        count = len(self.rows)
        return dataclasses.replace(self, rows=tuple(names[:count]), footer=tuple(names[count:]))

    def laid_out(self, width: int) -> Iterator[Table]:
        """The tables that show this one in `width` columns: itself where its last column wraps, else parts of it."""
        return iter((self,)) if self._wraps(len(self.columns) - 1) else self.split(width)

    def split(self, width: int) -> Iterator[Table]:
        """Tables of some of the columns, each with the first one, that fit into `width` with wrapped titles.

        A table gets its first column and one more even where they do not fit.
        """
        widths = self.widths(wrapped_titles=True)
        chosen, used = [0], widths[0]
        for column in range(1, len(widths)):
            if used + GAP + widths[column] > width and len(chosen) > 1:
                yield self._of(chosen)
                chosen, used = [0], widths[0]
            chosen.append(column)
            used += GAP + widths[column]
        yield self._of(chosen)

    def _of(self, chosen: Sequence[int]) -> Table:
        def pick(row: Row) -> Row:
            return tuple(row[c] for c in chosen)

        prose = tuple(i for i, c in enumerate(chosen) if c in self.prose)
        return Table(pick(self.columns), tuple(map(pick, self.rows)), tuple(map(pick, self.footer)), prose)

    def _narrowed(self, width: int) -> list[int]:
        widths = self.widths(wrapped_titles=True)
        if self._wraps(len(widths) - 1):
            room = width - sum(widths[:-1]) - GAP * (len(widths) - 1)
            widths[-1] = min(widths[-1], max(room, NARROWEST))
        return widths

    def _wraps(self, column: int) -> bool:
        return column == len(self.columns) - 1 and column in self.prose and column > 0

    def _lines(self, row: Row, widths: Sequence[int]) -> Iterator[str]:
        """One row, on as many lines as its tallest cell; a wrapped title stands just above its column."""
        cells = [textwrap.wrap(cell, max(w, 1)) or [""] for cell, w in zip(row, widths, strict=True)]
        height = max(map(len, cells))
        for i, cell in enumerate(cells):
            missing = [""] * (height - len(cell))
            cells[i] = [*missing, *cell] if row is self.columns else [*cell, *missing]
        sides = [str.ljust if i in self.prose else str.rjust for i in range(len(row))]
        for line in zip(*cells, strict=True):
            yield (" " * GAP).join(side(t, w) for side, t, w in zip(sides, line, widths, strict=True)).rstrip()


def _fit(row: Row) -> Row:
    return tuple(fit_to_print(cell, CELL) for cell in row)


def facts(rows: Sequence[tuple[str, str]], width: int = 160) -> str:
    """Names and values without titles, fit to print; a long value goes on below itself."""
    rows = [(fit_to_print(name, NAME), fit_to_print(value, VALUE)) for name, value in rows]
    left = max((len(name) for name, _ in rows), default=0) + GAP
    lines: list[str] = []
    for name, value in rows:
        first, *rest = textwrap.wrap(value, max(width - left, NARROWEST), break_on_hyphens=False) or [""]
        lines += [f"{name.ljust(left)}{first}".rstrip(), *(" " * left + line for line in rest)]
    return "\n".join(lines)
