"""A graph as functions of C, one a stage, and the places of its maps.

There are two kinds: over all steps of a still input (whole.py), and step by step (stepwise.py). A stage is written
twice: once to learn which maps it reads and how many vectors it needs, once with their places.
"""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Iterator, Sequence
from typing import ClassVar

from spikelet.export.c.code import INDENT, Code
from spikelet.export.c.constants import Constants, elements
from spikelet.export.c.layout import Layout
from spikelet.export.c.maps import WORD
from spikelet.export.c.neurons import fires_words, lif_words
from spikelet.export.c.stage import HERE, Rule, Stage
from spikelet.graph import ir
from spikelet.graph.backend import BackendRules
from spikelet.runtime.plan.arena import place
from spikelet.runtime.plan.operation import Buffer

END = 2**30  # a stage behind all others
ARGUMENTS = {"input": "const uint8_t *input", "t": "uint32_t t"}


@dataclasses.dataclass(frozen=True)
class Function:
    """One stage as C.

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
        return f"{self.name}({', '.join(('m', *self.arguments))});"


class Program(abc.ABC):
    """The functions of a graph, and the memory that they share.

    words: 32-bit words of memory.
    """

    kind: ClassVar[str]  # what its functions are called

    def __init__(self, layout: Layout, constants: Constants, rules: BackendRules[Rule]) -> None:
        self.layout, self.constants, self._rules = layout, constants, rules
        self._maps = {
            name: Buffer(layout.forms[name].words * self.steps_of(name), i, i)
            for i, name in enumerate(layout.in_memory)
        }
        self._vectors: dict[str, Buffer] = {}
        for i, name in enumerate(layout.in_memory):
            stage = self._stage(name)
            self._vectors[name] = Buffer(stage.vectors * stage.width + stage.room, i, i)
            for source in stage.reads:
                if source in self._maps:
                    self._maps[source].last = max(self._maps[source].last, i)
            self.learn(stage)
        for name in layout.outputs:
            if name in self._maps:
                self._maps[name].last = END
        self.words = place([*self._maps.values(), *self._vectors.values(), *self.kept()], 0)
        stages = [name for name in layout.in_memory if not isinstance(layout.nodes[name], ir.Delay)]
        self.functions = [self._function(i, name) for i, name in enumerate(stages)]

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

    # What stages ask for.

    def pointer(self, name: str) -> str:
        """Where the map of `name` begins, at the step that runs."""
        node = self.layout.nodes[name]
        if isinstance(node, ir.Input):
            return "input"
        if isinstance(node, ir.Constant):
            return self.constants.array("constant", elements(node.values, self.layout.forms[name]))
        where = address(self._maps[name])
        return f"{where} + t * {self.layout.forms[name].words}" if self.steps_of(name) > 1 else where

    def make(self, stage: Stage, vector: str, further: str) -> None:
        """Writes what works out a position of the stage's result in `vector` and stores it; further: an expression, 0
        where no step comes behind this one."""
        node, form = self.layout.nodes[stage.root], self.layout.forms[stage.root]
        if isinstance(node, ir.Lif) and fires_words(node, form, self.layout.edges[node.inputs[0]], self.layout.graph):
            where = f"{self.pointer(stage.root)} + p * {form.row_bytes // WORD}"
            lif_words(stage, node, vector, HERE, where, further)
        else:
            stage.emit(stage.root, vector)
            self.store(stage, vector)

    def store(self, stage: Stage, vector: str) -> None:
        """Writes what stores a position of the stage's result."""
        stage.code(f"spk_store({self.pointer(stage.root)}, {stage.form(stage.root)}, p, {vector});")

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

    def _function(self, index: int, name: str) -> Function:
        stage, form, code = self._stage(name), self.layout.forms[name], Code(1)
        with code.loop("i", form.height), code.loop("j", form.width):
            depth = (form.height > 1) + (form.width > 1) + 1
            code.lines += [f"{INDENT * depth}const uint32_t p = i * {form.width} + j;"]
            code.lines += [f"{INDENT * depth}{line}" for line in stage.code.lines]
        body = "\n".join(without_unused(code.lines))
        loops = {word: f"for ({word} = 0" in body for word in ("i", "j", "t")}
        arguments = tuple(word for word in ARGUMENTS if re.search(rf"\b{word}\b", body) and not loops.get(word))
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
                if not loops[word] and re.search(rf"\b{word}\b", body):
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
