"""Random integer graphs over everything that format 3 can say; `random_graphs` has those of formats 1 and 2.

    graph = random_graph_3(seed)           always valid; random_input(graph, batch, seed) of random_graphs feeds it

Blocks of format 3 are drawn among the old ones: attention by heads, windows and rows, gates, concatenation, constants,
shifts, recurrence, neurons with levels, affine by time step, rectangular pools, dilation, running sums, more outputs.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import w_range
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.edge import as_map
from tests.random_graphs import Edge, Grower, reach

DIVISORS = (1, 2, 3, 4)


def random_graph_3(seed: int) -> ir.IntGraph:
    """A valid graph of format 3; seeds differ in blocks, shapes, heads, levels, time steps and outputs."""
    for attempt in range(200):
        try:
            graph = Grower3(np.random.default_rng([seed, attempt, 3])).graph()
            analyse(graph)
        except GraphError:  # an interval left int32, or a window its map: draw again
            continue
        return graph
    raise AssertionError(f"no valid graph in 200 attempts from seed {seed}")


class Grower3(Grower):
    """Grows one graph; every method appends and returns the new edge."""

    def graph(self) -> ir.IntGraph:
        """A graph of `Grower`, with further outputs."""
        graph = super().graph()
        rest = [n.name for n in graph.nodes[:-1] if n.name != "x"]
        count = min(int(self.rng.integers(0, 4)), len(rest))
        picked = [str(name) for name in self.rng.choice(rest, count, replace=False)] if count else []
        extra = tuple(ir.Output(name, float(2.0 ** self.rng.uniform(-9, 2))) for name in picked)
        return dataclasses.replace(graph, outputs=(*graph.outputs, *extra))

    def map_block(self, x: Edge) -> Edge:
        """One of format 3, or of the old ones."""
        blocks = (
            self.attention, self.attention, self.rows, self.gate, self.concat, self.biased, self.moved,
            self.rectangular, self.dilated, self.recurrent, self.delayed, self.levelled, self.running,
        )  # fmt: skip
        if x.summed or self.coin(0.3):
            return super().map_block(x)
        return self.pick(blocks)(x)

    def vector_block(self, x: Edge) -> Edge:
        """A recurrent layer, a neuron with levels, a bias, a map again, or an old block."""
        if x.summed or self.coin(0.4):
            return super().vector_block(x)
        return self.pick(
            (self.recurrent, self.levelled, self.biased, self.moved, self.delayed, self.gate, self.running)
        )(x)

    # Pieces.

    def small(self, x: Edge, bound: int) -> Edge:
        """`x`, brought to -bound..bound by an affine with a clip where it can be larger."""
        if x.bound <= bound:
            return x
        shift = max(x.bound.bit_length() - bound.bit_length(), 0)
        one = np.ones((1, 1), np.int32)
        fields = {"multiplier": one, "shift": (one * min(shift, 62)).astype(np.uint8), "offset": one * 0}
        low = -bound if self.coin(0.7) else 0
        return self.append(ir.Affine, [x], bound, **fields, clip=(low, bound))

    def spikes(self, x: Edge) -> Edge:
        """A neuron behind `x`, of the old kind or with levels."""
        x = self.small(x, 2**17)
        return self.lif(x) if self.coin(0.4) else self.levelled(x)

    def projected(self, x: Edge, channels: int) -> Edge:
        """A 1 x 1 convolution to `channels`, and a neuron."""
        weight = self.weight(channels, x.shape[0], 1, 1)
        bound = x.bound * reach(weight)
        fields = {**weight, "stride": (1, 1), "padding": (0, 0), "groups": 1}
        return self.spikes(self.append(ir.Conv, [self.small(x, 255)], bound, **fields))

    def by_channel(self, low: int, high: int, channels: int) -> Any:
        """A number, or one a channel, in low..high."""
        if self.coin(0.6):
            return int(self.rng.integers(low, high + 1))
        return self.rng.integers(low, high + 1, channels).astype(np.int32)

    @staticmethod
    def seen(x: Edge) -> int:
        """About half the largest value that the probe has shown, so that thresholds are reached."""
        return max(int(x.values.max()) // 2, 1)

    # Blocks.

    def levelled(self, x: Edge) -> Edge:
        """A neuron with levels, a start, half rounding, long leaks or constants by channel."""
        x = self.small(x, 2**15)
        channels, leak_bits = x.shape[0], int(self.pick((0, 1, 2, 8, 12)))
        one, levels = 2**leak_bits, int(self.pick((1, 1, 2, 3, 4, 8, 16, 255)))
        top = self.seen(x)
        threshold = self.by_channel(1, top, channels)
        step = None if levels == 1 or self.coin(0.3) else self.by_channel(1, max(top // levels, 1), channels)
        reset = self.pick(("hard", "soft", self.by_channel(0, 2 * top, channels)))
        membrane = ir.Membrane(int(self.rng.integers(2, 9)), int(self.rng.integers(1, 8))) if self.coin(0.3) else None
        return self.append(
            ir.Lif, [x], levels, leak=self.by_channel(0, one, channels), gain=self.by_channel(1, one, channels),
            leak_bits=leak_bits, threshold=threshold, reset=reset, membrane=membrane, levels=levels, step=step,
            start=self.by_channel(-top, top, channels) if self.coin() else 0, rounding=self.pick(("floor", "half")),
        )  # fmt: skip

    def attention(self, x: Edge) -> Edge:
        """Scores of queries and keys, a neuron or not, a mix of values: both orders."""
        heads, width = int(self.pick(DIVISORS)), int(self.pick((1, 2, 5, 16)))
        c, h, w = heads * width, *as_map(x.shape)[1:]
        if h * w > 64:
            return self.rectangular(x)
        q, k, v = (self.projected(x, c) for _ in range(3))
        space, flat = (h, w), (1, h * w)
        if self.coin():
            scores = self.matmul(q, k, heads, (True, False), space)
            scores = self.spikes(scores) if self.coin() else self.small(scores, 255)
            return self.current(self.matmul(v, scores, heads, (False, True), self.pick((space, flat))))
        mixed = self.small(self.matmul(k, v, heads, (False, True), (1, width)), 255)
        return self.current(self.matmul(mixed, q, heads, (True, False), space))

    def matmul(
        self, a: Edge, b: Edge, heads: int, transpose: tuple[bool, bool], space: tuple[int, int], by_row: bool = False
    ) -> Edge:
        """A product, with the bound of its inner size."""
        c, h, w = as_map(a.shape)
        inner = c // heads if transpose[0] else (w if by_row else h * w)
        fields = {"heads": heads, "transpose": transpose, "space": space, "by_row": by_row}
        return self.append(ir.Matmul, [a, b], a.bound * b.bound * inner, **fields)

    def rows(self, x: Edge) -> Edge:
        """Attention inside each row of the map."""
        heads, width = int(self.pick(DIVISORS)), int(self.pick((1, 3, 8)))
        _, h, w = as_map(x.shape)
        if w > 16:
            return self.rectangular(x)
        q, k, v = (self.projected(x, heads * width) for _ in range(3))
        scores = self.small(self.matmul(q, k, heads, (True, False), (h, w), by_row=True), 255)
        return self.current(self.matmul(v, scores, heads, (False, True), (h, w), by_row=True))

    def gate(self, x: Edge) -> Edge:
        """x times spikes of itself, of a constant, or of its own sum over the map."""
        x = self.small(x, 2**10)
        kind = int(self.rng.integers(3))
        if kind == 0:
            other = self.spikes(x)
        elif kind == 1 or len(x.shape) == 1:
            other = self.constant(self.narrowed(x.shape), 3)
        else:
            other = self.spikes(self.append(ir.SumPool, [x], x.bound * x.shape[1] * x.shape[2], kernel=x.shape[1:]))
        pair = [x, other] if self.coin() else [other, x]
        return self.append(ir.Mul, pair, x.bound * other.bound)

    def narrowed(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """`shape` with some dimensions of 1."""
        return tuple(1 if self.coin(0.3) else d for d in shape)

    def constant(self, shape: tuple[int, ...], bound: int) -> Edge:
        """Random values."""
        values = self.rng.integers(-bound, bound + 1, shape).astype(np.int32)
        return self.append(ir.Constant, [], bound, values=values)

    def biased(self, x: Edge) -> Edge:
        """x plus a constant, or an affine by time step."""
        if self.coin():
            x = self.small(x, 2**20)
            bias = self.constant(self.narrowed(x.shape), int(self.pick((3, 300, 10**5))))
            return self.append(ir.Add, [x, bias] if self.coin() else [bias, x], x.bound + bias.bound)
        x = self.small(x, 2**15)
        shape = (self.T if self.coin(0.7) else 1, x.shape[0] if self.coin() else 1)
        multiplier = self.rng.integers(-100, 101, shape).astype(np.int32)
        offset = self.rng.integers(-500, 501, shape).astype(np.int32)
        clip = (-int(self.rng.integers(0, 999)), int(self.rng.integers(0, 999))) if self.coin() else None
        bound = 999 if clip else 100 * x.bound + 501
        shift = self.rng.integers(0, 8, shape).astype(np.uint8)
        return self.append(ir.Affine, [x], bound, multiplier=multiplier, shift=shift, offset=offset, clip=clip)

    def concat(self, x: Edge) -> Edge:
        """Channels of x, of a convolution and of spikes of x, in any order, some left out."""
        parts = [x, self.spikes(x)]
        if self.coin():
            parts.append(self.projected(x, int(self.pick((1, 3, 33, 64)))))
        total = sum(p.shape[0] for p in parts)
        source = np.arange(total) if self.coin() else self.rng.integers(-1, total, int(self.pick((1, 8, 65))))
        fields = {"source": source.astype(np.int16), "stride": int(self.pick((1, 1, 2)))}
        return self.append(ir.ChannelMap, parts, max(p.bound for p in parts), **fields)

    def moved(self, x: Edge) -> Edge:
        """Positions of x, and of spikes of x, moved, left out, doubled or zero."""
        parts = [x, self.spikes(x)] if self.coin(0.3) else [x]
        size = sum(as_map(p.shape)[1] * as_map(p.shape)[2] for p in parts)
        _, h, w = as_map(x.shape)
        space = self.pick(((h, w), (1, h * w), (min(2 * h, 8), min(2 * w, 8)), (1, 1)))
        index = self.rng.integers(-1 if self.coin() else 0, size, space)
        if self.coin(0.3) and space == (h, w):
            index = np.roll(np.arange(h * w).reshape(h, w), (1, 1), (0, 1))
        return self.append(ir.Gather, parts, max(p.bound for p in parts), index=index.astype(np.int32))

    def rectangular(self, x: Edge) -> Edge:
        """A pool whose window is no square."""
        if len(x.shape) == 1:
            return x
        _, h, w = x.shape
        kernel = int(self.rng.integers(1, min(h, 4) + 1)), int(self.rng.integers(1, min(w, 4) + 1))
        if self.coin():
            return self.append(ir.SumPool, [x], x.bound * kernel[0] * kernel[1], kernel=kernel)
        stride = int(self.pick((1, 2))), int(self.pick((1, 2)))
        padding = int(self.rng.integers(0, kernel[0] // 2 + 1)), int(self.rng.integers(0, kernel[1] // 2 + 1))
        return self.append(ir.MaxPool, [x], x.bound, kernel=kernel, stride=stride, padding=padding)

    def dilated(self, x: Edge) -> Edge:
        """A convolution with a dilation, of full codes or others."""
        c, h, _ = x.shape
        out, bits = self.channels(), int(self.rng.integers(2, 9))
        x = self.small(x, 2**12)
        low, high = w_range(bits, "full")
        full = self.rng.integers(low, high + 1, (out, c, 3, 1)).astype(np.int8)
        weight = {"weight": full, "bits": bits, "grid": "full"}
        weight = weight if self.coin() else self.weight(out, c, 3, 1)
        dilation = min(int(self.rng.integers(1, 4)), max((h + 1) // 2, 1))
        fields = {**weight, "stride": (1, 1), "padding": (dilation, 0), "groups": 1, "dilation": (dilation, 1)}
        y = self.append(ir.Conv, [x], x.bound * reach(weight), **fields)
        return self.spikes(y) if self.coin(0.8) else self.current(y)

    def running(self, x: Edge) -> Edge:
        """The sum of x so far."""
        return self.append(ir.SumTime, [x], x.bound * self.T, running=True)

    def delayed(self, x: Edge) -> Edge:
        """x of the step before, or the difference to it."""
        before = self.append(ir.Delay, [x], x.bound, shape=x.shape)
        return before if self.coin() else self.append(ir.Add, [x, before], 2 * x.bound)

    def recurrent(self, x: Edge) -> Edge:
        """Neurons that read their own spikes of the step before through weights."""
        x = self.small(x, 2**12)
        shape, levels, n = x.shape, int(self.pick((1, 1, 3))), len(self.nodes)
        names = {kind: f"{kind}{n}" for kind in ("before", "back", "sum", "spikes")}
        weight = self.weight(shape[0], shape[0], *((1, 1) if len(shape) == 3 else ()))
        moves = {"stride": (1, 1), "padding": (0, 0), "groups": 1} if len(shape) == 3 else {}
        back = (ir.Conv if len(shape) == 3 else ir.Linear)(names["back"], (names["before"],), **weight, **moves)
        leak_bits = int(self.pick((0, 1, 8)))
        neuron = ir.Lif(
            names["spikes"], (names["sum"],), int(self.rng.integers(0, 2**leak_bits + 1)), 2**leak_bits, leak_bits,
            int(self.rng.integers(1, self.seen(x) + 1)), self.pick(("hard", "soft")), None, levels,
        )  # fmt: skip
        self.nodes += [
            ir.Delay(names["before"], (names["spikes"],), shape), back,
            ir.Add(names["sum"], (x.name, names["back"])), neuron,
        ]  # fmt: skip
        return Edge(names["spikes"], self._looped(x, back, neuron), levels, summed=False)

    def _looped(self, x: Edge, back: ir.Operation, neuron: ir.Lif) -> NDArray[np.int64]:
        """The probe's spikes, step by step."""
        spikes, state = np.zeros((1, *x.values.shape[1:]), np.int64), None
        every = []
        for t in range(self.T):
            steps = range(t, t + 1)
            current = x.values[t : t + 1] if len(x.values) > 1 else x.values
            fed = current + back.advance(spikes, steps=steps, state=None)[0]
            spikes, state = neuron.advance(fed, steps=steps, state=state)
            every.append(spikes)
        return np.concatenate(every)
