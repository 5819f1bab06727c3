"""Random graphs of format 3: what they hold, their files, their intervals, and streaming in steps of any size."""

from __future__ import annotations

import numpy as np
import pytest

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse, reads_later_nodes, reason_to_end
from spikelet.graph.file.artifact import dumps, loads
from spikelet.graph.reference import Reference
from tests.artifact_parts import assert_same_graph
from tests.format_3_graph import format_3_graph
from tests.random_graphs import random_input
from tests.wide_graphs import wide_graph

SEEDS = range(60)


@pytest.fixture(scope="module")
def graphs() -> list[ir.IntGraph]:
    return [wide_graph(seed) for seed in SEEDS]


def test_they_hold_every_operation_and_every_novelty(graphs: list[ir.IntGraph]):
    nodes = [n for graph in graphs for n in graph.nodes]
    assert {type(n) for n in nodes} == set(ir.OPERATIONS)
    lifs = [n for n in nodes if isinstance(n, ir.Lif)]
    affines = [n for n in nodes if isinstance(n, ir.Affine)]
    assert {n.rounding for n in lifs} == {"floor", "half"}
    assert (
        {n.levels > 1 for n in lifs} == {n.by_channel for n in lifs} == {n.leak_bits > 8 for n in lifs} == {True, False}
    )
    assert {len(n.shift) > 1 for n in affines} == {n.clip is None for n in affines} == {True, False}
    assert {n.by_row for n in nodes if isinstance(n, ir.Matmul)} == {True, False}
    assert {n.grid for n in nodes if isinstance(n, ir.Conv)} == {"symmetric", "odd", "full"}
    assert {len(n.inputs) > 1 for n in nodes if isinstance(n, ir.ChannelMap | ir.Gather)} == {True, False}
    assert {n.running for n in nodes if isinstance(n, ir.SumTime)} == {True, False}
    assert {reads_later_nodes(graph) for graph in graphs} == {len(g.outputs) > 1 for g in graphs} == {True, False}


def test_most_neurons_fire(graphs: list[ir.IntGraph]):
    silent = total = 0
    for seed, graph in zip(SEEDS, graphs, strict=True):
        for spikes in Reference(graph).spikes(random_input(graph, 2, seed)).values():
            total, silent = total + 1, silent + (not spikes.any())
    assert silent < total / 2


@pytest.mark.parametrize("seed", SEEDS)
def test_a_graph_comes_back_from_its_file(seed: int, graphs: list[ir.IntGraph]):
    data = dumps(graphs[seed])
    again = loads(data)
    assert_same_graph(again, graphs[seed])
    assert again.outputs == graphs[seed].outputs
    assert dumps(again) == data


@pytest.mark.parametrize("seed", SEEDS)
def test_every_value_lies_in_its_interval(seed: int, graphs: list[ir.IntGraph]):
    graph = graphs[seed]
    values = Reference(graph).edges(random_input(graph, 2, seed))
    for name, edge in analyse(graph).items():
        axes = tuple(axis for axis in range(values[name].ndim) if axis != 2)
        assert (edge.low <= values[name].min(axes)).all(), name
        assert (values[name].max(axes) <= edge.high).all(), name


@pytest.mark.parametrize("seed", SEEDS)
def test_steps_of_any_size_give_what_the_whole_run_gives(seed: int, graphs: list[ir.IntGraph]):
    graph, rng = graphs[seed], np.random.default_rng(seed)
    x = random_input(graph, 2, seed)
    frames = x if x.ndim == len(graph.input.shape) + 2 else np.broadcast_to(x, (graph.time_steps, *x.shape))
    stream = Reference(graph).stream()
    state, taken = stream.start(2), 0
    while taken < graph.time_steps:
        steps = int(rng.integers(1, graph.time_steps - taken + 1))
        y, state = stream(frames[taken : taken + steps], state)
        taken += steps
    assert y.tolist() == Reference(graph)(x).tolist()


def test_a_stream_goes_no_further_than_was_proved():
    graph = format_3_graph()
    stream = Reference(graph).stream()
    x = np.zeros((3, 1, *graph.input.shape), np.uint8)
    _, state = stream(x, stream.start(1))
    with pytest.raises(GraphError, match=r"x has 3 steps after 3 of 3; .* for 3 time steps only"):
        stream(x, state)
    with pytest.raises(
        GraphError, match=r"x must be uint8 of shape \[steps, 1, 2, 4, 4\], got uint8 \(3, 2, 2, 4, 4\)"
    ):
        stream(np.zeros((3, 2, 2, 4, 4), np.uint8), stream.start(1))
    with pytest.raises(GraphError, match="batch must be a whole number from 0 to 2147483647, got -1"):
        stream.start(-1)


def test_what_settles_may_go_on_for_ever():
    leaky = ir.Lif("s", ("x",), 1, 1, 1, 200, "hard", None)
    growing = ir.Lif("s", ("x",), 1, 1, 0, 200, "soft", None)  # at 255 a step it keeps 55 more each time
    nodes = (ir.Input("x", (), (1,)), leaky, ir.SumTime("y", ("s",)))
    graph = ir.IntGraph.of_logits(nodes, 4, 1.0)
    edges = analyse(graph)
    assert leaky.endless(edges["x"], T=4)
    assert not growing.endless(edges["x"], T=4)
    assert reason_to_end(graph, edges) == "y (sumtime) is proved to fit 32 bits for 4 time steps only"
