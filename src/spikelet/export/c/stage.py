"""One stage: the loop that makes every position of one edge in memory, and the expression it works out at each."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from spikelet.export.c.bands import SAME, Rows
from spikelet.export.c.code import Code, said
from spikelet.export.c.constants import Constants
from spikelet.export.c.layout import Layout
from spikelet.export.c.maps import Element
from spikelet.graph import ir
from spikelet.graph.backend import BackendRules
from spikelet.graph.edge import padded
from spikelet.graph.ops.operation import Operation


@dataclasses.dataclass(frozen=True)
class Place:
    """A position in C: its row, its column, and its number; rows: which of its map row i of the stage looks at."""

    row: str
    column: str
    number: str
    rows: Rows = SAME


Rule = Callable[[Any, Any, str, Place], None]  # (stage, node, vector, place): leaves the values in the vector
HERE = Place("i", "j", "p")


@dataclasses.dataclass(frozen=True)
class State:
    """What a node of a stage remembers from step to step, one position at a time: a vector and its form."""

    node: Operation
    vector: str


class Memory(Protocol):
    """How a stage finds maps: that of a run over all steps, or of a single step (program.py)."""

    def pointer(self, name: str) -> str:
        """Where the map of `name` begins, at the step that runs."""
        ...

    def number(self, name: str, place: Place) -> str:
        """Where in the map of `name` a place lies, in positions."""
        ...

    def row(self, name: str, place: Place) -> str:
        """Which row of the map of `name` holds a place."""
        ...


class Stage:
    """The text of one function, while rules write it.

    looks: the edges in memory that it reads, and at which rows each time; None: at all. elsewhere: those that it
        reads at other positions than the one that it makes.
    vectors: how many vectors of `width` values it needs; room: words behind them, for kernels to work in.
    in_place: vectors that lie in a map already, and where.
    """

    def __init__(
        self, layout: Layout, constants: Constants, memory: Memory, rules: BackendRules[Rule], root: str
    ) -> None:
        self.layout, self.constants, self.memory, self.root = layout, constants, memory, root
        self._rules = rules
        self.code = Code()
        self.looks: dict[str, list[Rows | None]] = {}
        self.elsewhere: set[str] = set()
        self.states: list[State] = []
        self.held: dict[str, str] = {}  # edges that are the same at every step of the loop: their vectors
        self.in_place: dict[str, str] = {}
        self.vectors = self.width = self.room = 0
        self.loops = 0

    # What rules are written with.

    def vector(self, name: str) -> str:
        """A new vector that holds a position of `name`."""
        self.width = max(self.width, padded(self.layout.channels(name), 8))
        self.vectors += 1
        return f"v{self.vectors - 1}"

    def scratch(self, words: int, width: int) -> str:
        """Memory of `words` words for a kernel to work in, in a stage whose vectors hold `width` values."""
        self.width, self.room = max(self.width, width), max(self.room, words)
        return "s"

    def emit(self, name: str, vector: str, place: Place = HERE) -> None:
        """Writes what leaves the position's values of `name` in `vector`."""
        node = self.layout.nodes[name]
        if name in self.held:
            self.code(f"spk_copy({vector}, {self.held[name]}, {self.layout.channels(name)});")
        elif name != self.root and self.layout.lies(name):
            self.code(f"spk_load({vector}, {self._at(name, place)}, {self.form(name)}, {self.number(name, place)});")
        else:
            self.width = max(self.width, padded(self.layout.channels(name), 8))
            self._rules.of(node)(self, node, vector, place)

    def values(self, name: str, vector: str, place: Place = HERE) -> str:
        """Where the position's values of `name` can be read: in its map, where that holds int32, or in `vector`, which
        they are left in then. Nothing is to be written there."""
        form = self.layout.forms[name]
        if name not in self.held and name in self.layout.in_memory and form.element is Element.I32:
            return f"(const int32_t *)({self._at(name, place)}) + {self.number(name, place)} * {form.channels}"
        self.emit(name, vector, place)
        return vector

    def pointer(self, name: str, rows: Rows | None = None) -> str:
        """Where the map of `name` begins, at this step; rows: those that are looked at, all unless given."""
        self.elsewhere.add(name)
        return self._looked_at(name, rows)

    def _at(self, name: str, place: Place) -> str:
        """Where the map of `name` begins, of which no more than the values at that place are read."""
        return self._looked_at(name, place.rows) if place == HERE else self.pointer(name, place.rows)

    def _looked_at(self, name: str, rows: Rows | None) -> str:
        looks = self.looks.setdefault(name, [])
        if rows not in looks:
            looks.append(rows)
        return self.memory.pointer(name)

    def number(self, name: str, place: Place) -> str:
        """Where in the map of `name` a place lies, in positions."""
        return self.memory.number(name, place)

    def row(self, name: str, place: Place) -> str:
        """Which row of the map of `name` holds a place."""
        return self.memory.row(name, place)

    def form(self, name: str) -> str:
        """The form of `name`'s map, as an argument."""
        return f"&{self.constants.form(self.layout.forms[name])}"

    def state(self, node: Operation) -> str:
        """The vector in which `node` finds what it remembers."""
        known = [state.vector for state in self.states if state.node is node]
        if known:
            return known[0]
        self.states.append(State(node, self.vector(node.name)))
        return self.states[-1].vector

    def variable(self) -> int:
        """A number that names loop variables no other loop of the stage has."""
        self.loops += 1
        return self.loops

    def title(self) -> str:
        """The nodes that the stage works out, for a comment."""
        names: list[str] = []
        self._gather(self.root, names)
        return " -> ".join(f"{said(name)} ({self.layout.nodes[name].word})" for name in reversed(names))

    def _gather(self, name: str, names: list[str]) -> None:
        if name in names or (name != self.root and self.layout.lies(name)):
            return
        names.append(name)
        if not isinstance(self.layout.nodes[name], ir.Delay):
            for source in self.layout.nodes[name].inputs:
                self._gather(self.layout.source(source), names)
