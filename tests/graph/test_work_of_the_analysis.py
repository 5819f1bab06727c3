"""Deriving intervals takes time in proportion to the graph, or the graph is refused by name."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelet.base.errors import GraphError, OverflowRefused
from spikelet.graph import ir
from spikelet.graph.analysis import MAX_PROOF, MAX_READS, analyse
from spikelet.graph.edge import Edge
from spikelet.graph.ops.growth import Growth
from spikelet.graph.ops.mul import corners
from tests.nodes import conv
from tests.small_edges import graph_of

SOFT = {"leak": 2**15, "gain": 2**10, "leak_bits": 15, "threshold": 2**31 - 1, "reset": "soft", "membrane": None}


def _neurons(count: int, channels: int, **fields: object) -> ir.IntGraph:
    """So many neurons that read the input; half rounding keeps their bounds just beyond what can be proved at once."""
    first = ir.Input("x", (), (channels,))
    neurons = [ir.Lif(f"s{i}", ("x",), **(SOFT | {"rounding": "half"} | fields)) for i in range(count)]  # type: ignore[arg-type]
    return graph_of(first, *neurons, ir.SumTime("y", ("s0",)), time_steps=1024)


def test_a_membrane_that_has_to_be_followed_for_many_steps_counts_them() -> None:
    assert analyse(_neurons(2, 1))["s1"].high.tolist() == [1]
    with pytest.raises(
        GraphError, match=rf"s255: proving that its values fit 32 bits takes .*, {MAX_PROOF} are allowed"
    ):
        analyse(_neurons(300, 1))
    start = np.arange(4, dtype=np.int32)
    with pytest.raises(GraphError, match=r"s\d+: proving that its values fit 32 bits takes .* Use fewer time steps"):
        analyse(_neurons(300, 4, start=start, reset=5))


def test_thousands_of_neurons_whose_bound_is_plain_are_analysed() -> None:
    edges = analyse(_neurons(4000, 1, leak=2, gain=1, leak_bits=1, threshold=2**31 - 1, reset="hard", rounding="floor"))
    assert edges["s3999"].high.tolist() == [1]


def test_a_convolution_of_as_many_groups_as_channels_has_the_interval_of_each() -> None:
    codes = np.random.default_rng(0).integers(-7, 8, (4096, 1, 1, 2)).astype(np.int8)
    node = conv("c", ("x",), codes, 4, (1, 1), (0, 0), 4096)
    edge = analyse(graph_of(ir.Input("x", (), (4096, 1, 2)), node, ir.Flatten("f", ("c",)), ir.SumTime("y", ("f",))))[
        "c"
    ]
    wide = 255 * codes.astype(np.int64).reshape(4096, 2)
    assert np.array_equal(edge.low, np.minimum(wide, 0).sum(1))
    assert np.array_equal(edge.high, np.maximum(wide, 0).sum(1))


def test_a_convolution_of_several_groups_has_the_interval_of_each_group() -> None:
    rng = np.random.default_rng(1)
    low, high = np.sort(rng.integers(-9, 10, (2, 6)), axis=0)
    codes = rng.integers(-7, 8, (9, 2, 2, 3)).astype(np.int8)
    node = conv("c", ("x",), codes, 4, (1, 1), (0, 0), 3)
    found = node.interval(Edge((6, 4, 4), low, high, True), T=1)
    for o in range(9):
        channels = slice(o // 3 * 2, o // 3 * 2 + 2)
        ends = (
            codes[o].reshape(2, -1) * np.minimum(low, 0)[channels, None],
            codes[o].reshape(2, -1) * np.maximum(high, 0)[channels, None],
        )
        assert found[0][o] == np.minimum(*ends).sum() and found[1][o] == np.maximum(*ends).sum()


@pytest.mark.parametrize("transpose", [(False, False), (False, True), (True, False), (True, True)])
def test_a_product_of_several_heads_has_the_interval_of_each_head(transpose: tuple[bool, bool]) -> None:
    rng = np.random.default_rng(2)
    n = 4  # positions, and channels of a head: every matrix is square
    edges = []
    for _ in range(2):
        low, high = np.sort(rng.integers(-9, 10, (2, 3 * n)), axis=0)
        edges.append(Edge((3 * n, 1, n), low, high, True))
    node = ir.Matmul("m", ("a", "b"), 3, transpose, (1, n))
    low, high = node.interval(*edges, T=1)
    for g in range(3):
        a, b = (np.stack([e.low, e.high])[:, g * n : (g + 1) * n, None].repeat(n, 2) for e in edges)
        a, b = (m.transpose(0, 2, 1) if t else m for m, t in zip((a, b), transpose, strict=True))
        least, most = corners(a[0][:, :, None], a[1][:, :, None], b[0][None], b[1][None])  # [R, K, S]
        rows = slice(g * n, (g + 1) * n)
        assert (low[rows] <= np.minimum(least, 0).sum(1).min(1)).all()
        assert (high[rows] >= np.maximum(most, 0).sum(1).max(1)).all()


def test_a_product_of_as_many_heads_as_channels_is_analysed() -> None:
    heads = ir.Matmul("m", ("s", "s"), 65536, (False, True), (1, 1))
    neuron = ir.Lif("s", ("x",), 0, 1, 0, 5, "hard", None)
    end = ir.Flatten("f", ("m",)), ir.SumTime("y", ("f",))
    edge = analyse(graph_of(ir.Input("x", (), (65536, 1, 1)), neuron, heads, *end))["m"]
    assert (int(edge.low.min()), int(edge.high.max())) == (0, 1)


def test_inputs_of_all_nodes_are_counted() -> None:
    spikes = [ir.Lif(f"s{i}", ("x",), 0, 1, 0, 5, "hard", None) for i in range(64)]
    sums = [ir.Add(f"a{i}", tuple(s.name for s in spikes)) for i in range(520)]
    graph = graph_of(ir.Input("x", (), (1,)), *spikes, *sums, ir.SumTime("y", ("a0",)))
    with pytest.raises(GraphError, match=rf"the nodes have 33345 inputs together, a graph may have {MAX_READS}"):
        analyse(graph)
    analyse(dataclasses.replace(graph, nodes=(*graph.nodes[:500], graph.nodes[-1])))


def test_constants_by_time_step_and_channel_are_counted() -> None:
    steps = (np.full((1024, 1), v, t) for v, t in ((1, np.int32), (40, np.uint8), (0, np.int32)))
    graph = graph_of(
        ir.Input("x", (), (65536,)), ir.Affine("a", ("x",), *steps), ir.SumTime("y", ("a",)), time_steps=1024
    )
    with pytest.raises(GraphError, match="a: proving that its values fit 32 bits"):
        analyse(graph)


# --- the bound of a membrane ---------------------------------------------------------------------------


def _random_neuron(rng: np.random.Generator) -> ir.Lif:
    bits = int(rng.integers(0, 16))
    levels = int(rng.choice([1, 1, 2, 5, 255]))
    by_channel = rng.random() < 0.4

    def number(low: int, high: int) -> int | np.ndarray:
        size = 3 if by_channel and rng.random() < 0.5 else None
        values = np.exp(rng.uniform(np.log(low + 1), np.log(high + 1), size)) - 1
        return int(np.clip(values, low, high)) if size is None else np.clip(values, low, high).astype(np.int32)

    leak = 2**bits if rng.random() < 0.4 else number(0, 2**bits)
    reset = "hard" if rng.random() < 0.3 else "soft" if rng.random() < 0.4 else number(0, 2**24)
    membrane = ir.Membrane(int(rng.integers(2, 9)), int(rng.integers(1, 23))) if rng.random() < 0.3 else None
    step = number(1, 2**24) if levels > 1 and rng.random() < 0.5 else None
    start = number(0, 2**20) if rng.random() < 0.3 else 0
    return ir.Lif("s", ("x",), leak, number(1, 2**bits), bits, number(1, 2**26), reset, membrane, levels, step,
                  start, rng.choice(["floor", "half"]))  # fmt: skip


def test_a_bound_that_fits_holds_every_membrane_that_is_grown_step_by_step() -> None:
    rng = np.random.default_rng(5)
    proved = grown = 0
    for _ in range(1500):
        reach = int(2 ** rng.uniform(1, 31))
        low, high = np.sort(rng.integers(-reach, reach, (2, 3)), axis=0)
        node, steps = _random_neuron(rng), int(rng.choice([1, 2, 7, 64, 300]))
        growth = Growth(node, Edge((3,), low, high, True))
        try:
            growth.settles(steps)
            grown += 1
        except OverflowRefused:
            assert not growth.fits_always(steps)
            continue
        proved += growth.fits_always(steps)
    assert proved > 0.9 * grown > 300


def test_a_bound_holds_every_membrane_of_random_currents() -> None:
    rng = np.random.default_rng(6)
    for _ in range(400):
        reach = int(2 ** rng.uniform(1, 24))
        low, high = np.sort(rng.integers(-reach, reach, (2, 3)), axis=0)
        node = _random_neuron(rng)
        growth = Growth(node, Edge((3,), low, high, True))
        if not growth.fits_always(40):
            continue
        least, most = growth.bound(40)
        x = (
            np.where(rng.random((39, 1, 3)) < 0.5, low, high)
            if rng.random() < 0.5
            else np.array([[rng.choice([low, high])]])
        )
        state = None
        for t in range(39):
            _, state = node.advance(x[min(t, len(x) - 1)][None], steps=range(t, t + 1), state=state)
            assert state is not None and (state >= least).all() and (state <= most).all()
