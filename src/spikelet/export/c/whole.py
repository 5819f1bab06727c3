"""A graph over all steps of one still input: a stage makes every step of a position before the next position.

Membranes live as long as a position, what is the same at every step is worked out once, and a map holds all steps of
its edge. A graph with a delay runs step by step instead.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import ClassVar

from spikelet.export.c.code import Code
from spikelet.export.c.neurons import start
from spikelet.export.c.program import Program
from spikelet.export.c.stage import Stage, State
from spikelet.graph import ir
from spikelet.graph.ops.neuron import Neuron
from spikelet.runtime.plan.operation import Buffer


def can_run_whole(graph: ir.IntGraph) -> bool:
    """Whether no node reads an earlier step."""
    return not graph.of_type(ir.Delay)


class Whole(Program):
    """See above."""

    kind: ClassVar[str] = "run"

    def steps_of(self, name: str) -> int:
        """T, or 1 of what is the same at every step and of what has no time axis."""
        is_one = not self.layout.edges[name].timed or self.layout.is_still(name)
        return 1 if is_one else self.layout.graph.time_steps

    def learn(self, stage: Stage) -> None:
        """Nothing: no stage remembers more than its position."""

    def kept(self) -> Sequence[Buffer]:
        """None."""
        return ()

    def loop(self, stage: Stage) -> None:
        """States begin, all steps run, and sums over them are stored."""
        result, is_sum = stage.vector(stage.root), self.layout.is_sum(stage.root)
        steps = self.layout.graph.time_steps if is_sum else self.steps_of(stage.root)
        head = stage.code
        if steps > 1:
            held = {name: stage.vector(name) for name in self._held(stage.root)}
            for name, vector in held.items():
                stage.emit(name, vector)
            stage.held = held
        stage.code = body = Code()
        with stage.code.loop("t", steps):
            if is_sum:
                stage.emit(stage.root, result)
            else:
                self.make(stage, result, f"t < {steps - 1}" if steps > 1 else "0")
        stage.code = head
        for state in stage.states:
            self._begin(stage, state)
        head.lines += body.lines
        if is_sum:
            self.store(stage, stage.state(self.layout.nodes[stage.root]))

    def _begin(self, stage: Stage, state: State) -> None:
        if isinstance(state.node, Neuron):
            start(stage, state.node, state.vector)
        else:
            stage.code(f"spk_fill({state.vector}, 0, {self.layout.channels(state.node.name)});")

    def _held(self, name: str) -> Iterator[str]:
        """The largest parts of a stage's expression that are the same at every step, what is just loaded apart."""
        for source in dict.fromkeys(self.layout.nodes[name].inputs):
            if self.layout.lies(source) or source in self.layout.folded:
                continue
            if self.layout.is_still(source):
                yield source
            elif not isinstance(self.layout.nodes[source], ir.MaxPool | ir.SumPool):
                yield from self._held(source)
