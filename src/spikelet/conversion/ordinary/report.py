"""What a repair changed in a network, place by place."""

from __future__ import annotations

import dataclasses

from spikelet.base.page import Displayed, Page
from spikelet.base.table import Table


@dataclasses.dataclass(frozen=True)
class Row:
    """One change.

    where: the layer or call.
    was: what stood there, or what it did.
    now: what stands there now.
    """

    where: str
    was: str
    now: str


@dataclasses.dataclass(frozen=True, repr=False)
class Changes(Displayed):
    """All changes of a repair, in the order in which they were made."""

    rows: tuple[Row, ...]

    def table(self) -> Table:
        """A row a change."""
        return Table(
            ("where", "was", "now"), tuple((row.where, row.was, row.now) for row in self.rows), prose=(0, 1, 2)
        )

    def page(self) -> Page:
        """The table, or that there is none."""
        return Page((self.table() if self.rows else "nothing to repair",))

    def in_short(self) -> str:
        """How many there are."""
        return f"{len(self.rows)} changes"
