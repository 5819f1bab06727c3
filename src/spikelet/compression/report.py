"""What compression changed, layer by layer, as a table for people and as values for programs."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from spikelet.base.page import Displayed, Page
from spikelet.base.table import Table
from spikelet.compression.layer_costs import Figures
from spikelet.compression.passes.base import Row
from spikelet.profiling.table import NOTHING

ARROW = " → "


@dataclasses.dataclass(frozen=True, repr=False)
class Report(Displayed):
    """What `compress` changed. `print(report)` shows it layer by layer.

    rows: what each pass said, in order.
    before, after: the figures of every layer by name.
    accuracies: top-1 accuracy in 0..1 before the first pass and after each; None where it was not measured.
    """

    rows: tuple[Row, ...]
    before: Mapping[str, Figures]
    after: Mapping[str, Figures]
    accuracies: tuple[float | None, ...] = ()

    @property
    def size(self) -> tuple[int, int]:
        """Bytes of all layers, before and after."""
        return _total(self.before, lambda f: f.size), _total(self.after, lambda f: f.size)

    @property
    def sops(self) -> tuple[float, float]:
        """Accumulates per sample by the papers' rule, before and after; 0 where nothing was run."""
        return _total(self.before, lambda f: f.sops), _total(self.after, lambda f: f.sops)

    def table(self) -> Table:
        """A row a layer: its channels, bits, bytes and operations, "64 → 32" where they changed."""
        names = list(dict.fromkeys([*self.before, *self.after]))
        footer = ("total", "", "", _change(*self.size), _change(*self.sops))
        columns = ("layer", "channels", "bits", "packed [B]", "SOPs")
        return Table(columns, tuple(self._row(name) for name in names), (footer,))

    def _row(self, name: str) -> tuple[str, ...]:
        pair = [figures.get(name) for figures in (self.before, self.after)]
        fields: list[Callable[[Figures], float | None]] = [
            lambda f: f.channels,
            lambda f: f.bits,
            lambda f: f.size,
            lambda f: f.sops,
        ]
        return (name, *(_change(*(None if f is None else field(f) for f in pair)) for field in fields))

    @property
    def notes(self) -> list[str]:
        """What the passes said beside the figures of the table."""
        return [str(row) for row in self.rows if row.what not in ("channels", "weight bits", "membrane bits")]

    def page(self) -> Page:
        """The table, and below it what the passes said."""
        return Page((self.table(), *self.notes))

    def in_short(self) -> str:
        """Layers, and their bytes before and after."""
        before, after = self.size
        return f"{len(self.after)} layers, {before:,}{ARROW}{after:,} bytes"


def _total(figures: Mapping[str, Figures], field: Callable[[Figures], Any]) -> Any:
    return sum(field(f) or 0 for f in figures.values())


def _change(before: float | None, after: float | None) -> str:
    first, second = (NOTHING if value is None else f"{value:,.0f}" for value in (before, after))
    return first if first == second else f"{first}{ARROW}{second}"
