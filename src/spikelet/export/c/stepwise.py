"""A graph step by step: every stage makes one step, and what neurons, sums and delays remember lies in memory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from spikelet.export.c.code import Code
from spikelet.export.c.constants import Constants
from spikelet.export.c.layout import Layout
from spikelet.export.c.maps import Element, Form
from spikelet.export.c.moves import side_by_side
from spikelet.export.c.neurons import neuron, start, state_form
from spikelet.export.c.program import END, Program, address
from spikelet.export.c.stage import Rule, Stage, State
from spikelet.graph import ir
from spikelet.graph.analysis import reason_to_end
from spikelet.graph.backend import BackendRules
from spikelet.graph.ops.neuron import Neuron
from spikelet.graph.ops.operation import Operation
from spikelet.runtime.plan.operation import Buffer


class Stepwise(Program):
    """See above."""

    kind: ClassVar[str] = "step"

    def __init__(self, layout: Layout, constants: Constants, rules: BackendRules[Rule]) -> None:
        self._states: dict[str, tuple[Buffer, Form]] = {}
        self._starts: list[tuple[Buffer, Form, str]] = []
        self._given: dict[str, Buffer] = {}  # delays that are outputs, which a step ends by moving on
        super().__init__(layout, constants, rules)

    def steps_of(self, name: str) -> int:
        """1."""
        return 1

    def learn(self, stage: Stage) -> None:
        """Gives what the stage remembers memory of its own; a sum over all steps is its own map."""
        name = stage.root
        if self.layout.is_sum(name) or isinstance(self.layout.nodes[name], ir.Delay):
            self._maps[name].first, self._maps[name].last = 0, END
            if name in self.layout.outputs and not self.layout.is_sum(name):
                self._given[name] = Buffer(self._maps[name].size, 0, END)
        for node in stage.layout.graph.nodes:
            if isinstance(node, ir.Delay) and node.inputs[0] == name:
                self._maps[name].last = END
        for state in stage.states:
            node = state.node
            if isinstance(node, Neuron) and _starts_elsewhere(node) and not self._forgets(node):
                buffer, form = self._state(state)
                self._starts.append((buffer, form, neuron(stage, node)))

    def kept(self) -> Sequence[Buffer]:
        """States, from the first step to the last."""
        return [*(buffer for buffer, _ in self._states.values()), *self._given.values()]

    def loop(self, stage: Stage) -> None:
        """States are loaded, one step runs, states are stored; one that lies as a vector does is worked on in place.
        What lies side by side is copied word by word."""
        node = self.layout.nodes[stage.root]
        if isinstance(node, ir.ChannelMap) and self.layout.lies_side_by_side(stage.root):
            side_by_side(stage, node, self.position(stage.root))
            return
        result = stage.vector(stage.root)
        head, stage.code = stage.code, Code()
        if self.layout.is_sum(stage.root):
            stage.emit(stage.root, result)
        else:
            self.make(stage, result, str(int(not self._forgets(node))))
        body, stage.code = stage.code, head
        remembered = [state for state in stage.states if not self._forgets(state.node)]
        for state in stage.states:
            if state in remembered:
                buffer, form = self._state(state)
                if form.element is Element.I32 and form.positions == 1:
                    stage.in_place[state.vector] = address(buffer)
                    continue
                self._move(stage, state, "spk_load({vector}, {where}, {form}, p);")
            elif isinstance(state.node, Neuron):
                start(stage, state.node, state.vector)
        head.lines += body.lines
        for state in remembered:
            if state.vector not in stage.in_place:
                self._move(stage, state, "spk_store({where}, {form}, p, {vector});")

    def _forgets(self, node: Operation) -> bool:
        """Whether a step needs nothing that an earlier one left in the neuron."""
        ends = self.layout.graph.time_steps == 1 and reason_to_end(self.layout.graph, self.layout.edges) is not None
        return isinstance(node, Neuron) and (ends or (isinstance(node.leak, int) and node.leak == 0))

    def _move(self, stage: Stage, state: State, text: str) -> None:
        buffer, form = self._state(state)
        stage.code(text.format(vector=state.vector, where=address(buffer), form=f"&{self.constants.form(form)}"))

    def _state(self, state: State) -> tuple[Buffer, Form]:
        """Where what a node remembers lies."""
        name, layout = state.node.name, self.layout
        if layout.is_sum(name):
            return self._maps[name], layout.forms[name]
        if name not in self._states:
            form = state_form(state.node, layout.forms[name], layout.edges[state.node.inputs[0]], layout.graph)
            self._states[name] = Buffer(form.words, 0, END), form
        return self._states[name]

    # What is not a stage.

    def starts(self) -> Iterator[tuple[str, Form, str]]:
        """Pointer, form and constants of membranes that don't start from 0."""
        for buffer, form, constants in self._starts:
            yield address(buffer), form, constants

    def given_pointer(self, name: str) -> str:
        """Where an output lies when results are given."""
        return address(self._given[name]) if name in self._given else self.pointer(name)

    def delays(self) -> Iterator[tuple[str, str, str, str]]:
        """The copies that end a step: pointer and node of what is written, pointer and node of what is read.

        None overwrites what a later one reads.
        """
        for node in reversed(self.layout.graph.nodes):
            if isinstance(node, ir.Delay) and node.name in self._maps:
                name, read = node.name, node.inputs[0]
                if name in self._given:
                    yield address(self._given[name]), name, self.pointer(name), name
                yield self.pointer(name), name, self.pointer(read), read


def _starts_elsewhere(node: Neuron) -> bool:
    """Whether a membrane starts from something that is not 0."""
    return not isinstance(node.start, int) or node.start != 0
