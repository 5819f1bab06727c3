"""Streams: some steps at a time, the state with the caller, and the whole run's integers however time is divided."""

from __future__ import annotations

import dataclasses
import itertools
import re

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import reads_later_nodes
from spikelet.runtime import StreamState, kernel_sets
from tests.nodes import conv, linear
from tests.random_graphs import random_graph, random_input
from tests.wide_graphs import wide_graph

SETS = [s.name for s in kernel_sets()]
LOOPS = [seed for seed in range(120) if reads_later_nodes(wide_graph(seed))]


def neurons(time_steps: int) -> ir.IntGraph:
    """Everything that remembers: neurons of one and of several levels, a delay, running and final sums."""
    nodes = (
        ir.Input("x", (), (3, 2, 2)),
        ir.Lif("a", ("x",), 3, 4, 2, 300, "soft", None),
        ir.Lif("b", ("x",), 1, 2, 1, 100, "hard", ir.Membrane(4, 5), 3, 40, 17, "half"),
        ir.Delay("before", ("a",), (3, 2, 2)),
        ir.SumTime("so far", ("b",), True),
        ir.Add("sum", ("a", "b", "before", "so far")),
        ir.Flatten("flat", ("sum",)),
        ir.SumTime("logits", ("flat",)),
    )
    return ir.IntGraph.of_logits(nodes, time_steps, 1.0)


def loop(time_steps: int) -> ir.IntGraph:
    """A neuron that reads its own spikes of the step before through weights."""
    weight = np.array([[1, -2], [-1, 1]], np.int8)
    nodes = (
        ir.Input("x", (), (2,)),
        ir.Delay("before", ("s",), (2,)),
        ir.Linear("back", ("before",), weight, 4),
        ir.Affine("scaled", ("back",), np.array([60, 90], np.int32), np.zeros(2, np.uint8), np.zeros(2, np.int32)),
        ir.Add("current", ("x", "scaled")),
        ir.Lif("s", ("current",), 1, 2, 1, 200, "soft", None),
        ir.SumTime("logits", ("s",)),
    )
    return ir.IntGraph.of_logits(nodes, time_steps, 1.0)


def frames(graph: ir.IntGraph, batch: int = 3) -> NDArray[np.uint8]:
    return np.random.default_rng(5).integers(0, 256, (graph.time_steps, batch, *graph.input.shape), np.uint8)


def splits(total: int) -> list[tuple[int, ...]]:
    """Every way to write `total` as a sum of positive steps, in order."""
    cuts = itertools.product((False, True), repeat=total - 1)
    return [tuple(len(list(g)) for _, g in itertools.groupby(np.cumsum((0, *cut)).tolist())) for cut in cuts]


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("make", [neurons, loop])
def test_every_division_of_the_steps_gives_the_whole_run(make: object, kernels: str) -> None:
    graph = make(5)  # type: ignore[operator]
    x = frames(graph)
    expected = Reference(graph)(x)
    stream = Program(graph, threads=2, kernels=kernels).stream()
    for split in splits(5):
        state, ends = stream.start(3), np.cumsum(split)
        for end, steps in zip(ends, split, strict=True):
            y, state = stream(x[end - steps : end], state)
        np.testing.assert_array_equal(y, expected, err_msg=str(split))
        assert state.step == 5


@pytest.mark.parametrize("make", [neurons, loop])
def test_after_each_step_stands_the_sum_so_far(make: object) -> None:
    graph = make(6)  # type: ignore[operator]
    x = frames(graph)
    stream, reference = Program(graph).stream(), Reference(graph).stream()
    state, theirs = stream.start(3), reference.start(3)
    for t in range(6):
        y, state = stream(x[t : t + 1], state)
        expected, theirs = reference(x[t : t + 1], theirs)
        np.testing.assert_array_equal(y, expected)
        np.testing.assert_array_equal(y, Reference(make(t + 1))(x[: t + 1]))  # type: ignore[operator]


@pytest.mark.parametrize("seed", LOOPS)
def test_graphs_with_loops_run_step_by_step(seed: int) -> None:
    graph = wide_graph(seed)
    x, reference = random_input(graph, 3, seed), Reference(graph)
    for kernels in SETS:
        program = Program(graph, kernels=kernels)
        np.testing.assert_array_equal(program(x), reference(x), err_msg=kernels)
        for name, values in reference.outputs(x).items():
            np.testing.assert_array_equal(program.outputs(x)[name], values, err_msg=f"{kernels} {name}")
        for name, values in reference.spikes(x).items():
            np.testing.assert_array_equal(program.spikes(x)[name], values, err_msg=f"{kernels} {name}")


def test_there_are_loops_to_test() -> None:
    assert len(LOOPS) >= 10


