"""Small files of many, wide, thin and deep nodes, from a seeded generator: each loads and is planned, or is refused by
the name of a limit."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spikelet.base.errors import ArtifactError, GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import MAX_PROOF, analyse
from spikelet.graph.file.artifact import dumps, loads
from spikelet.runtime import Program
from tests.small_edges import graph_of

Rng = np.random.Generator
LIMITS = (
    r"max_bytes allows|max_operations allows|proving that its values|inputs together|beyond 32 bits|at most 16777216"
)


def _lif(name: str, source: str, rng: Rng) -> ir.Lif:
    reset = ("hard", "soft", int(rng.integers(0, 9)))[rng.integers(3)]
    leak, threshold, levels = rng.integers(2**12, 2**15 + 1), rng.integers(9, 2**29), rng.choice([1, 1, 255])
    return ir.Lif(name, (source,), int(leak), 2**10, 15, int(threshold), reset, None, int(levels), rounding="half")


def _affine(name: str, source: str, steps: int) -> ir.Affine:
    constants = (np.full((steps, 1), v, t) for v, t in ((1, np.int32), (40, np.uint8), (0, np.int32)))
    return ir.Affine(name, (source,), *constants)


def _conv(name: str, source: str, channels: int, groups: int) -> ir.Conv:
    return ir.Conv(name, (source,), np.zeros((channels, channels // groups, 1, 1), np.int8), 1, (1, 1), (0, 0), groups)


def _next(word: str, name: str, sources: list[str], shape: tuple[int, int, int], steps: int, rng: Rng) -> ir.Operation:
    """A node of one kind that keeps (C, H, W)."""
    c, h, w = shape
    last, several = sources[-1], tuple(sources[-64:]) if len(sources) > 1 else (sources[-1],) * 2
    made: dict[str, Callable[[], ir.Operation]] = {
        "lif": lambda: _lif(name, last, rng),
        "affine": lambda: _affine(name, last, 1),
        "affine by step": lambda: _affine(name, last, steps),
        "depthwise": lambda: _conv(name, last, c, c),
        "conv": lambda: _conv(name, last, c, 1 if c < 512 else c // 8),
        "add": lambda: ir.Add(name, several),
        "mul": lambda: ir.Mul(name, (sources[0], sources[0])),
        "maxpool": lambda: ir.MaxPool(name, (last,), (1, 1), (1, 1), (0, 0)),
        "channelmap": lambda: ir.ChannelMap(name, several, np.arange(c).astype(np.int16), 1),
        "gather": lambda: ir.Gather(name, several, np.arange(h * w, dtype=np.int32).reshape(h, w)),
        "matmul": lambda: ir.Matmul(name, (sources[0], sources[0]), c, (False, True), (1, 1)),
        "delay": lambda: ir.Delay(name, (last,), shape),
        "running": lambda: ir.SumTime(name, (last,), True),
    }
    return made[word]()


WORDS = ("lif", "affine", "affine by step", "depthwise", "conv", "add", "mul", "maxpool", "channelmap", "gather",
         "matmul", "delay", "running")  # fmt: skip


def _bomb(word: str, seed: int) -> ir.IntGraph:
    """Nodes of one kind, as many as a file of some hundred kilobytes may have."""
    rng = np.random.default_rng(seed)
    count = int(rng.choice([2, 30, 400, 3000]))
    shape = ((1, 1, 1), (4, 1, 1), (2048, 1, 1), (32_000, 1, 1), (1, 64, 64), (8, 16, 16))[rng.integers(6)]
    if word == "matmul":
        shape = shape[0], 1, 1
    steps = int(rng.choice([1, 8, 1024]))
    nodes: list[ir.Operation] = [ir.Input("x", (), shape), ir.Lif("s", ("x",), 0, 1, 0, 5, "hard", None)]
    names = ["s"]
    for i in range(count):
        nodes.append(_next(word, f"n{i}", names, shape, steps, rng))
        if word in ("add", "running", "channelmap", "gather"):
            names = names if len(names) > 1 else ["s", f"n{i}"]
        else:
            names.append(f"n{i}")
        if word == "running":
            names = ["s"]
    nodes += [ir.Flatten("flat", (nodes[-1].name,)), ir.SumTime("logits", ("flat",))]
    return graph_of(*nodes, time_steps=steps)


@pytest.mark.parametrize("word", WORDS)
def test_many_nodes_of_one_kind_load_and_are_planned_or_are_refused_by_a_limit(word: str) -> None:
    for seed in range(3):
        graph = _bomb(word, seed)
        try:
            loaded = loads(dumps(graph), max_bytes=2**26)
            Program(loaded, max_bytes=2**27)
        except (ArtifactError, GraphError) as error:
            assert any(limit in str(error) for limit in LIMITS), str(error)[:300]


def test_an_analysis_is_counted_before_each_node() -> None:
    nodes = [_affine(f"a{i}", "x", 1024) for i in range(40)]
    graph = graph_of(ir.Input("x", (), (1024,)), *nodes, ir.SumTime("logits", ("a0",)), time_steps=1024)
    with pytest.raises(GraphError, match=rf"a31: proving .* analysis to \d+ values, {MAX_PROOF} are allowed"):
        analyse(graph)
