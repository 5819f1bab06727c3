"""O17 charge: what a neuron's membrane reaches at every step, before it fires."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.growth import Growth
from spikelet.graph.ops.neuron import Neuron, record_of
from spikelet.graph.ops.operation import Example, Interval, State, example
from spikelet.graph.ops.record import Record


@dataclasses.dataclass(frozen=True, eq=False)
class Charge(Neuron):
    """The charge h of neurons, [T]. O17; see Neuron. With a reset of 0 it is a sum over the steps so far that leaks."""

    word: ClassVar[str] = "charge"
    first_format: ClassVar[int] = 4
    record: ClassVar[Record] = record_of(lambda *fields: Charge(*fields))

    def since(self, *sources: Shape) -> int:
        """Format 4."""
        return 4

    def interval(self, *sources: Edge, T: int) -> Interval:
        """That of h at all of T steps, once charge and membrane are known to fit 32 bits at every step (C5 of O6)."""
        x = sources[0]
        return tuple(np.array(np.broadcast_to(end, x.low.shape), np.int64) for end in Growth(self, x).charge(T))  # type: ignore[return-value]

    def advance(self, *xs: Int64, steps: range, state: State) -> tuple[Int64, State]:
        """Charge of `steps`; the state is the membrane [B, ...]."""
        charges, v = [], state
        for charge, _, after in self.stepped(xs[0], steps, state):
            charges.append(charge)
            v = after
        return np.stack(charges), v

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Without a reset, with each of the resets, rounded, by channel."""
        steps: Any = {"time_steps": 3}

        def node(*fields: Any, **more: Any) -> Charge:
            return cls("n", ("x",), *fields, **more)

        def column(*values: int) -> list[list[int]]:
            return [[v] for v in values]

        return (
            example(node(1, 2, 1, 8, 0, None), [[[8]]], column(8, 12, 14), **steps),
            example(node(1, 2, 1, 8, "hard", None), [[[8]]], column(8, 8, 8), **steps),
            example(node(1, 1, 0, 8, "soft", None), [column(9, 2, -5)], column(9, 3, -2), **steps),
            example(node(3, 4, 2, 5, 0, None, rounding="half"), [[[2]]], column(2, 4, 5), **steps),
            example(node(np.array([0, 1], np.int32), 1, 0, 8, 0, None), [[[3, 3]]], [[3, 3], [3, 6], [3, 9]], **steps),
        )
