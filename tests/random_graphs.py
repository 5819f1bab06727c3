"""Random integer graphs over everything the IR can say, and random bytes to feed them.

    graph = random_graph(seed)             always valid: `analyse(graph)` has passed
    x = random_input(graph, batch, seed)   uint8, still [B, ...] or frames [T, B, ...]

The same seed gives the same graph on every machine. While a graph grows, two probe images run through
the reference, so that thresholds can be values which charges really take: a good part of them lands
on the threshold exactly, where a tie must fire.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import Codes, has_zero, stored, top_code, values_of
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from tests.meaning import meaning

CHANNELS = (1, 2, 3, 5, 8, 16, 31, 32, 33, 63, 64, 65, 96, 127, 128, 129)
WIDE = (256, 257, 300)
BITS = (1, 1, 1, 2, 3, 4, 5, 6, 7, 8, 8)
INPUT_SHAPES = (
    (1, 7, 7), (2, 6, 6), (3, 8, 8), (3, 5, 9), (33, 4, 4), (1, 1, 1), (2, 3, 12), (65, 3, 3), (1,), (7,), (65,),
    (129,),
)  # fmt: skip


def random_graph(seed: int) -> ir.IntGraph:
    """A valid graph; seeds differ in shape, bits, neurons, pooling, residuals, time steps and heads."""
    for attempt in range(100):
        try:
            graph = Grower(np.random.default_rng([seed, attempt])).graph()
            analyse(graph)
        except GraphError:  # an interval left int32, or a window its map: draw again
            continue
        return graph
    raise AssertionError(f"no valid graph in 100 attempts from seed {seed}")


def random_input(graph: ir.IntGraph, batch: int, seed: int) -> NDArray[np.uint8]:
    """Bytes for `graph`: noise, sparse counts, all 255 (the interval's end), all 0 or a mixture; still or frames."""
    rng = np.random.default_rng([seed, 1])
    frames = (graph.time_steps,) if rng.random() < 0.5 else ()
    shape = (*frames, batch, *graph.input.shape)
    kind = rng.integers(6)
    if kind == 0:
        return np.full(shape, 255, np.uint8)
    if kind == 1:
        return np.zeros(shape, np.uint8)
    if kind == 2:
        return rng.binomial(3, 0.1, shape).astype(np.uint8)
    if kind == 3:
        return rng.choice(np.array([0, 255], np.uint8), shape)
    return rng.integers(0, 256, shape, dtype=np.uint8)


def reach(weight: dict[str, Any]) -> int:
    """The largest sum of an output's codes, signs left out."""
    codes = np.abs(values_of(weight["weight"], weight["bits"], weight["grid"]).astype(int))
    return int(codes.reshape(len(codes), -1).sum(1).max())


@dataclasses.dataclass
class Edge:
    """What the grower knows of a node: its probe values [T or 1, 2, ...] and a bound on any value."""

    name: str
    values: NDArray[np.int64]
    bound: int
    summed: bool

    @property
    def shape(self) -> tuple[int, ...]:
        return self.values.shape[2:]


class Grower:
    """Grows one graph node by node; every method appends and returns the new edge."""

    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.T = (*range(1, 9), 17)[rng.integers(9)]  # kernels take 16 steps at a time
        self.nodes: list[ir.Operation] = []

    def graph(self) -> ir.IntGraph:
        """Input, one to four blocks, a head."""
        shape = INPUT_SHAPES[self.rng.integers(len(INPUT_SHAPES))]
        frames = self.T if self.rng.random() < 0.3 else 1
        probe = self.rng.integers(0, 256, (frames, 2, *shape)).astype(np.int64)
        self.nodes.append(ir.Input("x", (), shape))
        edge = Edge("x", probe, 255, summed=False)
        for _ in range(self.rng.integers(1, 5)):
            edge = self.map_block(edge) if len(edge.shape) == 3 else self.vector_block(edge)
        edge = self.head(edge)
        classes = edge.shape[0]
        labels = tuple(f"class {k}" for k in range(classes)) if self.coin() else ()
        scale = float(2.0 ** self.rng.uniform(-20, 2))
        return ir.IntGraph.of_logits(tuple(self.nodes), self.T, scale, labels, {"origin": "random_graph"})

    # Drawing.

    def coin(self, p: float = 0.5) -> bool:
        return bool(self.rng.random() < p)

    def pick(self, values: Any) -> Any:
        return values[int(self.rng.integers(len(values)))]

    def channels(self) -> int:
        return self.pick(WIDE) if self.coin(0.04) else self.pick(CHANNELS)

    def weight(self, *shape: int) -> dict[str, Any]:
        """Codes with their bits and grid; some tensors are one extreme code throughout, to reach the interval's end."""
        bits = self.pick(BITS)
        grid = "odd" if bits > 1 and self.coin(0.45) else "symmetric"
        return {"weight": self.codes(shape, bits, grid), "bits": bits, "grid": grid}

    def codes(self, shape: tuple[int, ...], bits: int, grid: str) -> Codes:
        return stored(self._codes(shape, bits, grid), bits, grid)

    def _codes(self, shape: tuple[int, ...], bits: int, grid: str) -> NDArray[np.int64]:
        top = top_code(bits, grid)
        if self.coin(0.1):
            return np.full(shape, self.pick((-top, top)))
        if has_zero(bits, grid):
            return self.rng.integers(-top, top + 1, shape)
        return 2 * self.rng.integers(0, top + 1, shape) - top

    # Appending.

    def append(self, kind: type[ir.Operation], sources: list[Edge], bound: int, **fields: Any) -> Edge:
        name = f"{kind.__name__.lower()}{len(self.nodes)}"
        node = kind(name, tuple(s.name for s in sources), **fields)
        self.nodes.append(node)
        values = meaning(node, *(s.values for s in sources), T=self.T)
        summed = (kind is ir.SumTime and not fields.get("running")) or (bool(sources) and sources[0].summed)
        if 0 in values.shape:
            raise GraphError(f"{name}: nothing left of the map.")
        return Edge(name, values, bound, summed)

    def conv(self, x: Edge, out: int | None = None) -> Edge:
        c, h, w = x.shape
        out = self.channels() if out is None else out
        kernel = (int(self.pick((1, 2, 3, 3, 3, 5))), int(self.pick((1, 2, 3, 3, 3, 5))))
        if self.coin(0.7):
            kernel = (kernel[0], kernel[0])
        padding = tuple(int(self.rng.integers(0, min(k, 3))) for k in kernel)
        if self.coin(0.6) or any(d + 2 * p < k for d, p, k in zip((h, w), padding, kernel, strict=True)):
            padding = tuple(k // 2 for k in kernel)
        stride = self.pick(((1, 1), (1, 1), (2, 2), (1, 2), (3, 1)))
        groups = self.pick([g for g in range(1, c + 1) if c % g == 0 and out % g == 0]) if self.coin(0.25) else 1
        if self.coin(0.1):
            groups, out = c, c * self.pick((1, 1, 2))
        weight = self.weight(out, c // groups, *kernel)
        bound = x.bound * reach(weight)
        return self.append(ir.Conv, [x], bound, **weight, stride=stride, padding=padding, groups=groups)

    def linear(self, x: Edge, out: int | None = None) -> Edge:
        weight = self.weight(out or self.channels(), x.shape[0])
        return self.append(ir.Linear, [x], x.bound * reach(weight), **weight)

    def affine(self, x: Edge) -> Edge:
        """Brings the bound to about 2^(4..18), by multipliers of up to 31 bits, some of them 0 or negative."""
        n = x.shape[0]
        bound = 2.0 ** self.rng.uniform(6, 18)
        top = 2 ** int(self.rng.integers(1, 31))
        shift = min(max(round(math.log2(top * max(x.bound, 1) / bound)), 0), 62)
        multiplier = self.rng.integers(-top // 4, top, n)
        multiplier[self.rng.random(n) < 0.05] = 0
        spread = np.clip(shift - self.rng.integers(-1, 2, n), 0, 62) if self.coin() else np.full(n, shift)
        reach = int(bound / 4) + 1
        offset = self.rng.integers(-reach, reach, n)
        total = int((top * x.bound + 2.0**62 * (shift > 60)) / 2.0 ** int(spread.min())) + 2 + reach
        return self.append(
            ir.Affine, [x], total, multiplier=multiplier.astype(np.int32), shift=spread.astype(np.uint8),
            offset=offset.astype(np.int32),
        )  # fmt: skip

    def lif(self, x: Edge) -> Edge:
        leak_bits = int(self.pick((0, 1, 1, 1, 2, 3, 8))) if x.bound < 2**18 else int(self.pick((0, 1)))
        one = 2**leak_bits
        leak = int(self.pick((one // 2, one, int(self.rng.integers(0, one + 1)))))
        gain = int(self.pick((one, 1, int(self.rng.integers(1, one + 1)), max(one - leak, 1))))
        charge = (gain * x.values) >> leak_bits
        positive = charge[charge > 0]
        # a value that occurs is a tie; its double or triple is a tie for membranes that add up
        threshold = int(self.pick(positive)) * int(self.pick((1, 1, 1, 2, 3))) if positive.size else 1
        if self.coin(0.05):
            threshold = int(self.rng.integers(1, max(x.bound, 1) + 1))
        membrane = None
        if self.coin(0.6):
            bits = int(self.pick((2, 2, 4, 4, 8, 3, 5)))
            fit = round(math.log2(max(threshold, 2))) - bits + 1 + int(self.rng.integers(-1, 3))
            membrane = ir.Membrane(bits, min(max(fit, 1), 22))
        return self.append(
            ir.Lif, [x], 1, leak=leak, gain=gain, leak_bits=leak_bits, threshold=min(threshold, 2**31 - 1),
            reset=self.reset(threshold), membrane=membrane,
        )  # fmt: skip

    def reset(self, threshold: int) -> str | int:
        """Hard, soft, none, the drop of a reset that comes a step late, or any."""
        kind = int(self.rng.integers(0, 6))
        drop = (0, 2 * threshold, int(self.rng.integers(1, 2 * threshold)))[kind % 3]
        return ("hard", "soft")[kind % 2] if kind < 4 or drop in (threshold, 2**31) else min(drop, 2**31 - 1)

    def max_pool(self, x: Edge) -> Edge:
        kernel = int(self.pick((1, 2, 2, 3)))
        padding = int(self.rng.integers(0, kernel // 2 + 1))
        if min(x.shape[1:]) + 2 * padding < kernel:
            return x
        return self.append(
            ir.MaxPool, [x], x.bound, kernel=kernel, stride=int(self.pick((1, 2, kernel))), padding=padding
        )

    def sum_pool(self, x: Edge) -> Edge:
        kernel = int(self.rng.integers(1, min(3, *x.shape[1:]) + 1)) if self.coin(0.8) else min(x.shape[1:])
        return self.append(ir.SumPool, [x], x.bound * kernel**2, kernel=kernel)

    def channel_map(self, x: Edge, out: int, stride: int) -> Edge:
        source = self.rng.integers(-1, x.shape[0], out).astype(np.int16)
        return self.append(ir.ChannelMap, [x], x.bound, source=source, stride=stride)

    def add(self, xs: list[Edge]) -> Edge:
        return self.append(ir.Add, xs, sum(x.bound for x in xs))

    # Blocks.

    def current(self, x: Edge) -> Edge:
        """An optional Affine: always where values have grown large."""
        return self.affine(x) if x.bound > 2**19 or self.coin(0.7) else x

    def map_block(self, x: Edge) -> Edge:
        kind = self.rng.integers(16)
        if kind == 0:
            return self.max_pool(x)
        if kind == 1:
            return self.sum_pool(x)
        if kind == 2:
            return self.lif(x)
        if kind == 3:
            return self.current(x)
        if kind == 4:
            return self.residual(x)
        if kind == 5:
            return self.append(ir.Flatten, [x], x.bound)
        if kind == 6:
            return self.channel_map(x, self.channels(), int(self.pick((1, 2, 2, 3))))
        y = self.current(self.conv(x))
        if self.coin(0.15):
            y = self.max_pool(y)
        if self.coin(0.1):
            y = self.current(self.conv(y))
        y = self.lif(y) if self.coin(0.9) else y
        return self.max_pool(y) if self.coin(0.3) else y

    def residual(self, x: Edge) -> Edge:
        """Two or three branches of one shape that add up, of which one may be the block's own input."""
        out = x.shape[0]
        weight = self.weight(out, out, 3, 3)
        same = {**weight, "stride": (1, 1), "padding": (1, 1), "groups": 1}
        branch = self.current(self.append(ir.Conv, [x], x.bound * reach(weight), **same))
        if self.coin():
            branch = self.lif(branch)
        shortcut = self.affine(x) if self.coin() else self.channel_map(x, out, 1) if self.coin(0.3) else x
        branches = [branch, shortcut] if self.coin() else [shortcut, branch]
        if self.coin(0.4):
            branches.append(self.lif(x) if self.coin() else branch)
        total = self.add(branches)
        if self.coin(0.3):
            total = self.current(total)
        y = self.lif(total) if self.coin(0.7) else total
        return self.add([total, y]) if y is not total and self.coin(0.3) else y

    def vector_block(self, x: Edge) -> Edge:
        kind = self.rng.integers(6)
        if kind == 0:
            return self.current(x)
        if kind == 1:
            y = self.current(self.linear(x, out=x.shape[0]))
            return self.add([y, x])
        y = self.current(self.linear(x))
        return self.lif(y) if self.coin(0.85) else y

    # Heads.

    def head(self, x: Edge) -> Edge:
        """Turns whatever has grown into one vector of logits summed over time."""
        early = self.coin(0.4)
        if early:
            x = self.sum_time(x)
        if len(x.shape) == 3:
            if self.coin(0.3):
                x = self.current(self.conv(x, out=int(self.pick((1, 3, 33, 64)))))
            if self.coin(0.4):
                x = self.sum_pool(x)
            if self.coin(0.1):
                x = self.max_pool(x)
            x = self.append(ir.Flatten, [x], x.bound)
        if not early and self.coin():
            x, early = self.sum_time(x), True
        if self.coin(0.9):
            x = self.linear(x, out=int(self.pick((1, 2, 10, 11, 33))))
        if self.coin(0.4) or x.bound * self.T >= 2**31:
            x = self.affine(x)
        return x if early else self.sum_time(x)

    def sum_time(self, x: Edge) -> Edge:
        x = self.affine(x) if x.bound * self.T >= 2**31 else x
        return self.append(ir.SumTime, [x], x.bound * self.T)
