"""CONV_QUADS: bytes through int8 weights, four synapses a product, whose sums must never leave 16 bits on the way."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.runtime import plan_of
from spikelet.runtime.plan.kinds import Kind
from tests.nodes import conv
from tests.runtime.test_depthwise import codes_of
from tests.small_edges import graph_of
from tests.support.kernel_sets import SETS

FAST = [name for name in SETS if name != "scalar"]


def _graph(codes: NDArray[np.int64], bits: int, grid: str, most: int, stride: int = 1) -> ir.IntGraph:
    """A convolution of values from 0 to `most`."""
    _, inputs, kernel, _ = codes.shape
    clip = ir.Affine("v", ("x",), np.ones(1, np.int32), np.zeros(1, np.uint8), np.zeros(1, np.int32), (0, most))
    layer = conv("c", ("v",), codes, bits, (stride, stride), (kernel // 2, kernel // 2), 1, grid)
    last = ir.Flatten("f", ("c",)), ir.SumTime("logits", ("f",))
    return graph_of(ir.Input("x", (), (inputs, 5, 6)), clip, layer, *last)


def _kind(graph: ir.IntGraph, kernels: str) -> Kind:
    """The first kernel that can run layer c without blocks."""
    (able,) = (op.candidates for op in plan_of(graph, kernels).operations if op.node == "c")
    return next(kind for kind in able if kind is not Kind.CONV_BLOCKS)


def assert_right(graph: ir.IntGraph, x: NDArray[np.uint8]) -> None:
    """That kernel gives on every set what the reference gives."""
    expected = Reference(graph).outputs(x)["logits"]
    for kernels in FAST:
        program = Program(graph, threads=2, kernels=kernels, choices={"c": _kind(graph, kernels)})
        np.testing.assert_array_equal(program.outputs(x)["logits"], expected, err_msg=kernels)


@pytest.mark.parametrize("kernels", FAST)
@pytest.mark.parametrize(
    ("bits", "grid", "most", "kind"),
    [
        (8, "symmetric", 129, Kind.CONV_QUADS),  # 2 * 127 * 129 = 32,766
        (8, "symmetric", 130, Kind.CONV_PAIRS),
        (8, "full", 127, Kind.CONV_QUADS),
        (8, "full", 128, Kind.CONV_PAIRS),  # 2 * 128 * 128 is 2^15
        (7, "odd", 129, Kind.CONV_QUADS),
        (8, "odd", 17, Kind.CONV_PAIRS),  # codes to 255 are no int8
        (7, "full", 255, Kind.CONV_QUADS),
        (1, "symmetric", 255, Kind.CONV_QUADS),
    ],
)
def test_values_and_codes_at_their_ends_never_overflow(
    kernels: str, bits: int, grid: str, most: int, kind: Kind
) -> None:
    """All codes are the smallest, or the largest, or in turns, and all values the largest: every bundle is full."""
    low, high = codes_of(bits, grid)[0], codes_of(bits, grid)[-1]
    for codes in ([low], [high], [low, high], [high, high, low, low], [low, low, low, low, high, high, high, high]):
        weight = np.resize(codes, 9 * 37 * 9).reshape(9, 37, 3, 3)
        graph = _graph(weight, bits, grid, most)
        assert _kind(graph, kernels) is kind
        assert_right(graph, np.full((1, 37, 5, 6), 255, np.uint8))


@pytest.mark.parametrize("outputs", [1, 7, 8, 9, 16, 24, 31, 40, 48, 56, 63, 64, 65, 130])
@pytest.mark.parametrize("inputs", [1, 2, 3, 5, 8, 33])
@pytest.mark.parametrize(("kernel", "stride"), [(1, 1), (3, 1), (2, 2)])
def test_layers_of_every_width(outputs: int, inputs: int, kernel: int, stride: int) -> None:
    rng = np.random.default_rng([outputs, inputs, kernel])
    graph = _graph(rng.integers(-7, 8, (outputs, inputs, kernel, kernel)), 4, "symmetric", 15, stride)
    assert all(_kind(graph, kernels) is Kind.CONV_QUADS for kernels in FAST)
    assert_right(graph, rng.integers(0, 256, (2, inputs, 5, 6)).astype(np.uint8))


def test_values_below_zero_are_no_bytes() -> None:
    below = ir.Affine("v", ("x",), np.ones(1, np.int32), np.zeros(1, np.uint8), np.full(1, -1, np.int32), (-1, 100))
    layer = conv("c", ("v",), np.full((8, 4, 1, 1), 7), 4, (1, 1), (0, 0), 1)
    graph = graph_of(ir.Input("x", (), (4, 3, 3)), below, layer, ir.Flatten("f", ("c",)), ir.SumTime("logits", ("f",)))
    assert all(_kind(graph, kernels) is Kind.CONV_PAIRS for kernels in FAST)
    assert_right(graph, np.arange(36, dtype=np.uint8).reshape(1, 4, 3, 3))
