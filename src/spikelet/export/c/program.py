"""A graph as functions of C, one a stage, and the places of its maps.

There are two kinds: over all steps of a still input (whole.py), and step by step (stepwise.py). A stage is written
twice: once to learn which maps it reads and how many vectors it needs, once with their places. Where it saves memory,
stages run row by row beside each other (bands.py).
"""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from spikelet.export.c.bands import Band, Bands
from spikelet.export.c.code import INDENT, Code
from spikelet.export.c.constants import Constants, elements
from spikelet.export.c.layout import Layout
from spikelet.export.c.maps import WORD
from spikelet.export.c.neurons import fires_words, lif_words
from spikelet.export.c.stage import HERE, Place, Rule, Stage
from spikelet.graph import ir
from spikelet.graph.backend import BackendRules
from spikelet.runtime.plan.arena import place
from spikelet.runtime.plan.operation import Buffer

END = 2**30  # a stage behind all others
ARGUMENTS = {"input": "const uint8_t *input", "t": "uint32_t t", "i": "uint32_t i"}


@dataclasses.dataclass(frozen=True)
class Function:
    """One stage as C, a row of one, or a band.

    arguments: what it takes beside the memory, names of ARGUMENTS.
    is_late: whether it runs once, behind all steps.
    """

    name: str
    text: str
    arguments: tuple[str, ...]
    is_late: bool

    @property
    def call(self) -> str:
        """The statement that runs it."""
        return self.of_row("i")

    def of_row(self, row: str) -> str:
        """The statement that makes a row."""
        return f"{self.name}({', '.join(('m', *(row if word == 'i' else word for word in self.arguments)))});"


