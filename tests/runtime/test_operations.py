"""Every operation on every kernel set: the examples of its class, random graphs of all, and operations of one's own."""

from __future__ import annotations

import dataclasses
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.edge import Edge, Int64, Shape
from spikelet.graph.ops.operation import Example, Interval, Operation, Pointwise, State, Work
from spikelet.graph.ops.record import Record
from spikelet.runtime.plan.rules import RULES, TABLE
from tests.example_graphs import example_graph
from tests.fuzz import fuzz_graphs, soak
from tests.support.kernel_sets import SETS, assert_equal_everywhere

EXAMPLES = [pytest.param(e, id=f"{o.word} {i}") for o in ir.OPERATIONS for i, e in enumerate(o.examples())]


@pytest.mark.parametrize("example", [e for e in EXAMPLES if not isinstance(e.values[0].node, ir.Input)])  # type: ignore[attr-defined]
@pytest.mark.parametrize("kernels", SETS)
def test_an_operation_gives_its_examples(example: Example, kernels: str) -> None:
    graph, x, name = example_graph(example)
    program = Program(graph, kernels=kernels)
    values = program.outputs(x)[name]
    timed = len(values.shape) == example.expected.ndim + 1
    expected = np.broadcast_to(example.expected, (graph.time_steps, *example.expected.shape[1:]))
    np.testing.assert_array_equal(values[:, 0] if timed else values[0], expected if timed else example.expected[0])
    assert program.fallbacks == ()


def test_the_table_knows_every_operation() -> None:
    assert RULES.refused == {}
    assert set(TABLE) == set(ir.OPERATIONS)


@pytest.mark.parametrize("part", [pytest.param(i, marks=pytest.mark.slow if i >= 5 else ()) for i in range(10)])
def test_a_few_hundred_random_graphs_are_the_reference_whole_and_as_streams(
    part: int, capsys: pytest.CaptureFixture[str]
) -> None:
    assert fuzz_graphs.main(["--graphs", "40", "--first", str(40 * part)]) == 0, capsys.readouterr().out


def test_graphs_in_threads_are_the_reference(capsys: pytest.CaptureFixture[str]) -> None:
    assert soak.main(["--minutes", "0.03", "--threads", "3", "--first", "100"]) == 0, capsys.readouterr().out


def test_memory_that_grows_is_seen() -> None:
    assert soak.growth([100] * 40) == 0
    assert soak.growth(list(range(40))) == 20


def graph_of(*nodes: Operation, time_steps: int = 2, shape: Shape = (2, 3, 4)) -> ir.IntGraph:
    """`nodes` over an input "x"; the last is a second output."""
    logits = (ir.Flatten("flat", ("x",)), ir.SumTime("logits", ("flat",)))
    outputs = (ir.Output("logits", 1.0), ir.Output(nodes[-1].name, 1.0))
    return ir.IntGraph((ir.Input("x", (), shape), *nodes, *logits), time_steps, outputs)


@pytest.mark.parametrize("size", [(1, 1), (7, 2), (8, 31), (9, 32), (33, 3), (40, 65)])
@pytest.mark.parametrize("transpose", [(False, False), (True, False), (False, True), (True, True)])
@pytest.mark.parametrize("reach", [1, 30_000, 40_000])
def test_matrices_of_every_alignment(size: tuple[int, int], transpose: tuple[bool, bool], reach: int) -> None:
    """Products of 16-bit and of larger integers, of heads and of rows; reach 40,000 is beyond two products at once."""
    rows, inner = size
    heads, columns, lines = 2, 5, 3
    rng = np.random.default_rng([*size, *transpose, reach])

    def matrix(r: int, k: int, transposed: bool, rows_of_map: int) -> NDArray[np.int32]:
        c, n = (k, r) if transposed else (r, k)
        top = reach if reach <= 30_000 else 1 if transposed else reach
        return rng.integers(-top, top + 1, (heads * c, rows_of_map, n)).astype(np.int32) // max(1, top * inner >> 30)

    for by_row in (False, True):
        n = lines if by_row else 1
        a, b = matrix(rows, inner, transpose[0], n), matrix(inner, columns, transpose[1], n) % 7
        sources = (ir.Constant("a", (), a), ir.Constant("b", (), b))
        product = ir.Matmul("y", ("a", "b"), heads, transpose, (n, columns) if by_row else (columns, 1), by_row)
        assert_equal_everywhere(graph_of(*sources, product), np.zeros((2, 2, 3, 4), np.uint8))


