"""What a repair changed in a network, place by place."""

from __future__ import annotations

import dataclasses

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


@dataclasses.dataclass(frozen=True)
class Changes:
    """All changes of a repair, in the order in which they were made."""

    rows: tuple[Row, ...]

    def table(self) -> Table:
        """A row a change."""
        return Table(
            ("where", "was", "now"), tuple((row.where, row.was, row.now) for row in self.rows), prose=(0, 1, 2)
        )

    def __str__(self) -> str:
        return str(self.table()) if self.rows else "nothing to repair"
