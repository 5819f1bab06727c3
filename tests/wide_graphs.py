"""Random graphs over every operation of format 3, loops and several outputs included.

    graph = wide_graph(seed)        always valid; `tests.random_graphs.random_input` feeds it

A graph grows node by node. A node that makes no sense, or could leave int32, is dropped and another drawn; probe
images run along, so that thresholds can be charges that really occur, where a tie must fire.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import GRIDS, w_range
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.edge import Edge, as_map

Int64 = NDArray[np.int64]
CHANNELS = (1, 1, 2, 3, 4, 6, 8, 9, 12, 16, 31, 32, 33, 64, 65, 72)
SPACES = ((1, 1), (2, 2), (3, 4), (4, 4), (5, 3), (1, 7), (6, 6))
TOP = 2**31 - 1
LARGE = 2**21  # an edge that reaches further is brought back before it is read


@dataclasses.dataclass(frozen=True, eq=False)
class Grown:
    """A node, what is known of its edge, and its values for the probe images, [1 or T, B, ...]."""

    node: ir.Operation
    edge: Edge
    values: Int64

    @property
    def name(self) -> str:
        """The node's name."""
        return self.node.name


def wide_graph(seed: int) -> ir.IntGraph:
    """A valid graph of 4 to some 20 nodes."""
    for attempt in range(100):
        try:
            graph = _Grower(np.random.default_rng([seed, attempt, 3])).graph()
            analyse(graph)
        except GraphError:  # what had to be there did not fit: draw again
            continue
        return graph
    raise AssertionError(f"no valid graph in 100 attempts from seed {seed}")


