"""Products of matrices (csrc/matmul.h, csrc/matmul_bits.h): every size, form, width and density."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.graph.ops.operation import Operation
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.operation import Planned
from tests.support.kernel_sets import SETS, assert_equal_everywhere

FAST = [name for name in SETS if name != "scalar"]
TRANSPOSES = list(itertools.product((False, True), repeat=2))
T, BATCH = 4, 2
DENSITIES = np.array([0.0, 0.05, 0.6, 1.0])  # of the spikes of each step: by events, and from tables


BY_BITS = {"y": Kind.MATMUL_BITS}


def product_of(graph: ir.IntGraph, kernels: str, choices: dict[str, Kind] | None = None) -> Planned:
    """The operation of the plan that runs the graph's one product."""
    operations = Program(graph, kernels=kernels, choices=choices).plan(still=False).operations
    kinds = (Kind.MATMUL, Kind.MATMUL_BITS)
    (found,) = (op for op in operations if op.kind in kinds)
    return found


def with_product(shape: tuple[int, int, int], node: ir.Matmul, *sources: Operation) -> ir.IntGraph:
    """`node` over `sources` over an input "x" of `shape`; it is the second output."""
    nodes = (ir.Input("x", (), shape), *sources, node, ir.Flatten("flat", (node.name,)))
    return ir.IntGraph(nodes, T, (ir.Output("flat", 1.0), ir.Output(node.name, 1.0)))


def picked(name: str, shape: tuple[int, int, int], x: tuple[int, int], rng: np.random.Generator) -> list[Operation]:
    """A map of spikes of `shape`, picked at random from the spikes "s" of `x` channels and pixels."""
    c, h, w = shape
    source = rng.integers(0, x[0], c).astype(np.int16)
    index = rng.integers(0, x[1], (h, w)).astype(np.int32)
    return [ir.ChannelMap(f"{name} channels", ("s",), source, 1), ir.Gather(name, (f"{name} channels",), index)]


def assert_the_reference_everywhere(graph: ir.IntGraph, x: NDArray[np.uint8]) -> None:
    """Every kernel set computes what the reference does by its rules, and the fast ones by bits too."""
    assert_equal_everywhere(graph, x)
    expected = Reference(graph).outputs(x)["y"]
    for kernels in FAST:
        assert product_of(graph, kernels, BY_BITS).kind is Kind.MATMUL_BITS
        found = Program(graph, threads=2, kernels=kernels, choices=BY_BITS).outputs(x)["y"]
        np.testing.assert_array_equal(found, expected, err_msg=kernels)


@pytest.mark.parametrize("transpose", TRANSPOSES)
@pytest.mark.parametrize(
    ("rows", "inner", "columns"),
    [(1, 1, 1), (2, 3, 7), (3, 2, 1), (8, 31, 2), (31, 8, 33), (33, 63, 3), (63, 65, 8), (65, 127, 2), (96, 64, 5),
     (127, 33, 7), (129, 7, 3), (7, 129, 65), (128, 256, 1), (5, 257, 3)],
)  # fmt: skip
def test_spikes_by_spikes(rows: int, inner: int, columns: int, transpose: tuple[bool, bool]) -> None:
    """From no spike to all of them, heads and rows of maps."""
    rng = np.random.default_rng([rows, inner, columns, *transpose])
    heads, lines = 3, 2
    for by_row in (False, True):
        n = lines if by_row else 1
        a = (heads * inner, n, rows) if transpose[0] else (heads * rows, n, inner)
        b = (heads * columns, n, inner) if transpose[1] else (heads * inner, n, columns)
        shape = (20, 5, 9)
        spikes = ir.Lif("s", ("x",), 0, 1, 0, 1, "hard", None)
        node = ir.Matmul("y", ("a", "b"), heads, transpose, (n, columns) if by_row else (columns, 1), by_row)
        sources = [spikes, *picked("a", a, (20, 45), rng), *picked("b", b, (20, 45), rng)]
        graph = with_product(shape, node, *sources)
        x = (rng.random((T, BATCH, *shape)) < DENSITIES.reshape(T, 1, 1, 1, 1)).astype(np.uint8)
        assert_the_reference_everywhere(graph, x)
        for kernels in FAST:
            op = product_of(graph, kernels)
            assert op.kind is Kind.MATMUL_BITS
            names = "source", "addend_source", "planes", "has_sign"
            assert tuple(map(op.number, names)) == (Form.SPIKES, Form.SPIKES, 1, False)
            assert op.number("lane_bits") == (8 if inner < 256 else 16)


