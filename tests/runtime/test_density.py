"""Lists of events or multiplication: by what a graph's values are expected to be, and by what both take."""

from __future__ import annotations

import math

import numpy as np
import pytest

import spikelet
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.ops import OPERATIONS
from spikelet.runtime import Plan, plan_of
from spikelet.runtime.plan import costs
from spikelet.runtime.plan.costs import OUTPUTS, Costs
from spikelet.runtime.plan.density import BINARY, OF_LEVELS, mean_values
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.sets import SETS
from tests.format_3_graph import charge_graph, format_3_graph
from tests.nodes import conv
from tests.random_graphs import random_graph
from tests.small_edges import graph_of
from tests.support.kernel_sets import assert_equal_everywhere
from tests.wide_graphs import wide_graph


def residual(terms: int, levels: int, bits: int, width: int = 256, side: int = 2) -> ir.IntGraph:
    """`terms` maps of spikes, added up where they are several, and read by a layer "c"."""
    rng = np.random.default_rng(terms)
    step = 9 if levels > 1 else None
    neurons = [
        ir.Lif(f"s{i}", ("x",), 0, 1, 0, 20 + 10 * i, "hard", None, levels=levels, step=step) for i in range(terms)
    ]
    codes = rng.choice([-1, 1], (width, width, 1, 1))
    total = [ir.Add("sum", tuple(node.name for node in neurons))] if terms > 1 else []
    last = (
        conv("c", ("sum" if total else "s0",), codes, bits, (1, 1), (0, 0), 1),
        ir.Flatten("f", ("c",)),
        ir.SumTime("logits", ("f",)),
    )
    return graph_of(ir.Input("x", (), (width, side, side)), *neurons, *total, *last)


def kind_of(plan: Plan) -> Kind:
    return plan.choices["c"]


def test_every_guess_lies_in_its_edges_interval() -> None:
    graphs = [make(seed) for seed in range(12) for make in (random_graph, wide_graph)] + [
        format_3_graph(),
        charge_graph(),
    ]
    for graph in graphs:
        edges = analyse(graph)
        means = mean_values(graph, edges)
        assert means.keys() == edges.keys()
        for name, mean in means.items():
            assert edges[name].low.min() <= mean <= edges[name].high.max(), name
    assert {type(node) for graph in graphs for node in graph.nodes} == set(OPERATIONS)


def test_spikes_add_up() -> None:
    graph = residual(5, 1, 4)
    means = mean_values(graph, analyse(graph))
    assert means["s0"] == BINARY
    assert means["sum"] == pytest.approx(5 * BINARY)
    graph = residual(2, 4, 4)
    assert mean_values(graph, analyse(graph))["sum"] == pytest.approx(8 * OF_LEVELS)


def test_windows_steps_and_products() -> None:
    graph = graph_of(
        ir.Input("x", (), (2, 8, 8)), ir.Lif("s", ("x",), 0, 1, 0, 9, "hard", None),
        ir.SumPool("p", ("s",), (2, 2)), ir.MaxPool("m", ("s",), (2, 2), (2, 2), (0, 0)),
        ir.Mul("both", ("p", "m")), ir.Flatten("f", ("both",)), ir.SumTime("logits", ("f",)), time_steps=3,
    )  # fmt: skip
    means = mean_values(graph, analyse(graph))
    assert means["p"] == pytest.approx(4 * BINARY)
    assert BINARY < means["m"] < means["p"]
    assert means["logits"] == pytest.approx(3 * means["both"]) == pytest.approx(3 * means["p"] * means["m"])


@pytest.mark.parametrize("kernels", ["portable", "avx2"])
@pytest.mark.parametrize(("terms", "bits"), [(2, 1), (9, 1), (3, 4)])
def test_a_residual_stream_of_spikes_is_listed(kernels: str, terms: int, bits: int) -> None:
    """Nine spikes reach beyond the four that were lists before."""
    graph = residual(terms, 1, bits)
    assert kind_of(plan_of(graph, kernels)) is (Kind.CONV_SLICED if bits == 1 else Kind.CONV_ROWS)