class Program(abc.ABC):
    """The functions of a graph, and the memory that they share.

    words: 32-bit words of memory.
    functions: all, in an order in which none calls a later one; calls: those that run a step, in order.
    """

    kind: ClassVar[str]  # what its functions are called

    def __init__(self, layout: Layout, constants: Constants, rules: BackendRules[Rule]) -> None:
        self.layout, self.constants, self._rules = layout, constants, rules
        self._rows: Mapping[str, int] = {}
        self._maps = {name: Buffer(self._words(name), i, i) for i, name in enumerate(layout.in_memory)}
        self._vectors: dict[str, Buffer] = {}
        stages = {name: self._stage(name) for name in layout.in_memory}
        for i, (name, stage) in enumerate(stages.items()):
            self._vectors[name] = Buffer(stage.vectors * stage.width + stage.room, i, i)
            for source in stage.looks:
                if source in self._maps:
                    self._maps[source].last = max(self._maps[source].last, i)
            self.learn(stage)
        for name in layout.outputs:
            if name in self._maps:
                self._maps[name].last = END
        self._replaced = dict(self._pairs_in_place(stages))
        bands = self._bands(stages)
        self._maps, self._vectors = self._under(bands)
        self._rows = {name: rows for band in bands for name, rows in band.kept.items()}
        self.words = self._size(self._maps, self._vectors)
        self.functions, self.calls = self._written(bands)

    # What the two kinds differ in.

    @abc.abstractmethod
    def steps_of(self, name: str) -> int:
        """Steps that the map of an edge holds."""

    @abc.abstractmethod
    def learn(self, stage: Stage) -> None:
        """Takes note of a stage that was written for the first time."""

    @abc.abstractmethod
    def kept(self) -> Sequence[Buffer]:
        """Memory for what is neither a map nor a vector."""

    @abc.abstractmethod
    def loop(self, stage: Stage) -> None:
        """Writes what makes all steps of a position, and stores them."""

    # Memory.

    def _words(self, name: str, rows: int | None = None) -> int:
        """Words of a step of a map of which so many rows are kept, all unless given."""
        form = self.layout.forms[name]
        return form.words if rows is None else dataclasses.replace(form, height=rows).words

    def _size(self, maps: Mapping[str, Buffer], vectors: Mapping[str, Buffer]) -> int:
        """Words of memory, in which all gets its place: the largest first, or in the order of the program."""
        needed = [*maps.values(), *vectors.values(), *self.kept()]
        by_size = sorted(needed, key=lambda buffer: -buffer.size)
        return place(min((needed, by_size), key=lambda buffers: place(buffers, 0)), 0)

    def _under(self, bands: Sequence[Band]) -> tuple[dict[str, Buffer], dict[str, Buffer]]:
        """Maps and vectors of a program with these bands: what a stage of a band needs is there for all of it, and its
        stages share their vectors; and a map that is made in the place of another is there in it."""
        rows = {name: kept for band in bands for name, kept in band.kept.items()}
        maps, vectors = {}, {}
        for name, old in self._maps.items():
            size = self._words(name, rows.get(name)) * self.steps_of(name)
            first = next((b.first for b in bands if b.first <= old.first <= b.last), old.first)
            maps[name] = Buffer(size, first, next((b.last for b in bands if b.first <= old.last <= b.last), old.last))
        for name, old in self._vectors.items():
            vectors[name] = Buffer(old.size, old.first, old.last)
        in_bands = {name for band in bands for name in band.paces}
        for name, source in self._replaced.items():
            if name not in in_bands and maps[source].last == maps[name].first:
                maps[source].last, maps[name] = maps[name].last, maps[source]
        for band in bands:
            shared = Buffer(max(vectors[name].size for name in band.paces), band.first, band.last)
            vectors |= dict.fromkeys(band.paces, shared)
        return maps, vectors

    def _pairs_in_place(self, stages: Mapping[str, Stage]) -> Iterator[tuple[str, str]]:
        """Maps that can take the place of one which nothing reads any more: every position of that is read just before
        the same position is made, and lies where it does."""
        for i, (name, stage) in enumerate(stages.items()):
            for source in stage.looks:
                fits = source in self._maps and self.layout.forms[source] == self.layout.forms[name]
                fits = fits and source not in stage.elsewhere and self.steps_of(source) == self.steps_of(name)
                if fits and self._maps[source].last == i and self._maps[name].first == i:
                    yield name, source
                    break

    def _bands(self, stages: Mapping[str, Stage]) -> Sequence[Band]:
        """The bands that make the memory smaller."""
        nodes, outputs = self.layout.nodes, self.layout.outputs
        delayed = [node.inputs[0] for node in nodes.values() if isinstance(node, ir.Delay)]
        apart = {name for name in stages if self.layout.is_late(name) or isinstance(nodes[name], ir.Delay)}
        whole = {name for name in stages if self.layout.is_sum(name) or name in (*outputs, *delayed)}
        looks = {name: stage.looks for name, stage in stages.items()}
        heights = {name: self.layout.forms[name].height for name in stages}
        bands = Bands(list(stages), looks, heights, apart, whole)
        largest = sorted(stages, key=lambda name: -self._maps[name].size)
        return bands.best(lambda tried: self._size(*self._under(tried)), largest)

    # What stages ask for.

    def number(self, name: str, place: Place) -> str:
        """Where in the map of `name` a place lies, in positions; of a few rows that are kept one takes another's."""
        rows, width = self._rows.get(name), self.layout.forms[name].width
        if rows is None:
            return place.number
        return place.column if rows == 1 else f"({self.row(name, place)} * {width} + {place.column})"

    def row(self, name: str, place: Place) -> str:
        """Which row of the map of `name` holds a place."""
        rows = self._rows.get(name)
        return place.row if rows is None else "0" if rows == 1 else f"({place.row} & {rows - 1})"

    def position(self, name: str) -> str:
        """Where a position of `name` that is made begins, of a map whose positions are whole words."""
        return f"{self.pointer(name)} + {self.number(name, HERE)} * {self.layout.forms[name].row_bytes // WORD}"

    def pointer(self, name: str) -> str:
        """Where the map of `name` begins, at the step that runs."""
        node = self.layout.nodes[name]
        if isinstance(node, ir.Input):
            return "input"
        if isinstance(node, ir.Constant):
            return self.constants.array("constant", elements(node.values, self.layout.forms[name]))
        where = address(self._maps[name])
        return f"{where} + t * {self._words(name, self._rows.get(name))}" if self.steps_of(name) > 1 else where

    def make(self, stage: Stage, vector: str, further: str) -> None:
        """Writes what works out a position of the stage's result in `vector` and stores it; further: an expression, 0
        where no step comes behind this one."""
        node, form = self.layout.nodes[stage.root], self.layout.forms[stage.root]
        if isinstance(node, ir.Lif) and fires_words(node, form, self.layout.edges[node.inputs[0]], self.layout.graph):
            lif_words(stage, node, vector, HERE, self.position(stage.root), further)
        else:
            stage.emit(stage.root, vector)
            self.store(stage, vector)

    def store(self, stage: Stage, vector: str) -> None:
        """Writes what stores a position of the stage's result."""
        where, number = self.pointer(stage.root), self.number(stage.root, HERE)
        stage.code(f"spk_store({where}, {stage.form(stage.root)}, {number}, {vector});")

    def given(self, times: int) -> Iterator[tuple[str, int, int, str]]:
        """Name, values, first place among `times` of each timed output, and pointer, of every output."""
        first = 0
        for name in self.layout.outputs:
            form = self.layout.forms[name]
            size, count = form.channels * form.positions, times if self.layout.edges[name].timed else 1
            yield name, size, first, self.given_pointer(name)
            first += size * count

    def given_pointer(self, name: str) -> str:
        """Where an output lies when results are given."""
        return self.pointer(name)

    # Functions.

    def _stage(self, name: str) -> Stage:
        """The stage that makes `name`, with the places that maps have so far; without the loop over positions."""
        stage = Stage(self.layout, self.constants, self, self._rules, name)
        if not isinstance(self.layout.nodes[name], ir.Delay):
            self.loop(stage)
        return stage

    def _written(self, bands: Sequence[Band]) -> tuple[list[Function], list[Function]]:
        """All functions, and those that run a step."""
        names = [name for name in self.layout.in_memory if not isinstance(self.layout.nodes[name], ir.Delay)]
        within = {name: i for i, band in enumerate(bands) for name in band.paces}
        stages = {name: self._function(i, name, is_row=name in within) for i, name in enumerate(names)}
        made = [self._band(i, band, stages) for i, band in enumerate(bands)]
        calls = [made[within[name]] if name in within else stages[name] for name in names]
        return [*stages.values(), *made], list(dict.fromkeys(calls))

    def _band(self, index: int, band: Band, stages: Mapping[str, Function]) -> Function:
        """The function that makes a band, tick by tick."""
        rows = [stages[name] for name in band.paces]
        arguments = tuple(word for word in ARGUMENTS if word != "i" and any(word in row.arguments for row in rows))
        title, out = f"{self.constants.prefix}_{self.kind}_band_{index}", Code()
        head = ", ".join(("uint32_t *m", *(ARGUMENTS[word] for word in arguments)))
        with out.block(f"static void {title}({head})"):
            out("uint32_t r;")
            with out.block(f"for (r = 0; r < {band.ticks}; r++)"):
                for row, pace in zip(rows, band.paces.values(), strict=True):
                    is_turn, number = pace.turn
                    out(f"if ({is_turn}) {row.of_row(number)}")
        return Function(title, out.text, arguments, is_late=False)

    def _function(self, index: int, name: str, *, is_row: bool) -> Function:
        stage, form, code = self._stage(name), self.layout.forms[name], Code(1)
        height = 1 if is_row else form.height
        with code.loop("i", height), code.loop("j", form.width):
            depth = (height > 1) + (form.width > 1) + 1
            code.lines += [f"{INDENT * depth}const uint32_t p = i * {form.width} + j;"]
            code.lines += [f"{INDENT * depth}{line}" for line in stage.code.lines]
        body = "\n".join(without_unused(code.lines))
        loops = {word: f"for ({word} = 0" in body for word in ("i", "j", "t")}
        used = [word for word in ARGUMENTS if re.search(rf"\b{word}\b", body) and not loops.get(word)]
        arguments = tuple(word for word in used if word != "i" or is_row)
        base, out = self._vectors[name], Code()
        out(f"/* {stage.title()} */")
        head = ", ".join(("uint32_t *m", *(ARGUMENTS[word] for word in arguments)))
        title = f"{self.constants.prefix}_{self.kind}_{index}"
        with out.block(f"static void {title}({head})"):
            for i in range(stage.vectors):
                where = stage.in_place.get(f"v{i}", address(base, i * stage.width))
                if re.search(rf"\bv{i}\b", body):  # what is read in its map needs no vector
                    out(f"int32_t *const v{i} = (int32_t *)({where});")
            if stage.room:
                out(f"uint32_t *const s = {address(base, stage.vectors * stage.width)};")
            if any(loops.values()):
                out(f"uint32_t {', '.join(word for word, made in loops.items() if made)};")
            for word in ("i", "j"):
                if not loops[word] and word not in arguments and re.search(rf"\b{word}\b", body):
                    out(f"const uint32_t {word} = 0;")
            out.lines += body.split("\n")
        return Function(title, out.text, arguments, self.layout.is_late(name))


def address(buffer: Buffer, further: int = 0) -> str:
    """Where a buffer begins in C, `further` words on; of one that has no place yet, anything of the right type."""
    return f"m + {max(buffer.offset, 0) + further}"


def without_unused(lines: list[str]) -> list[str]:
    """`lines` without positions that nothing reads."""
    kept = list(lines)
    for line in reversed(lines):
        made = re.match(r"\s*const uint32_t (\w+) = ", line)
        if made and len(re.findall(rf"\b{made[1]}\b", "\n".join(kept))) == 1:
            kept.remove(line)
    return kept