@pytest.mark.parametrize("by_step", [False, True])
@pytest.mark.parametrize("clip", [(-5, 7), (-(2**31), 2**31 - 1), (3, 3)])
def test_a_clip_brings_64_bits_back(by_step: bool, clip: tuple[int, int]) -> None:
    """Multipliers whose results leave 32 bits on both sides before they are clipped."""
    multiplier = np.array([[2**31 - 1, -(2**31)], [1, 2**30]], np.int32)[: 1 + by_step]
    shift = np.array([[0, 1], [2, 0]], np.uint8)[: 1 + by_step]
    offset = np.array([[-(2**31), 2**31 - 1], [0, -3]], np.int32)[: 1 + by_step]
    node = ir.Affine("y", ("x",), multiplier, shift, offset, clip)
    x = np.random.default_rng(0).integers(0, 256, (2, 2, 2, 3, 4), np.uint8)
    assert_equal_everywhere(graph_of(node), x)
    lif = ir.Lif("s", ("y",), 1, 1, 0, 3, "hard", None) if clip[1] < 2**30 else ir.Flatten("s", ("y",))
    assert_equal_everywhere(graph_of(node, lif), x)


@pytest.mark.parametrize("levels", [1, 2, 5, 255])
@pytest.mark.parametrize("reset", ["hard", "soft", 3])
@pytest.mark.parametrize("rounding", ["floor", "half"])
@pytest.mark.parametrize("by_channel", [False, True])
def test_neurons_of_every_kind(levels: int, reset: Any, rounding: Any, by_channel: bool) -> None:
    threshold: Any = np.array([9, 40], np.int32) if by_channel else 20
    step = None if levels == 1 else np.array([7, 1], np.int32) if by_channel else 6
    for membrane in (None, ir.Membrane(4, 3)):
        for start in (0, -11):
            node = ir.Lif("y", ("x",), 5, 7, 3, threshold, reset, membrane, levels, step, start, rounding)
            x = np.random.default_rng(levels).integers(0, 256, (20, 3, 2, 3, 4), np.uint8)
            graph = graph_of(node, time_steps=20)
            assert_equal_everywhere(graph, x)
            expected = Reference(graph).spikes(x)["y"]
            assert expected.max() == min(levels, expected.max()) and len(np.unique(expected)) > 1
            for kernels in SETS:
                np.testing.assert_array_equal(Program(graph, kernels=kernels).spikes(x)["y"], expected)


# Operations that the library does not know.


@dataclasses.dataclass(frozen=True, eq=False)
class Square(Pointwise):
    """y = x * x: an operation of a user's own."""

    word: ClassVar[str] = "square"
    arity: ClassVar[tuple[int, int]] = (1, 1)
    first_format: ClassVar[int] = 3
    record: ClassVar[Record] = Record((), lambda name, inputs, stated, arrays: Square(name, inputs))

    def since(self, *sources: Shape) -> int:
        return 3

    def output_shape(self, *sources: Shape) -> Shape:
        return sources[0]

    def check(self, *sources: Edge) -> None:
        return

    def interval(self, *sources: Edge, T: int) -> Interval:
        top = np.maximum(np.abs(sources[0].low), np.abs(sources[0].high)) ** 2
        return np.zeros_like(top), top

    def run(self, *xs: Int64, steps: range) -> Int64:
        return xs[0] ** 2

    def work(self, *sources: Shape) -> Work:
        return Work()

    @classmethod
    def examples(cls) -> tuple[Example, ...]:
        return ()


@dataclasses.dataclass(frozen=True, eq=False)
class Peak(Square):
    """y[t] = the largest x so far: it remembers."""

    word: ClassVar[str] = "peak"

    def interval(self, *sources: Edge, T: int) -> Interval:
        return sources[0].low, sources[0].high

    def advance(self, *xs: Int64, steps: range, state: State) -> tuple[Int64, State]:
        every = np.broadcast_to(xs[0], (len(steps), *xs[0].shape[1:]))
        first = every if state is None else np.maximum(every, state)
        peaks = np.maximum.accumulate(first)
        return peaks, peaks[-1]


@dataclasses.dataclass(frozen=True, eq=False)
class Broken(Square):
    """Fails when it runs."""

    word: ClassVar[str] = "broken"

    def run(self, *xs: Int64, steps: range) -> Int64:
        raise ZeroDivisionError("as it should")