def test_what_is_dense_is_multiplied_where_that_is_cheap() -> None:
    dense = residual(1, 16, 4)
    assert kind_of(plan_of(dense, "avx2")) is Kind.CONV_QUADS
    assert kind_of(plan_of(residual(9, 1, 4), "avx2")) is Kind.CONV_QUADS
    assert kind_of(plan_of(residual(9, 1, 4), "portable")) is Kind.CONV_ROWS
    assert kind_of(plan_of(residual(3, 1, 4, width=8), "avx2")) is Kind.CONV_QUADS  # few outputs: looking costs more
    chosen = plan_of(dense, "avx2", choices={"c": Kind.CONV_ROWS})
    assert kind_of(chosen) is Kind.CONV_ROWS


@pytest.mark.parametrize("terms", [1, 3, 9, 16])
@pytest.mark.parametrize("bits", [1, 4, 8])
def test_results_do_not_depend_on_the_guess(terms: int, bits: int) -> None:
    graph = residual(terms, 1, bits, width=72)
    x = np.random.default_rng(0).integers(0, 256, (3, 72, 2, 2)).astype(np.uint8)
    x[0], x[1] = 0, 255
    assert_equal_everywhere(graph, x)


@pytest.mark.parametrize("of_set", [one.costs for one in SETS.values() if one.costs])
@pytest.mark.parametrize("kind", OUTPUTS)
@pytest.mark.parametrize("wide", [False, True])
def test_there_is_one_break_even(of_set: Costs, kind: Kind, wide: bool) -> None:
    """Lists win below some mean, at which both take the same time, and never above it."""
    listed = np.array([of_set.listed(kind, 384, 9, mean, wide=wide) for mean in np.linspace(0, 50, 501)])
    products = (Kind.CONV_QUADS, Kind.CONV_BLOCKS) if np.isfinite(of_set.blocks) else (Kind.CONV_QUADS,)
    for product in products:
        wins = (listed < of_set.multiplied(product, 384, 384 * 9, 16)).tolist()
        assert wins[0]
        assert not wins[-1]
        assert wins == sorted(wins, reverse=True)


def test_blocks_cost_as_much_as_the_places_and_outputs_that_they_have_room_for() -> None:
    one = costs.AMX.multiplied(Kind.CONV_BLOCKS, 16, 64, 16)
    assert (
        costs.AMX.multiplied(Kind.CONV_BLOCKS, 1, 64, 16) == costs.AMX.multiplied(Kind.CONV_BLOCKS, 16, 64, 32) == one
    )
    assert costs.AMX.multiplied(Kind.CONV_BLOCKS, 17, 64, 16) == pytest.approx(2 * one)
    assert costs.AMX.multiplied(Kind.CONV_BLOCKS, 16, 64, 1) == pytest.approx(16 * one)
    assert costs.AVX2.multiplied(Kind.CONV_BLOCKS, 16, 64, 16) == math.inf
    whole = costs.NEON.multiplied(Kind.CONV_BLOCKS, 16, 64, 16)
    assert costs.NEON.multiplied(Kind.CONV_BLOCKS, 16, 27, 16) == pytest.approx(whole * 64 / 27)
    assert costs.AMX.multiplied(Kind.CONV_BLOCKS, 16, 27, 16) == one  # what is empty costs next to nothing there


def test_tiles_multiply_what_vectors_list() -> None:
    """Spikes by 4-bit weights; but not by 1-bit weights, nor where most of a block's 16 places are empty."""
    assert kind_of(plan_of(residual(9, 1, 4), "amx")) is Kind.CONV_BLOCKS
    assert kind_of(plan_of(residual(1, 1, 4, side=4), "amx")) is Kind.CONV_BLOCKS
    assert kind_of(plan_of(residual(1, 1, 4), "amx")) is Kind.CONV_ROWS
    assert kind_of(plan_of(residual(1, 1, 4, side=4), "avx512")) is Kind.CONV_ROWS
    assert kind_of(plan_of(residual(1, 1, 1, side=4), "amx")) is Kind.CONV_SLICED
    assert kind_of(plan_of(residual(1, 16, 4, width=8), "avx512")) is Kind.CONV_QUADS  # four places of sixteen


def test_the_shipped_networks_of_levels_multiply_on_avx2() -> None:
    for name in ("est-cifar10", "qsd-transformer-cifar10"):
        assert Kind.CONV_ROWS not in plan_of(spikelet.load(name), "avx2").choices.values()
