"""In which unit each tensor of a converted network is: real value = unit * value in the twin.

    theta counts          behind an activation: the twin's neuron gives counts, the unit is its threshold
    one unit for many     tensors that are only moved, added and averaged share one, up to a known ratio
    free                  what weights or a norm give, until an addition or the network's output asks for a unit

A union-find whose members know their ratio to the root.
"""

from __future__ import annotations

import math

CLOSE = 1e-9  # relative; products of the same thresholds in another order differ by less


class Units:
    """The units of tensors, which are known by numbers."""

    def __init__(self) -> None:
        self._parent: dict[int, int] = {}
        self._ratio: dict[int, float] = {}  # unit of a member over that of its parent
        self._fixed: dict[int, float] = {}  # by root
        self._source: dict[int, int] = {}  # by root, what fixed it

    def add(self, number: int, unit: float | None = None) -> None:
        """A tensor of this unit; None: a free one."""
        self._parent[number], self._ratio[number] = number, 1.0
        if unit is not None:
            self._fixed[number], self._source[number] = unit, number

    def source(self, number: int) -> int | None:
        """The tensor that was first given the unit which `number` has; None where it is free."""
        return self._source.get(self._root(number)[0])

    def unit(self, number: int) -> float | None:
        """The unit; None while it is free."""
        root, ratio = self._root(number)
        return self._fixed[root] * ratio if root in self._fixed else None

    def fix(self, number: int, unit: float) -> bool:
        """Gives a free tensor this unit; whether it has it now."""
        root, ratio = self._root(number)
        if root not in self._fixed:
            self._fixed[root], self._source[root] = unit / ratio, number
        return math.isclose(self._fixed[root] * ratio, unit, rel_tol=CLOSE)

    def join(self, number: int, other: int, ratio: float = 1.0) -> bool:
        """Says that the unit of `number` is `ratio` times that of `other`; whether it can be."""
        (a, of_a), (b, of_b) = self._root(number), self._root(other)
        if a == b:
            return math.isclose(of_a, ratio * of_b, rel_tol=CLOSE)
        if a in self._fixed and b in self._fixed:
            return math.isclose(self._fixed[a] * of_a, ratio * self._fixed[b] * of_b, rel_tol=CLOSE)
        child, parent, by = (a, b, ratio * of_b / of_a) if a not in self._fixed else (b, a, of_a / (ratio * of_b))
        self._parent[child], self._ratio[child] = parent, by
        return True

    def _root(self, number: int) -> tuple[int, float]:
        ratio = 1.0
        while self._parent[number] != number:
            ratio *= self._ratio[number]
            number = self._parent[number]
        return number, ratio
