"""O6 lif: leaky integrate and fire, with one or several levels."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np

from spikelet.graph.edge import Edge, Int64, Shape, padded
from spikelet.graph.ops.growth import Growth
from spikelet.graph.ops.membrane import Membrane
from spikelet.graph.ops.neuron import Neuron, record_of
from spikelet.graph.ops.operation import Example, Interval, State, example
from spikelet.graph.ops.record import Record

AUTOMATON_BITS, SUMMED_STEPS = 3, 8  # most bits of a membrane, and steps of a sum, that have a threshold form
CUT_PLANES = 109  # of a cut in all widths (csrc/cuts.h): 77, and of the eight of a sum 868


@dataclasses.dataclass(frozen=True, eq=False)
class Lif(Neuron):
    """The spikes of neurons, 0..levels, [T]. O6; see Neuron."""

    word: ClassVar[str] = "lif"
    first_format: ClassVar[int] = 1
    record: ClassVar[Record] = record_of(lambda *fields: Lif(*fields))

    def promise(self) -> int:
        """levels."""
        return self.levels

    def since(self, *sources: Shape) -> int:
        """Format 2 for a number as reset; 3 for levels, a start, half rounding, long leaks, constants by channel."""
        start = isinstance(self.start, np.ndarray) or self.start != 0
        if self.by_channel or start or self.levels > 1 or self.rounding == "half" or self.leak_bits > 8:
            return 3
        return 1 if isinstance(self.reset, str) else 2

    @property
    def most_cuts(self) -> int:
        """Cuts of its threshold form, at most (graph/threshold_forms.py)."""
        if self.levels > 1:
            return 0
        if self.membrane is None:
            return SUMMED_STEPS if self.drop is None else 1
        states = 2**self.membrane.bits - 1 if self.membrane.bits <= AUTOMATON_BITS else 1
        return states * (1 + (states - 1) * (1 if self.drop is None else 2))

    def laid_out(self, *sources: Shape) -> int:
        """What a neuron's constants take, or its cuts: as integers, and as rows of bits of sums of every width; and its
        first spikes, of up to 16 steps."""
        channels = sources[0][0]
        row = padded(channels, 128 if channels <= 128 else 256) // 8
        cuts = self.most_cuts * (CUT_PLANES * row + 8 * channels + 4)
        return super().laid_out(*sources) + cuts + channels + 64

    def interval(self, *sources: Edge, T: int) -> Interval:
        """0..levels, once charge and membrane are known to fit 32 bits at every step (C5)."""
        growth = Growth(self, sources[0])
        if not growth.fits_always(T):
            growth.settles(T)
        n = sources[0].shape[0]
        return np.zeros(n, np.int64), np.full(n, self.levels, np.int64)

    def advance(self, *xs: Int64, steps: range, state: State) -> tuple[Int64, State]:
        """Spikes of `steps`; the state is the membrane [B, ...]."""
        spikes, v = [], state
        for _, fired, after in self.stepped(xs[0], steps, state):
            spikes.append(fired)
            v = after
        return np.stack(spikes), v

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        """Resets, membranes, levels, a start, half rounding, thresholds by channel."""
        steps = {"time_steps": 5}

        def node(*fields: Any, **more: Any) -> Lif:
            return cls("n", ("x",), *fields, **more)

        def column(*values: int) -> list[list[int]]:
            return [[v] for v in values]

        return (
            example(node(1, 2, 1, 8, "hard", None), [[[5]]], column(0, 0, 1, 0, 0), **steps),
            example(node(1, 2, 1, 8, "soft", None), [[[7]]], column(0, 1, 1, 0, 1), **steps),
            example(node(1, 2, 1, 8, 16, None), [[[7]]], column(0, 1, 0, 1, 0), **steps),
            example(node(1, 2, 1, 8, 0, None), [[[7]]], column(0, 1, 1, 1, 1), **steps),
            example(node(1, 2, 1, 8, "hard", Membrane(2, 2)), [[[5]]], column(0, 0, 0, 0, 0), **steps),
            example(node(0, 1, 0, 4, "soft", None, levels=3, step=8), [[[3, 4, 12, 99]]], [[0, 1, 2, 3]] * 5, **steps),
            example(node(1, 1, 0, 8, "soft", None, start=4), [[[4]]], column(1, 0, 1, 0, 1), **steps),
            example(node(3, 4, 2, 5, "hard", None, rounding="half"), [[[2]]], column(0, 0, 1, 0, 0), **steps),
            example(node(1, 1, 0, np.array([2, 3], np.int32), "hard", None), [[[1, 1]]],
                    [[0, 0], [1, 0], [0, 1], [1, 0], [0, 0]], **steps),
        )  # fmt: skip
