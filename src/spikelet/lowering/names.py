"""Names of nodes, each given once."""

from __future__ import annotations


class Names:
    """The names that are taken."""

    def __init__(self) -> None:
        self.taken: set[str] = set()

    def next(self, wanted: str) -> str:
        """`wanted`, or `wanted#2` and so on where it is taken: the second, third ... use of a module."""
        name, n = wanted, 1
        while name in self.taken:
            n += 1
            name = f"{wanted}#{n}"
        self.taken.add(name)
        return name
