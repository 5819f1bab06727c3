"""What the reference and the profile will hold is counted before they take it."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.file.limits import reference_bytes
from spikelet.graph.reference import MAX_BYTES, Reference
from spikelet.profiling import profile_graph
from tests.random_graphs import random_graph, random_input
from tests.small_edges import graph_of


def _many_delays() -> ir.IntGraph:
    """A small file of edges that are 512 MiB each at all steps."""
    first = ir.Input("x", (), (65_536,)), ir.Lif("s", ("x",), 0, 1, 0, 5, "hard", None)
    delays = [ir.Delay(f"d{i}", (f"d{i - 1}" if i else "s",), (65_536,)) for i in range(30)]
    return graph_of(*first, *delays, ir.SumTime("logits", ("d29",)), time_steps=1024)


def test_a_small_graph_that_would_fill_the_memory_is_refused_before_it_runs() -> None:
    graph, x = _many_delays(), np.zeros((1, 65_536), np.uint8)
    refused = rf"takes up to \d+ bytes for 1 sample\(s\) of 1024 steps, max_bytes allows {MAX_BYTES}\. Run fewer"
    for run in (Reference(graph), Reference(graph).spikes, Reference(graph).outputs, Reference(graph).edges):
        with pytest.raises(GraphError, match=refused):
            run(x)
    with pytest.raises(GraphError, match=refused):
        profile_graph(graph, x)
    with pytest.raises(
        GraphError, match="Run fewer samples at once, or pass a larger max_bytes if you trust the graph"
    ):
        stream = Reference(graph).stream()
        stream(np.zeros((1024, 1, 65_536), np.uint8), stream.start(1))


@pytest.mark.parametrize("seed", [seed for seed in range(12) if random_graph(seed).of_type(ir.Lif)])
def test_a_profile_of_many_samples_runs_as_many_at_once_as_its_limit_allows(seed: int) -> None:
    graph = random_graph(seed)
    x = random_input(graph, 7, seed)
    whole = profile_graph(graph, x)
    for at_once in (1, 3):
        assert profile_graph(graph, x, max_bytes=reference_bytes(graph.nodes, graph.time_steps, at_once)) == whole


def test_a_larger_limit_lets_a_graph_run_and_a_smaller_one_refuses_it() -> None:
    graph = random_graph(0)
    x = random_input(graph, 2, 0)
    needed = reference_bytes(graph.nodes, graph.time_steps, 2)
    assert Reference(graph, max_bytes=needed)(x).shape[-2] == 2
    with pytest.raises(
        GraphError, match=rf"takes up to {needed} bytes for 2 sample\(s\) .* max_bytes allows {needed - 1}"
    ):
        Reference(graph, max_bytes=needed - 1)(x)
    with pytest.raises(GraphError, match="max_bytes must be a whole number"):
        Reference(graph, max_bytes=0)


@pytest.mark.parametrize("seed", range(12))
def test_the_reference_takes_no_more_than_is_counted(seed: int) -> None:
    graph = random_graph(seed)
    x = random_input(graph, 16, seed)
    reference = Reference(graph)
    needed = reference_bytes(graph.nodes, graph.time_steps, 16)
    tracemalloc.start()
    reference.edges(x)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= needed + 200_000
