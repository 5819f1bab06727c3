"""Overflow is refused by name, and only beyond the last integer that fits."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from spikelet.base.errors import GraphError, OverflowRefused
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from tests.nodes import conv, linear
from tests.small_edges import TOP, X1, between, constant, graph_of

# --- overflow is refused, by name, and only beyond the last integer ----------------------------------


@pytest.mark.parametrize(
    ("value", "other", "fits"), [(TOP, 0, True), (TOP, 1, False), (-TOP, -1, True), (-TOP, -2, False)]
)
def test_the_last_integer_fits_and_the_next_is_refused(value: int, other: int, fits: bool) -> None:
    graph = graph_of(
        X1, constant("a", "x", value), constant("b", "x", other), ir.Add("sum", ("a", "b")), ir.SumTime("y", ("sum",))
    )
    if fits:
        assert analyse(graph)["sum"].low == value + other
        return
    with pytest.raises(OverflowRefused, match=rf"sum: a partial sum may reach \[.*{value + other}.*\], beyond 32 bits"):
        analyse(graph)


def _overflowing(node: ir.Operation, *shape: int) -> ir.IntGraph:
    """`node` over an edge "a" of -2^30 in every channel."""
    return graph_of(ir.Input("x", (), shape), constant("a", "x", *[-(2**30)] * shape[0]), node, time_steps=3)


@pytest.mark.parametrize(
    ("node", "shape"),
    [
        (conv("n", ("a",), np.ones((1, 3, 1, 1), np.int8), 1, (1, 1), (0, 0), 1), (3, 1, 1)),
        (linear("n", ("a",), np.full((1, 1), -2, np.int8), 3), (1,)),
        (ir.Affine("n", ("a",), *(np.array([v], t) for v, t in ((5, np.int32), (1, np.uint8), (0, np.int32)))), (1,)),
        (ir.Add("n", ("a", "a", "a")), (1,)),
        (ir.SumPool("n", ("a",), 2), (1, 2, 2)),
        (ir.SumTime("n", ("a",)), (1,)),
    ],
    ids=lambda v: type(v).__name__ if isinstance(v, ir.Operation) else "",
)
def test_an_overflow_is_refused_by_the_name_of_its_node(node: ir.Operation, shape: tuple[int, ...]) -> None:
    with pytest.raises(
        OverflowRefused, match=r"n: (output|a partial sum) may reach \[.*\], beyond 32 bits\. Use fewer input channels"
    ):
        analyse(_overflowing(node, *shape))


@pytest.mark.parametrize(("time_steps", "fits"), [(2, True), (3, False)])
def test_a_membrane_that_sinks_below_32_bits_is_refused(time_steps: int, fits: bool) -> None:
    lif = ir.Lif("s", ("a",), 1, 1, 0, 1, "hard", None)
    graph = graph_of(X1, constant("a", "x", -(2**30)), lif, ir.SumTime("y", ("s",)), time_steps=time_steps)
    if fits:
        analyse(graph)
        return
    with pytest.raises(OverflowRefused, match=r"s: the charge may reach \[-3221225472, "):
        analyse(graph)


def test_a_charge_that_rises_above_32_bits_is_refused() -> None:
    lif = ir.Lif("s", ("a",), 2, 2, 1, TOP, "soft", None)
    nodes = X1, constant("a", "x", 2**30), lif, ir.SumTime("y", ("s",))
    analyse(graph_of(*nodes))  # 2^31 before the shift
    with pytest.raises(OverflowRefused, match=r"s: the charge may reach \[1073741824, 2147483648\]"):
        analyse(graph_of(*nodes, time_steps=2))


def test_a_membrane_that_is_rounded_above_32_bits_is_refused() -> None:
    lif = ir.Lif("s", ("a",), 1, 1, 0, TOP, "soft", ir.Membrane(8, 22))
    with pytest.raises(OverflowRefused, match=r"s: the rounded membrane may reach \[0, "):
        analyse(graph_of(X1, constant("a", "x", TOP - 2**21), lif, ir.SumTime("y", ("s",))))


@pytest.mark.parametrize("seed", range(100))
def test_where_a_neuron_is_accepted_no_sequence_of_extreme_currents_overflows_it(seed: int) -> None:
    rng = np.random.default_rng(seed)
    k, T = int(rng.integers(0, 4)), int(rng.integers(1, 7))
    leak, gain = int(rng.integers(0, 2**k + 1)), int(rng.integers(1, 2**k + 1))
    threshold, reset = int(2 ** rng.uniform(0, 31)), ("hard", "soft", int(2 ** rng.uniform(0, 31)), 0)[seed % 4]
    low = int(rng.integers(-(2**31), 2**31) >> rng.integers(0, 4))
    step = int(rng.integers(0, max((TOP - low) // 255, 1)) >> rng.integers(0, 4))
    membrane = ir.Membrane(int(rng.integers(2, 9)), int(rng.integers(1, 23))) if rng.random() < 0.5 else None
    node = ir.Lif("s", ("a",), leak, gain, k, max(threshold - 1, 1), reset, membrane)  # type: ignore[arg-type]
    try:
        analyse(graph_of(X1, between("a", "x", low, step), node, ir.SumTime("y", ("s",)), time_steps=T))
    except OverflowRefused:
        return
    for currents in itertools.product((low, low + 255 * step, low + 128 * step), repeat=T):
        v = 0
        for current in currents:
            h = (leak * v + gain * current) >> k
            assert -(2**31) <= h <= TOP
            s = h >= node.threshold
            v = h if not s else 0 if node.drop is None else h - node.drop
            assert -(2**31) <= v <= TOP
            if membrane is not None:
                assert v + 2 ** (membrane.shift - 1) <= TOP
                top = 2 ** (membrane.bits - 1) - 1
                v = min(max((v + 2 ** (membrane.shift - 1)) >> membrane.shift, -top), top) << membrane.shift


def test_partial_sums_that_leave_int32_are_refused_though_the_whole_sum_fits() -> None:
    big = constant("big", "x", 2_000_000_000)
    small = constant("small", "x", -2_000_000_000)
    graph = ir.IntGraph.of_logits(
        (ir.Input("x", (), (1,)), big, small, ir.Add("sum", ("big", "big", "small")), ir.SumTime("out", ("sum",))),
        1,
        1.0,
    )
    with pytest.raises(OverflowRefused, match="sum: a partial sum may reach"):
        analyse(graph)


def test_a_numpy_attribute_is_refused_because_it_could_wrap() -> None:
    pool = ir.MaxPool("pool", ("x",), np.int32(2), 1, 0)  # type: ignore[arg-type]
    graph = ir.IntGraph.of_logits((ir.Input("x", (), (1, 4, 4)), pool), 1, 1.0)
    with pytest.raises(GraphError, match=r"pool: kernel must be a plain Python number, got np.int32\(2\)"):
        analyse(graph)


def test_flattening_more_than_fits_is_refused_before_memory_is_taken() -> None:
    graph = ir.IntGraph.of_logits((ir.Input("x", (), (3, 20_000, 20_000)), ir.Flatten("flat", ("x",))), 1, 1.0)
    with pytest.raises(GraphError, match="flat: input size must be at most 16777216 values, got 1200000000"):
        analyse(graph)


def test_a_sum_of_more_weights_than_its_own_bounds_can_hold_is_refused():
    weight = np.ones((1, 1, 4097, 4097), np.int8)
    nodes = (
        ir.Input("x", (), (1, 4097, 4097)),
        conv("c", ("x",), weight, 1, (1, 1), (0, 0), 1),
        ir.Flatten("f", ("c",)),
        ir.SumTime("y", ("f",)),
    )
    with pytest.raises(GraphError, match="c: weights of one output must be at most 16777216, got 16785409"):
        analyse(ir.IntGraph.of_logits(nodes, 1, 1.0))
