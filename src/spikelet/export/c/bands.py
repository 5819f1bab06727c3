"""Stages that run side by side, row by row, so that few rows of a map between them have to be there at once.

A band is some stages in a row of the program. At tick r every one of them makes at most one row,

    row i of a stage at tick  every * i + behind

in the order of the stages, as soon as the rows that it looks at are there. A map that is made and read within the band,
and read a position or a row at a time, keeps its last 2^n rows only: row i lies where row i mod 2^n does.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence


@dataclasses.dataclass(frozen=True)
class Rows:
    """The rows of a map at which row i of a result looks: from step * i + first to step * i + last.

    by_place: whether a position or a row is read at a time, so that its last rows serve; else by a kernel that knows
        where the whole map's rows lie.
    """

    step: int = 1
    first: int = 0
    last: int = 0
    by_place: bool = True

    def window(self, kernel: int, stride: int = 1, padding: int = 0, dilation: int = 1) -> Rows:
        """What is looked at where each of these rows is a window's."""
        first, last = (row * stride - padding for row in (self.first, self.last))
        return Rows(self.step * stride, first, last + (kernel - 1) * dilation, self.by_place)

    def by_kernel(self) -> Rows:
        """The same rows, read by a kernel."""
        return dataclasses.replace(self, by_place=False)


SAME = Rows()  # as a position of the result itself
Looks = Mapping[str, Sequence[Rows | None]]  # by map: the rows that a stage looks at, None for all of them


@dataclasses.dataclass(frozen=True)
class Pace:
    """When a stage makes its rows: row i of `height` at tick every * i + behind."""

    every: int
    behind: int
    height: int

    @property
    def ticks(self) -> int:
        """Ticks until the last row is made."""
        return self.every * (self.height - 1) + self.behind + 1

    @property
    def turn(self) -> tuple[str, str]:
        """Whether tick r makes a row, and which, in C."""
        since = f"r - {self.behind}" if self.behind else "r"
        if self.every == 1:
            return f"{since} < {self.height}", since
        since = f"({since})" if self.behind else since
        on_time = f"{since} % {self.every} == 0"
        return f"{since} < {self.every * self.height} && {on_time}", f"{since} / {self.every}"


@dataclasses.dataclass(frozen=True)
class Band:
    """Stages with their paces, in order, and the rows that are kept of maps between them."""

    first: int
    last: int
    paces: Mapping[str, Pace]
    kept: Mapping[str, int]

    @property
    def ticks(self) -> int:
        """Ticks until all rows are made."""
        return max(pace.ticks for pace in self.paces.values())


class Bands:
    """The bands that a program of `stages` can have.

    Args:
        stages: what is made, in order.
        looks: of each stage.
        heights: rows of each stage's map.
        apart: stages that run in no band.
        whole: maps that something else needs too, all rows of them.
    """

    def __init__(
        self,
        stages: Sequence[str],
        looks: Mapping[str, Looks],
        heights: Mapping[str, int],
        apart: Collection[str],
        whole: Collection[str],
    ) -> None:
        self._stages, self._looks, self._heights, self._apart, self._whole = stages, looks, heights, apart, whole
        self._readers: dict[str, list[int]] = {name: [] for name in stages}
        for i, name in enumerate(stages):
            for source in looks[name]:
                if source in self._readers:
                    self._readers[source].append(i)

    def best(self, size: Callable[[Sequence[Band]], int], largest: Sequence[str]) -> list[Band]:
        """Bands that make the program smaller, found by trying one for each map of `largest` in turn, as long as one
        more makes it no larger, and without those that are in vain at the end; size: of the program with such bands.
        """
        bands, last = list[Band](), None
        smallest = before = size(bands)
        while bands != last:
            last = bands
            for name in largest:
                tried = self._with(bands, name)
                if tried is not None and (tried_size := size(tried)) <= smallest:
                    bands, smallest = tried, tried_size
        for band in bands:
            fewer = [other for other in bands if other is not band]
            if size(fewer) <= smallest:
                bands = fewer
        return bands if smallest < before else []

    def _with(self, bands: Sequence[Band], name: str) -> list[Band] | None:
        """`bands` and one from where `name` is made to where it was read last, joined with those that it meets; None
        where nothing reads it, or fewer rows are not enough."""
        if not self._readers[name]:
            return None
        first, last = self._stages.index(name), max(self._readers[name])
        met = [band for band in bands if band.first <= last and first <= band.last]
        band = self._band(min([first, *(b.first for b in met)]), max([last, *(b.last for b in met)]))
        if band is None or name not in band.kept:
            return None
        return sorted([band, *(b for b in bands if b not in met)], key=lambda b: b.first)

    def _band(self, first: int, last: int) -> Band | None:
        paces: dict[str, Pace] = {}
        for name in self._stages[first : last + 1]:
            pace = None if name in self._apart else self._pace(name, paces)
            if pace is None:
                return None
            paces[name] = pace
        kept = {name: rows for name in paces if (rows := self._rows_kept(name, paces)) < self._heights[name]}
        return Band(first, last, paces, kept)

    def _pace(self, name: str, before: Mapping[str, Pace]) -> Pace | None:
        """As early as what the stage looks at allows; None where it looks at whole maps of the band, or at maps whose
        rows come at other paces."""
        every, behind = set[int](), 0
        for source, looks in self._looks[name].items():
            for rows in looks if source in before else ():
                if rows is None:
                    return None
                every.add(before[source].every * rows.step)
                behind = max(behind, before[source].every * rows.last + before[source].behind)
        one = every.pop() if every else 1
        return None if every or one & (one - 1) else Pace(one, behind, self._heights[name])

    def _rows_kept(self, name: str, paces: Mapping[str, Pace]) -> int:
        """The smallest power of two of rows that holds all that are still looked at; all where one has to stay."""
        whole, made, rows = self._heights[name], paces[name], 1
        if name in self._whole or not self._readers[name]:
            return whole
        for look, reader in self._read(name):
            if look is None or not look.by_place or reader not in paces:
                return whole
            rows = max(rows, (paces[reader].behind - made.behind) // made.every - look.first + 1)
        return 1 << (rows - 1).bit_length()

    def _read(self, name: str) -> Iterator[tuple[Rows | None, str]]:
        """Every look at a map, and the stage that looks."""
        for i in self._readers[name]:
            for look in self._looks[self._stages[i]][name]:
                yield look, self._stages[i]