@pytest.mark.parametrize(
    ("low", "high", "planes"),
    [(0, 1, 1), (0, 3, 2), (0, 9, 4), (0, 15, 4), (-1, 0, 1), (-2, 1, 2), (-8, 7, 4), (-3, 0, 3), (0, 0, 1)],
)  # fmt: skip
@pytest.mark.parametrize("reach", [1, 30, 2_000, 1_000_000])
def test_values_by_values_of_few_bits(low: int, high: int, planes: int, reach: int) -> None:
    """Counts and integers with a sign select columns of 8, 16 and 32 bits; every end of an interval is there."""
    rng = np.random.default_rng([high - low, reach])
    sizes = ((13, 70, 5, False), (40, 9, 3, True), (3, 12, 50, True), (70, 66, 2, False))
    for transpose, (rows, inner, columns, by_row) in zip(TRANSPOSES, sizes, strict=True):
        n = 2 if by_row else 1
        a = rng.integers(-reach, reach + 1, (2 * inner, n, rows) if transpose[0] else (2 * rows, n, inner))
        b = rng.integers(low, high + 1, (2 * columns, n, inner) if transpose[1] else (2 * inner, n, columns))
        a.flat[:2], b.flat[:2] = (-reach, reach), (low, high)
        sources = ir.Constant("a", (), a.astype(np.int32)), ir.Constant("b", (), b.astype(np.int32))
        node = ir.Matmul("y", ("a", "b"), 2, transpose, (n, columns) if by_row else (columns, 1), by_row)
        graph = with_product((1, 1, 1), node, *sources)
        assert_the_reference_everywhere(graph, np.zeros((T, BATCH, 1, 1, 1), np.uint8))
        for kernels in FAST:
            op = product_of(graph, kernels, BY_BITS)
            assert (op.number("planes"), bool(op.number("has_sign"))) == (planes, low < 0)


@pytest.mark.parametrize(
    ("a", "b", "lane_bits"),
    [(255, 1, 8), (256, 1, 16), (85, 3, 8), (-1, 1, 16), (32_767, 1, 16), (32_768, 1, 32), (-32_768, 1, 16),
     (-32_769, 1, 32), (4_096, -8, 16), (-4_096, -8, 32), (2**31 - 1, 1, 32), (-(2**31), 1, 32), (2**28, -8, 32)],
)  # fmt: skip
def test_a_product_at_the_end_of_its_lanes(a: int, b: int, lane_bits: int) -> None:
    """The largest and smallest values that so many bits hold, and the next."""
    maps = [ir.Constant(name, (), np.full((1, 1, 1), v, np.int64).astype(np.int32)) for name, v in (("a", a), ("b", b))]
    graph = with_product((1, 1, 1), ir.Matmul("y", ("a", "b"), 1, (False, False), (1, 1), False), *maps)
    assert_the_reference_everywhere(graph, np.zeros((T, BATCH, 1, 1, 1), np.uint8))
    assert {product_of(graph, kernels, BY_BITS).number("lane_bits") for kernels in FAST} == {lane_bits}


