"""Sums of spikes in planes: every logit is the reference's, whatever reads them; and only where lists of events do."""

from __future__ import annotations

import numpy as np
import pytest

from spikelet.graph import ir
from spikelet.runtime import load_plan, plan_of, save_plan
from spikelet.runtime.plan.kinds import Form, Kind
from tests.nodes import conv
from tests.small_edges import graph_of
from tests.support.kernel_sets import assert_equal_everywhere

SIZES = (1, 2, 3, 7, 8, 9, 63, 64, 65, 130)


def stream(
    terms: int, width: int, *, bits: int = 1, groups: int = 1, kernel: int = 3, signs: tuple[int, ...] = (-1, 1)
) -> ir.IntGraph:
    """`terms` maps of spikes of one width, added up one by one, and a layer of 70 outputs behind them."""
    rng = np.random.default_rng([terms, width, bits])
    neurons = [ir.Lif(f"s{i}", ("x",), 1, 2, 1, 12 + 9 * i, "hard", None) for i in range(terms)]
    nodes: list[ir.Operation] = [ir.Input("x", (), (width, 3, 4)), *neurons]
    last = "s0"
    for i in range(1, terms):
        nodes.append(ir.Add(f"sum{i}", (last, f"s{i}")))
        last = f"sum{i}"
    top = 1 if bits == 1 else 2 ** (bits - 1) - 1
    codes = rng.choice(signs, (70, width // groups, kernel, kernel)) * top
    pad = (kernel // 2, kernel // 2)
    return graph_of(
        *nodes, conv("c", (last,), codes, bits, (1, 1), pad, groups), ir.Lif("l", ("c",), 1, 2, 1, 3, "hard", None),
        ir.Flatten("f", ("l",)), ir.SumTime("logits", ("f",)), time_steps=3,
    )  # fmt: skip


def kinds(graph: ir.IntGraph, **more: object) -> list[Kind]:
    return [op.kind for op in plan_of(graph, "portable", **more).operations]  # type: ignore[arg-type]


def assert_right(graph: ir.IntGraph) -> None:
    rng = np.random.default_rng(3)
    steps, shape = graph.time_steps, graph.input.shape
    assert_equal_everywhere(graph, rng.integers(0, 256, (steps, 2, *shape), dtype=np.uint8))
    assert_equal_everywhere(graph, np.full((1, *shape), 255, np.uint8))
    assert_equal_everywhere(graph, np.zeros((1, *shape), np.uint8))


@pytest.mark.parametrize("width", SIZES)
@pytest.mark.parametrize("terms", [2, 3, 4, 9, 15])
def test_sums_of_every_width_are_listed_as_the_reference_adds_them(terms: int, width: int) -> None:
    graph = stream(terms, width)
    assert kinds(graph).count(Kind.ADD_PLANES) == terms - 1
    assert_right(graph)


@pytest.mark.parametrize("bits", [1, 2, 4])
@pytest.mark.parametrize("kernel", [1, 3])
def test_groups_and_other_bits_list_planes_too(bits: int, kernel: int) -> None:
    graph = stream(3, 140, bits=bits, groups=1 if bits == 1 else 7, kernel=kernel)
    assert Kind.ADD_PLANES in kinds(graph)
    assert_right(graph)


def test_counts_fill_all_sixteen_planes() -> None:
    full = stream(15, 4095, kernel=1, signs=(1,))
    assert Kind.ADD_PLANES in kinds(full)
    assert_right(full)


def test_sixteen_maps_are_too_many_for_four_planes() -> None:
    graph = stream(16, 9)
    assert kinds(graph).count(Kind.ADD_PLANES) == 0
    assert_right(graph)


def test_a_sum_of_several_at_once_and_of_one_map_twice() -> None:
    base = stream(3, 20)
    nodes = [node for node in base.nodes if not isinstance(node, ir.Add)]
    at = next(i for i, node in enumerate(nodes) if node.name == "c")
    graph = graph_of(*nodes[:at], ir.Add("sum2", ("s0", "s1", "s1", "s2")), *nodes[at:], time_steps=3)
    assert kinds(graph).count(Kind.ADD_PLANES) == 3
    assert_right(graph)


def test_who_reads_no_lists_gets_values() -> None:
    """A pool and an affine step beside the layer; a residual sum that both read is unpacked once."""
    base = stream(4, 24, kernel=1)
    more = (
        ir.MaxPool("pool", ("sum3",), (3, 3), (1, 1), (1, 1)),
        ir.Affine("scaled", ("sum3",), np.array([3], np.int32), np.array([1], np.uint8), np.array([-2], np.int32)),
        ir.Lif("pooled", ("pool",), 1, 2, 1, 2, "hard", None),
        ir.Lif("fired", ("scaled",), 1, 2, 1, 2, "hard", None),
    )
    graph = graph_of(
        *base.nodes[:-2], *more,
        ir.ChannelMap("all", ("l", "pooled", "fired"), np.arange(70 + 24 + 24, dtype=np.int16), 1),
        ir.Flatten("f", ("all",)), ir.SumTime("logits", ("f",)), time_steps=3,
    )  # fmt: skip
    assert kinds(graph).count(Kind.ADD_PLANES) == 3
    plan = plan_of(graph, "portable")
    assert sum(op.kind is Kind.UNPACK and op.number("source") == Form.PLANES for op in plan.operations) == 1
    assert_right(graph)


def test_a_layer_that_multiplies_reads_values() -> None:
    graph = stream(3, 64)
    assert Kind.ADD_PLANES not in kinds(graph, choices={"c": "CONV_QUADS"})
    wanted_itself = plan_of(graph, "portable", result="spikes")
    assert Kind.ADD_PLANES in [op.kind for op in wanted_itself.operations]


def test_the_scalar_set_adds_values() -> None:
    assert Kind.ADD_PLANES not in [op.kind for op in plan_of(stream(3, 64), "scalar").operations]


def test_a_saved_plan_says_planes(tmp_path) -> None:  # type: ignore[no-untyped-def]
    graph = stream(5, 64)
    plan = plan_of(graph, "portable")
    save_plan(plan, tmp_path / "p.json")
    assert load_plan(tmp_path / "p.json", graph).to_json() == plan.to_json()
    assert "64 x 3 x 4 planes" in str(plan)
