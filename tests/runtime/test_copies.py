"""Programs, streams, graphs and references pickle and copy, into other processes too, and plans are made anew."""

from __future__ import annotations

import copy
import multiprocessing
import pickle
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.file.artifact import dumps
from spikelet.runtime import kernel_sets
from tests.graph.test_an_operation_is_one_file import X, toy_graph
from tests.random_graphs import random_graph, random_input

Copy = Callable[[Any], Any]
COPIES: dict[str, Copy] = {"copy": copy.copy, "deepcopy": copy.deepcopy}
COPIES |= {f"pickle {p}": lambda one, p=p: pickle.loads(pickle.dumps(one, p)) for p in (2, pickle.HIGHEST_PROTOCOL)}
copies = pytest.mark.parametrize("again", COPIES.values(), ids=COPIES)


def arrays(graph: ir.IntGraph) -> list[NDArray[Any]]:
    return [value for node in graph.nodes for value in vars(node).values() if isinstance(value, np.ndarray)]


@copies
@pytest.mark.parametrize("seed", range(5))
def test_a_graph_s_copy_is_the_same_file_and_owns_read_only_arrays(again: Copy, seed: int) -> None:
    graph = random_graph(seed)
    other = again(graph)
    assert dumps(other) == dumps(graph)
    assert arrays(other) and not any(a.flags.writeable for a in arrays(other))


@copies
@pytest.mark.parametrize("kernels", ["auto", kernel_sets()[0].name])
def test_a_program_s_copy_gives_the_same_integers_with_the_same_arguments(again: Copy, kernels: str) -> None:
    graph = random_graph(7)
    program, x = Program(graph, 3, kernels, max_bytes=10**8), random_input(graph, 2, 7)
    other = again(program)
    assert (other.threads, other.kernels, other.max_bytes) == (3, program.kernels, 10**8)
    np.testing.assert_array_equal(other(x), program(x))
    for name, values in program.spikes(x).items():
        np.testing.assert_array_equal(other.spikes(x)[name], values)


class Named(Program):
    """A program with something of its own."""

    def __init__(self, graph: ir.IntGraph, name: str) -> None:
        super().__init__(graph, threads=2)
        self.name = name


@copies
def test_a_subclass_and_operations_of_one_s_own_are_copied_too(again: Copy) -> None:
    other = again(Named(toy_graph(), "toy"))
    assert (type(other), other.name, other.fallbacks) == (Named, "toy", ("m", "again"))
    np.testing.assert_array_equal(other(X), Reference(toy_graph())(X))


@copies
@pytest.mark.parametrize("backend", [Program, Reference])
def test_a_stream_and_its_state_go_on_where_they_were(again: Copy, backend: type[Program] | type[Reference]) -> None:
    graph = random_graph(3)
    x = np.random.default_rng(3).integers(0, 256, (graph.time_steps, 2, *graph.input.shape), np.uint8)
    stream: Any = backend(graph).stream()
    state = stream.start(2)
    for t in range(graph.time_steps):
        stream, state = again(stream), again(state)
        y, state = stream(x[t : t + 1], state)
    np.testing.assert_array_equal(y, Reference(graph)(x))


@copies
def test_what_is_known_of_a_graph_and_the_kernel_sets_are_copied(again: Copy) -> None:
    edges = analyse(random_graph(2))
    assert [e.shape for e in again(edges).values()] == [e.shape for e in edges.values()]
    assert again(kernel_sets()) == kernel_sets()


def _logits(program: Program | Reference, x: NDArray[np.uint8]) -> list[Any]:
    return program(x).tolist()


def test_a_spawned_worker_runs_a_program_and_a_reference() -> None:
    graph = random_graph(4)
    x, context = random_input(graph, 2, 4), multiprocessing.get_context("spawn")
    with context.Pool(1) as pool:
        for backend in (Program, Reference):
            assert pool.apply(_logits, (backend(graph), x)) == Reference(graph)(x).tolist()