def test_a_state_stays_as_it_is_and_can_be_gone_on_from_twice() -> None:
    graph = neurons(40)
    x, stream = frames(graph), Program(graph).stream()
    _, middle = stream(x[:11], stream.start(3))
    memory = middle.memory.copy()
    first, _ = stream(x[11:], middle)
    second, _ = stream(x[11:], middle)
    np.testing.assert_array_equal(middle.memory, memory)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, Reference(graph)(x))


def test_memory_does_not_grow_with_the_time_steps() -> None:
    few, many = neurons(20), neurons(1000)
    states, arenas = [], []
    for graph in (few, many):
        program = Program(graph)
        _, state = program.stream()(frames(graph)[:20], program.stream().start(3))
        states.append(state.memory.nbytes)
        arenas.append(program._engine.arenas.get().held)
    assert states[0] == states[1] and arenas[0] == arenas[1]


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("still", [False, True])
def test_a_whole_run_that_takes_too_much_memory_runs_in_blocks(kernels: str, still: bool) -> None:
    graph = neurons(100)
    x = frames(graph)[0] if still else frames(graph)
    reference, whole = Reference(graph), Program(graph, kernels=kernels)
    needed = whole.plan(still=still).arena_bytes
    for limit in (needed - 1, needed // 12):
        program = Program(graph, kernels=kernels, max_bytes=limit)
        assert program.plan(still=still).arena_bytes <= limit
        np.testing.assert_array_equal(program(x), reference(x))
        for name, values in reference.spikes(x).items():
            np.testing.assert_array_equal(program.spikes(x)[name], values)


def endless(time_steps: int) -> ir.IntGraph:
    """A neuron whose membrane has stopped growing, a loop and logits of every step."""
    weight = np.array([[1, -2], [-1, 1]], np.int8)
    nodes = (
        ir.Input("x", (), (2,)),
        ir.Delay("before", ("s",), (2,)),
        ir.Linear("back", ("before",), weight, 4),
        ir.Add("current", ("x", "back")),
        ir.Lif("s", ("current",), 1, 2, 2, 120, "hard", None),
        ir.Delay("twice before", ("before",), (2,)),
        ir.Add("logits", ("s", "twice before", "before")),
    )
    return ir.IntGraph.of_logits(nodes, time_steps, 1.0)


@pytest.mark.parametrize("kernels", SETS)
def test_a_stream_may_go_on_for_ever_where_nothing_grows(kernels: str) -> None:
    many = endless(300)
    x = frames(many)
    expected = Reference(many)(x)
    for graph in (endless(20), many):
        stream = Program(graph, kernels=kernels).stream()
        state, parts = stream.start(3), []
        for t in range(0, 300, 30):
            y, state = stream(x[t : t + 30], state)
            parts.append(y)
        np.testing.assert_array_equal(np.concatenate(parts), expected)
    assert expected.max() > 1


def test_steps_beyond_the_last_are_refused() -> None:
    graph = neurons(4)
    x, stream = frames(graph), Program(graph).stream()
    _, state = stream(x, stream.start(3))
    with pytest.raises(
        GraphError, match=re.escape("x has 1 steps after 4 of 4; so far (sumtime) is proved to fit 32 bits")
    ):
        stream(x[:1], state)


@pytest.mark.parametrize("batch", [-1, 2.0, "3", True])
def test_a_wrong_batch_is_refused(batch: object) -> None:
    sentence = f"batch must be a whole number from 0 to 2147483647, got {batch!r}."
    with pytest.raises(GraphError, match=re.escape(sentence)):
        Program(neurons(2)).stream().start(batch)  # type: ignore[arg-type]


@pytest.mark.parametrize("shape", [(3, 3, 2, 2), (1, 2, 3, 2, 2), (0, 3, 3, 2, 2)])
def test_frames_of_another_shape_are_refused(shape: tuple[int, ...]) -> None:
    stream = Program(neurons(2)).stream()
    with pytest.raises(GraphError, match=re.escape("x must be uint8 of shape [steps, 3, 3, 2, 2], got uint8")):
        stream(np.zeros(shape, np.uint8), stream.start(3))


def test_a_state_of_another_program_is_refused() -> None:
    stream = Program(neurons(2)).stream()
    other = StreamState(0, np.zeros((3, 8), np.uint8), {}, stream.start(3).graph)
    with pytest.raises(GraphError, match=r"state must be one that this stream made, got 8 bytes a sample, not \d+\."):
        stream(np.zeros((1, 3, 3, 2, 2), np.uint8), other)


@pytest.mark.parametrize("backend", [Program, Reference])
def test_a_state_of_another_graph_of_the_same_size_is_refused(backend: type[Program] | type[Reference]) -> None:
    graph = neurons(2)
    last = graph.of_type(ir.Lif)[-1]
    nodes = tuple(dataclasses.replace(n, threshold=n.threshold + 1) if n is last else n for n in graph.nodes)
    other = backend(dataclasses.replace(graph, nodes=nodes)).stream()
    with pytest.raises(GraphError, match=r"^state must be one that this stream made, got one of another graph\."):
        backend(graph).stream()(np.zeros((1, 3, 3, 2, 2), np.uint8), other.start(3))  # type: ignore[arg-type]


@pytest.mark.parametrize("backend", [Program, Reference])
def test_what_is_no_state_is_refused(backend: type[Program] | type[Reference]) -> None:
    stream = backend(neurons(2)).stream()
    with pytest.raises(GraphError, match=r"^state must be one that this stream made, got NoneType\."):
        stream(np.zeros((1, 3, 3, 2, 2), np.uint8), None)  # type: ignore[arg-type]


@pytest.mark.parametrize("kernels", SETS)
def test_logits_of_every_step_stream_without_end(kernels: str) -> None:
    """No sum over time, and a membrane that settles: steps beyond T are as good as those before."""
    rng = np.random.default_rng(5)
    nodes = (
        ir.Input("x", (), (3, 4, 4)),
        conv("c", ("x",), rng.choice([-1, 1], (5, 3, 3, 3)), 1, (1, 1), (1, 1), 1),
        ir.Lif("s", ("c",), 1, 2, 1, 700, "hard", None),
        ir.Flatten("f", ("s",)),
        linear("fc", ("f",), rng.integers(-1, 2, (2, 80)), 2),
    )
    graph = ir.IntGraph.of_logits(nodes, 64, 1.0)
    frames = rng.integers(0, 256, (150, 2, 3, 4, 4), dtype=np.uint8)
    program = Program(graph, kernels=kernels)
    whole = program(frames[:64])
    assert whole.shape == (64, 2, 2)
    assert whole.tolist() == Reference(graph)(frames[:64]).tolist()
    results = {}
    for backend in (program, Reference(graph)):
        stream = backend.stream()
        state, steps = stream.start(2), []
        for start in range(0, 150, 7):
            y, state = stream(frames[start : start + 7], state)
            steps.append(y)
        results[type(backend)] = np.concatenate(steps)
    assert results[Program].tolist() == results[Reference].tolist()
    assert results[Program][:64].tolist() == whole.tolist()
    assert len(set(results[Program][64:, 0, 0].tolist())) > 2


@pytest.mark.parametrize(
    ("field", "sentence"),
    [
        ({"step": -1}, "StreamState.step must be a whole number from 0, got -1."),
        ({"step": 1.0}, "StreamState.step must be a whole number from 0, got 1.0."),
        ({"memory": None}, "StreamState.memory must be a uint8 array [B, bytes], got NoneType."),
        (
            {"memory": np.zeros((3, 8), np.int8)},
            "StreamState.memory must be a uint8 array [B, bytes], got int8 (3, 8).",
        ),
        ({"memory": np.zeros(8, np.uint8)}, "StreamState.memory must be a uint8 array [B, bytes], got uint8 (8,)."),
        ({"own": None}, "StreamState.own must be a dict of lists of 3, got NoneType."),
        ({"own": {"a": [None]}}, "StreamState.own must be a dict of lists of 3, got dict."),
    ],
)
def test_a_state_that_was_changed_by_hand_never_reaches_the_library(field: dict[str, object], sentence: str) -> None:
    state = Program(neurons(2)).stream().start(3)
    with pytest.raises(GraphError, match=f"^{re.escape(sentence)}"):
        dataclasses.replace(state, **field)  # type: ignore[arg-type]


def test_a_state_s_memory_may_lie_as_it_likes() -> None:
    graph = neurons(2)
    stream, x = Program(graph).stream(), frames(graph)
    _, state = stream(x[:1], stream.start(3))
    for memory in (np.asfortranarray(state.memory), state.memory.repeat(2, axis=0)[::2]):
        y, _ = stream(x[1:], dataclasses.replace(state, memory=memory))
        np.testing.assert_array_equal(y, Reference(graph)(x))


def test_a_stream_keeps_the_bytes_that_its_program_says_and_no_more_than_are_allowed() -> None:
    graph = random_graph(5)
    one = Program(graph).state_bytes
    assert one == Program(graph).stream().start(3).memory.shape[1] > 0
    limit = 10_000_000
    stream = Program(graph, max_bytes=limit).stream()
    assert stream.start(3).batch == 3
    with pytest.raises(
        GraphError, match=rf"a stream of {limit} samples keeps {one} bytes of each, and .* max_bytes allows"
    ):
        stream.start(limit)
    assert f"{one:,} bytes of state a sample" in str(Program(graph))