@pytest.mark.parametrize("kernels", FAST)
@pytest.mark.parametrize(
    ("entries", "reach", "rows", "kind"),
    [
        (1, 9, 8, Kind.MATMUL_BITS), (1, 9, 100, Kind.MATMUL_BITS), (3, 9, 63, Kind.MATMUL),
        (3, 9, 64, Kind.MATMUL_BITS), (3, 99, 64, Kind.MATMUL), (4, 9, 64, Kind.MATMUL), (15, 9, 8, Kind.MATMUL),
        (15, 2**15, 8, Kind.MATMUL_BITS), (15, 2**15 - 1, 8, Kind.MATMUL), (16, 2**15, 8, Kind.MATMUL),
    ],
)  # fmt: skip
def test_bits_are_added_where_that_is_faster(entries: int, reach: int, rows: int, kind: Kind, kernels: str) -> None:
    """Spikes, two bits of many rows in bytes, and what no int16 holds; whatever else is multiplied."""
    a = ir.Constant("a", (), np.full((rows, 1, 4), reach, np.int32))
    b = ir.Constant("b", (), np.full((4, 1, 1), entries, np.int32))
    graph = with_product((1, 1, 1), ir.Matmul("y", ("a", "b"), 1, (False, False), (1, 1), False), a, b)
    assert product_of(graph, kernels).kind is kind


@pytest.mark.parametrize("ends", [(0, 16), (-9, 0), (-8, 8)])
def test_a_factor_of_more_bits_is_multiplied(ends: tuple[int, int]) -> None:
    """Five bits and more go the general way, and give the same."""
    b = np.array(ends, np.int32).reshape(2, 1, 1)
    sources = ir.Constant("a", (), np.arange(6, dtype=np.int32).reshape(6, 1, 1)), ir.Constant("b", (), b)
    graph = with_product((1, 1, 1), ir.Matmul("y", ("a", "b"), 2, (False, False), (1, 1), False), *sources)
    x = np.zeros((T, BATCH, 1, 1, 1), np.uint8)
    expected = Reference(graph).outputs(x)["y"]
    for kernels in SETS:
        np.testing.assert_array_equal(Program(graph, kernels=kernels).outputs(x)["y"], expected)
        assert product_of(graph, kernels).kind == Kind.MATMUL


@pytest.mark.parametrize("transpose", TRANSPOSES)
@pytest.mark.parametrize(
    ("rows", "inner", "columns"),
    [(1, 1, 1), (3, 2, 5), (7, 5, 9), (8, 8, 4), (9, 15, 8), (16, 16, 16), (16, 8, 17), (17, 23, 7), (24, 7, 3),
     (31, 17, 6), (32, 32, 8), (40, 33, 13), (49, 32, 49), (70, 14, 2)],
)  # fmt: skip
def test_values_by_values(rows: int, inner: int, columns: int, transpose: tuple[bool, bool]) -> None:
    """Products that fit two to an instruction and those that do not; whole blocks of vectors, and parts of them."""
    rng = np.random.default_rng([rows, inner, columns, *transpose])
    heads, n = 2, 3
    for reach, by_row in itertools.product((16, 2**15 - 1, 2**15), (False, True)):
        lines = n if by_row else 1
        a = rng.integers(
            -reach, reach + 1, (heads * inner, lines, rows) if transpose[0] else (heads * rows, lines, inner)
        )
        b = rng.integers(-16, 17, (heads * columns, lines, inner) if transpose[1] else (heads * inner, lines, columns))
        a.flat[0] = reach
        b.flat[-1] = -16
        sources = ir.Constant("a", (), a.astype(np.int32)), ir.Constant("b", (), b.astype(np.int32))
        node = ir.Matmul("y", ("a", "b"), heads, transpose, (lines, columns) if by_row else (columns, 1), by_row)
        graph = with_product((1, 1, 1), node, *sources)
        assert_equal_everywhere(graph, np.zeros((1, 1, 1, 1, 1), np.uint8).repeat(T, 0))
        for kernels in FAST:
            op = product_of(graph, kernels)
            assert (op.kind, bool(op.number("narrow"))) == (Kind.MATMUL, reach < 2**15)