def own_graph(kind: type[Square]) -> ir.IntGraph:
    """Native, own, native: a convolution, the operation over spikes' counts and currents, a neuron, a flattened sum."""
    weight = np.array([[[[1]], [[-2]]], [[[3]], [[1]]], [[[0]], [[2]]]], np.int8)
    nodes = (
        ir.Input("x", (), (2, 3, 4)),
        ir.Conv("c", ("x",), weight, 3, (1, 1), (0, 0), 1),
        kind("own", ("c",)),
        ir.Lif("s", ("own",), 1, 1, 1, 5000, "soft", None),
        kind("again", ("s",)),
        ir.Add("sum", ("again", "s")),
        ir.Flatten("flat", ("sum",)),
        kind("flat own", ("flat",)),
        ir.SumTime("logits", ("flat own",)),
    )
    return ir.IntGraph(nodes, 5, (ir.Output("logits", 1.0), ir.Output("own", 1.0)))


@pytest.mark.parametrize("kind", [Square, Peak])
@pytest.mark.parametrize("kernels", SETS)
def test_an_operation_of_ones_own_runs_between_native_ones(kind: type[Square], kernels: str) -> None:
    graph = own_graph(kind)
    x = np.random.default_rng(1).integers(0, 256, (5, 7, 2, 3, 4), np.uint8)
    program, reference = Program(graph, threads=3, kernels=kernels), Reference(graph)
    assert program.fallbacks == ("own", "again", "flat own")
    for frames in (x, x[0]):
        np.testing.assert_array_equal(program(frames), reference(frames))
        np.testing.assert_array_equal(program.spikes(frames)["s"], reference.spikes(frames)["s"])
        np.testing.assert_array_equal(program.outputs(frames)["own"], reference.outputs(frames)["own"])
    for seed in range(4):
        got = fuzz_graphs.streamed(program, x, np.random.default_rng(seed))
        np.testing.assert_array_equal(got, reference(x))


def test_an_error_inside_an_operation_of_ones_own_is_raised() -> None:
    program = Program(own_graph(Broken), threads=2)
    with pytest.raises(ZeroDivisionError, match="as it should"):
        program(np.zeros((3, 2, 3, 4), np.uint8))


class Flipped(ir.Affine):
    """A user's own affine step, which ours must not stand in for: its result has the other sign."""

    word: ClassVar[str] = "flipped"

    def interval(self, *sources: Edge, T: int) -> Interval:
        low, high = super().interval(*sources, T=T)
        return -high, -low

    def run(self, *xs: Int64, steps: range) -> Int64:
        return -super().run(*xs, steps=steps)


class Eager(ir.Lif):
    """A user's own neuron: it fires where ours does not."""

    word: ClassVar[str] = "eager"

    def advance(self, *xs: Int64, steps: range, state: State) -> tuple[Int64, State]:
        spikes, after = super().advance(*xs, steps=steps, state=state)
        return 1 - spikes, after


def test_a_class_derived_from_ours_runs_by_its_own_meaning() -> None:
    weight = np.array([[[[1]], [[-2]]], [[[3]], [[1]]]], np.int8)
    ones, zeros = np.ones(2, np.int32), np.zeros(2, np.uint8)
    nodes = (
        ir.Conv("c", ("x",), weight, 3, (1, 1), (0, 0), 1),
        Flipped("flipped", ("c",), ones, zeros, ones),
        Eager("eager", ("flipped",), 1, 1, 1, 100, "hard", None),
        ir.Lif("s", ("flipped",), 1, 1, 1, 100, "hard", None),
        ir.Add("y", ("eager", "s")),
    )
    graph = graph_of(*nodes, time_steps=3)
    x = np.random.default_rng(2).integers(0, 256, (3, 2, 2, 3, 4), np.uint8)
    assert_equal_everywhere(graph, x)
    program = Program(graph)
    assert program.fallbacks == ("flipped", "eager")
    for name, spikes in Reference(graph).spikes(x).items():
        np.testing.assert_array_equal(program.spikes(x)[name], spikes)


class Echo(ir.Delay):
    """A user's own delay, which may read a later node."""

    word: ClassVar[str] = "echo"


def test_a_loop_through_an_operation_of_ones_own_is_refused() -> None:
    nodes = (
        ir.Input("x", (), (2,)),
        Echo("before", ("s",), (2,)),
        ir.Add("sum", ("x", "before")),
        ir.Lif("s", ("sum",), 1, 1, 1, 100, "hard", None),
        ir.SumTime("logits", ("s",)),
    )
    with pytest.raises(GraphError, match="before: reads the later node 's'; only a delay can in the native runtime"):
        Program(ir.IntGraph.of_logits(nodes, 3, 1.0))