class _Grower:
    def __init__(self, rng: np.random.Generator) -> None:
        self.rng = rng
        self.T = int(self.pick((1, 1, 2, 3, 4, 5, 8, 17)))
        self.grown: list[Grown] = []
        self.loops: list[ir.Delay] = []
        self.levels_of: dict[str, int] = {}  # of the neurons that loops wait for
        self.proposals: tuple[Callable[[], ir.Operation], ...] = (
            self.conv, self.conv, self.linear, self.affine, self.affine, self.add, self.mul, self.matmul, self.matmul,
            self.constant, self.gather, self.channel_map, self.lif, self.lif, self.lif, self.max_pool, self.sum_pool,
            self.flatten, self.running, self.delay, self.charge,
        )  # fmt: skip

    def graph(self) -> ir.IntGraph:
        """Input, any nodes, neurons that close the loops, a head."""
        shape = (self.pick(CHANNELS), *self.pick(SPACES)) if self.coin(0.85) else (self.pick(CHANNELS),)
        probes = self.rng.integers(0, 256, (self.T, 2, *shape))
        n = shape[0]
        edge = Edge(shape, np.zeros(n, np.int64), np.full(n, 255, np.int64), timed=True)
        self.grown.append(Grown(ir.Input("x", (), shape), edge, probes))
        wanted = int(self.rng.integers(3, 18))
        for _ in range(8 * wanted):
            if len(self.grown) > wanted:
                break
            self.try_one(self.pick(self.proposals))
        for loop in self.loops:
            self.close(loop)
        return self.finished()

    # Drawing.

    def pick(self, options: Any) -> Any:
        return options[int(self.rng.integers(len(options)))]

    def coin(self, p: float = 0.5) -> bool:
        return bool(self.rng.random() < p)

    def edge(self, *, rank: int | None = None) -> Grown:
        """An edge, rather a late one, that is small enough to be read."""
        fits = [g for g in self.grown if rank is None or len(g.edge.shape) == rank]
        if not fits:
            raise GraphError("nothing of this rank yet.")
        late = min(int(self.rng.exponential(2.5)), len(fits) - 1)
        found = fits[-1 - late]
        return self.append(self.requantised(found)) if found.edge.reach > LARGE else found

    def of_one(self, count: int, same: Callable[[Edge], Any]) -> list[Grown]:
        """`count` edges that agree in `same`; one may appear twice."""
        first = self.edge()
        alike = [g for g in self.grown if same(g.edge) == same(first.edge) and g.edge.reach <= LARGE]
        return [first, *(self.pick(alike) for _ in range(count - 1))]

    def name(self, kind: type[ir.Operation]) -> str:
        return f"{kind.word} {len(self.grown)}"

    def whole(self, low: int, high: int) -> int:
        return int(self.rng.integers(low, high + 1))

    # Growing.

    def try_one(self, propose: Callable[[], ir.Operation]) -> None:
        try:
            self.append(propose())
        except GraphError:
            return

    def append(self, node: ir.Operation) -> Grown:
        sources = [next(g for g in self.grown if g.name == name) for name in node.inputs]
        edges = [g.edge for g in sources]
        node.check(*edges)
        shape = node.output_shape(*(e.shape for e in edges))
        if not all(shape) or math.prod(shape) > 20_000:
            raise GraphError("empty, or larger than a test wants.")
        low, high = node.interval(*edges, T=self.T)
        node.require_int32("output", low, high)
        values, _ = node.advance(*(g.values for g in sources), steps=range(self.T), state=None)
        grown = Grown(node, Edge(shape, low, high, node.timed(*edges)), values)
        self.grown.append(grown)
        return grown

    def close(self, loop: ir.Delay) -> None:
        """The neuron that `loop` reads, over a current of its shape."""
        same = [g for g in self.grown if g.edge.shape == loop.shape and g.edge.reach <= LARGE and g.edge.timed]
        node = self.neuron(self.pick(same), loop.inputs[0], self.levels_of[loop.name])
        self.append(node)

    def finished(self) -> ir.IntGraph:
        """A head over a late edge, and up to three more outputs."""
        x = self.edge()
        if len(x.edge.shape) == 3:
            x = self.append(ir.Flatten(self.name(ir.Flatten), (x.name,)))
        if x.edge.shape[0] > 64 or self.coin():
            x = self.append(self.linear_of(x, self.pick((1, 2, 10, 33))))
        if x.edge.reach * self.T > LARGE:
            x = self.append(self.requantised(x))
        x = self.append(ir.SumTime(self.name(ir.SumTime), (x.name,)))
        if self.coin(0.3):
            x = self.append(self.affine_of(x))
        if self.coin(0.2):
            x = self.append(ir.Add(self.name(ir.Add), (x.name, x.name)))
        others = [g.name for g in self.grown if g is not x and not isinstance(g.node, ir.Input)]
        names = [x.name, *self.rng.permutation(others)[: self.whole(0, 3)].tolist()]
        outputs = tuple(ir.Output(str(n), 2.0 ** self.whole(-12, 2)) for n in names)
        return ir.IntGraph(tuple(g.node for g in self.grown), self.T, outputs, meta={"origin": "wide_graph"})

    # Operations.

    def conv(self) -> ir.Operation:
        x = self.edge(rank=3)
        c, out = x.edge.shape[0], self.pick(CHANNELS)
        groups = self.pick([g for g in range(1, c + 1) if c % g == 0 and out % g == 0]) if self.coin(0.3) else 1
        kernel = (self.pick((1, 1, 2, 3)), self.pick((1, 2, 3, 3)))
        dilation = (self.pick((1, 2, 3)), self.pick((1, 1, 2))) if self.coin(0.4) else (1, 1)
        spans = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        padding = tuple(self.whole(0, s - 1) for s in spans) if self.coin() else tuple(s // 2 for s in spans)
        weight, bits, grid = self.weight(out, c // groups, *kernel)
        stride = self.pick(((1, 1), (1, 1), (2, 1), (2, 2), (3, 2)))
        return ir.Conv(self.name(ir.Conv), (x.name,), weight, bits, stride, padding, groups, grid, dilation)

    def weight(self, *shape: int) -> tuple[NDArray[np.int8], int, Any]:
        bits = self.pick((1, 1, 2, 3, 4, 8))
        grid = "symmetric" if bits == 1 else self.pick(GRIDS)
        low, high = w_range(bits, grid)
        return self.rng.integers(low, high + 1, shape).astype(np.int8), bits, grid

    def linear(self) -> ir.Operation:
        return self.linear_of(self.edge(rank=1), self.pick(CHANNELS))

    def linear_of(self, x: Grown, out: int) -> ir.Operation:
        weight, bits, grid = self.weight(out, x.edge.shape[0])
        return ir.Linear(self.name(ir.Linear), (x.name,), weight, bits, grid)

    def affine(self) -> ir.Operation:
        return self.affine_of(self.edge())

    def affine_of(self, x: Grown) -> ir.Operation:
        """Constants by channel or for all, by step or for all, and often a clip."""
        shape = (self.T if self.coin(0.3) and x.edge.timed else 1, x.edge.shape[0] if self.coin(0.7) else 1)
        top = 2 ** self.whole(1, 30)
        shift = max(round(math.log2(top * max(x.edge.reach, 1))) - self.whole(4, 17), 0)
        clip = (-self.whole(0, 300), self.whole(0, 300)) if self.coin(0.4) else None
        if clip is not None and self.coin(0.4):
            shift = max(shift - 14, 0)  # beyond int32 but for the clip
        return ir.Affine(
            self.name(ir.Affine), (x.name,), self.rng.integers(-top // 3, top, shape).astype(np.int32),
            np.full(shape, min(shift, 62), np.uint8), self.rng.integers(-200, 200, shape).astype(np.int32), clip,
        )  # fmt: skip

    def requantised(self, x: Grown) -> ir.Operation:
        """Brings values back to 12 bits."""
        one = np.ones((1, 1), np.int32)
        shift = max(x.edge.reach.bit_length() - 11, 0)
        return ir.Affine(self.name(ir.Affine), (x.name,), one, (one * shift).astype(np.uint8), one * 0, None)

    def add(self) -> ir.Operation:
        if self.coin(0.4):
            return ir.Add(self.name(ir.Add), self.broadcast_pair())
        found = self.of_one(self.whole(2, 4), lambda e: (e.shape, e.timed))
        return ir.Add(self.name(ir.Add), tuple(g.name for g in found))

    def mul(self) -> ir.Operation:
        return ir.Mul(self.name(ir.Mul), self.broadcast_pair())

    def broadcast_pair(self) -> tuple[str, str]:
        """An edge and one that fits it, a constant with dimensions of 1 where there is no other."""
        x = self.edge()

        def fits(shape: tuple[int, ...]) -> bool:
            return all(a == b or 1 in (a, b) for a, b in zip(shape, x.edge.shape, strict=True))

        alike = [g for g in self.grown if len(g.edge.shape) == len(x.edge.shape) and fits(g.edge.shape)]
        alike = [g for g in alike if g.edge.timed == x.edge.timed and g.edge.reach <= 2**12]
        if not alike or self.coin(0.3):
            alike = [self.append(self.constant_of(tuple(d if self.coin() else 1 for d in x.edge.shape)))]
        pair = [x.name, self.pick(alike).name]
        return tuple(self.rng.permutation(pair).tolist())

    def matmul(self) -> ir.Operation:
        """Two edges whose sizes fit in one of the four ways, by row where rows agree."""
        a, b = self.edge(), self.edge()
        by_row = self.coin(0.3)
        (ca, ha, wa), (cb, hb, wb) = as_map(a.edge.shape), as_map(b.edge.shape)
        na, nb = (wa, wb) if by_row else (ha * wa, hb * wb)
        heads = self.pick([h for h in range(1, min(ca, cb, 8) + 1) if ca % h == 0 and cb % h == 0])
        sides = {(False, False): (na, cb // heads), (True, False): (ca // heads, cb // heads),
                 (False, True): (na, nb), (True, True): (ca // heads, nb)}  # fmt: skip
        ways = [t for t, (k, other) in sides.items() if k == other]
        if not ways or (by_row and ha != hb):
            raise GraphError("no way to multiply these.")
        transpose = self.pick(ways)
        columns = cb // heads if transpose[1] else nb
        halves = [(columns // d, d) for d in (1, 2, 3, columns) if columns % d == 0]
        space = (ha, columns) if by_row else self.pick(halves)
        return ir.Matmul(self.name(ir.Matmul), (a.name, b.name), heads, transpose, space, by_row)

    def constant(self) -> ir.Operation:
        return self.constant_of(self.edge().edge.shape)

    def constant_of(self, shape: tuple[int, ...]) -> ir.Operation:
        reach = self.pick((1, 8, 500))
        return ir.Constant(self.name(ir.Constant), (), self.rng.integers(-reach, reach + 1, shape).astype(np.int32))

    def gather(self) -> ir.Operation:
        found = self.of_one(self.pick((1, 1, 2, 3)), lambda e: (as_map(e.shape)[0], e.timed))
        size = sum(math.prod(as_map(g.edge.shape)[1:]) for g in found)
        space = self.pick(SPACES)
        index = self.rng.permutation(size)[: math.prod(space)] if self.coin(0.3) else ()
        if len(index) != math.prod(space):
            index = self.rng.integers(-1, size, math.prod(space))
        return ir.Gather(self.name(ir.Gather), tuple(g.name for g in found), index.reshape(space).astype(np.int32))

    def channel_map(self) -> ir.Operation:
        found = self.of_one(self.pick((1, 1, 2, 3)), lambda e: (e.shape[1:], e.timed))
        source = self.rng.integers(-1, sum(g.edge.shape[0] for g in found), self.pick(CHANNELS)).astype(np.int16)
        if self.coin(0.3):
            source = np.arange(sum(g.edge.shape[0] for g in found), dtype=np.int16)
        names = tuple(g.name for g in found)
        return ir.ChannelMap(self.name(ir.ChannelMap), names, source, self.pick((1, 1, 2)))

    def lif(self) -> ir.Operation:
        return self.neuron(self.edge(), self.name(ir.Lif), int(self.pick((1, 1, 2, 4, 15, 255))))

    def charge(self) -> ir.Operation:
        lif = self.neuron(self.edge(), self.name(ir.Charge), int(self.pick((1, 1, 4))))
        return ir.Charge(*(getattr(lif, field.name) for field in dataclasses.fields(lif)))

    def neuron(self, x: Grown, name: str, levels: int) -> ir.Operation:
        """Any leak, constants for all or by channel, any reset, start and rounding."""
        bits = self.pick((0, 1, 1, 2, 8, 12, 15))
        one, n, by = 2**bits, x.edge.shape[0], self.coin(0.35)

        def number(low: int, high: int) -> Any:
            return self.rng.integers(low, high + 1, n).astype(np.int32) if by and self.coin() else self.whole(low, high)

        leak = self.pick((0, one // 2, one, one - 1, number(0, one)))
        gain = self.pick((one, 1, number(1, one)))
        charges = (np.min(gain) * x.values) >> bits
        positive = charges[charges > 0]
        tie = int(self.pick(positive)) * int(self.pick((1, 1, 2))) if positive.size else 1
        threshold = number(1, max(tie, 1)) if self.coin(0.3) else max(tie, 1)
        step = number(1, max(tie // max(levels, 1), 1) + 1) if levels > 1 and self.coin(0.8) else None
        reset = self.pick(("hard", "soft", "hard", "soft", number(0, 2 * max(tie, 1))))
        stored = ir.Membrane(self.pick((2, 4, 8, 3)), self.whole(1, max(tie.bit_length(), 1)))
        membrane = stored if self.coin() else None
        start = number(-tie, tie) if self.coin(0.3) else 0
        rounding = self.pick(("floor", "half"))
        return ir.Lif(name, (x.name,), leak, gain, bits, threshold, reset, membrane, levels, step, start, rounding)

    def max_pool(self) -> ir.Operation:
        kernel = (self.pick((1, 2, 3)), self.pick((1, 2, 3)))
        padding = tuple(self.whole(0, k // 2) for k in kernel)
        stride = (self.pick((1, 2)), self.pick((1, 2, 3)))
        return ir.MaxPool(self.name(ir.MaxPool), (self.edge(rank=3).name,), kernel, stride, padding)

    def sum_pool(self) -> ir.Operation:
        x = self.edge(rank=3)
        kernel = tuple(self.whole(1, d) for d in x.edge.shape[1:])
        if self.coin():
            kernel = (min(kernel),) * 2
        return ir.SumPool(self.name(ir.SumPool), (x.name,), kernel)

    def flatten(self) -> ir.Operation:
        return ir.Flatten(self.name(ir.Flatten), (self.edge(rank=3).name,))

    def running(self) -> ir.Operation:
        return ir.SumTime(self.name(ir.SumTime), (self.edge().name,), True)

    def delay(self) -> ir.Operation:
        """An edge one step later, or once in a while a neuron that is still to come."""
        x = self.edge()
        if self.coin(0.6) or len(self.loops) == 2:
            return ir.Delay(self.name(ir.Delay), (x.name,), x.edge.shape)
        levels = int(self.pick((1, 1, 3)))
        node = ir.Delay(self.name(ir.Delay), (f"loop {len(self.loops)}",), x.edge.shape)
        n = x.edge.shape[0]
        edge = Edge(x.edge.shape, np.zeros(n, np.int64), np.full(n, levels, np.int64), timed=True)
        self.grown.append(Grown(node, edge, self.rng.integers(0, levels + 1, (self.T, 2, *x.edge.shape))))
        self.loops.append(node)
        self.levels_of[node.name] = levels
        raise GraphError("appended already.")
