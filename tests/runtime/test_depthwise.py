"""A group for each channel: every kernel that can run it, on every kernel set, gives what the reference gives."""

from __future__ import annotations

import numpy as np
import pytest

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.runtime import kernel_sets, plan_of
from spikelet.runtime.plan.kinds import Kind
from tests.nodes import conv
from tests.small_edges import graph_of

SETS = [s.name for s in kernel_sets()]
CONVOLUTIONS = (Kind.CONV_DEPTHWISE, Kind.CONV_ROWS, Kind.CONV_VALUES)
GRIDS = {1: "symmetric", 2: "symmetric", 4: "full", 8: "odd"}


def depthwise_graph(
    channels: int, source: str, bits: int = 4, window: tuple[int, int, int, int] = (3, 1, 1, 1)
) -> ir.IntGraph:
    """A depthwise convolution of bytes, of spikes of three steps, of counts, or of large values."""
    kernel, stride, padding, dilation = window
    rng = np.random.default_rng([channels, bits, kernel])
    codes = rng.choice(codes_of(bits, GRIDS[bits]), (channels, 1, kernel, kernel))
    nodes: list[ir.Operation] = [ir.Input("x", (), (channels, 9, 8))]
    if source == "spikes":
        nodes.append(ir.Lif("s", ("x",), 1, 1, 0, 120, "soft", None))
    elif source == "counts":
        nodes.append(ir.Lif("s", ("x",), 1, 1, 0, 40, "soft", None, levels=5, step=39))
    elif source == "values":
        factor = np.full(1, 60_000, np.int32)
        nodes.append(ir.Affine("s", ("x",), factor, np.zeros(1, np.uint8), np.full(1, -9_000_000, np.int32)))
    read = nodes[-1].name
    moves = (stride, stride), (padding, padding), channels, GRIDS[bits], (dilation, dilation)
    nodes.append(conv("c", (read,), codes, bits, *moves))
    return graph_of(*nodes, ir.Lif("out", ("c",), 1, 2, 1, 50, "soft", None), ir.Flatten("f", ("out",)),
                    ir.SumTime("logits", ("f",)), time_steps=3)  # fmt: skip


def codes_of(bits: int, grid: str) -> list[int]:
    """Every code of a grid."""
    if bits == 1:
        return [-1, 1]
    top = 2 ** (bits - 1)
    return {
        "symmetric": list(range(1 - top, top)),
        "full": list(range(-top, top)),
        "odd": list(range(1 - 2 * top, 2 * top, 2)),
    }[grid]


def _assert_equal(graph: ir.IntGraph) -> None:
    x = np.random.default_rng(1).integers(0, 256, (2, *graph.input.shape), np.uint8)
    expected = Reference(graph).outputs(x)["logits"]
    for kernels in SETS:
        (able,) = {op.candidates for op in plan_of(graph, kernels).operations if op.kind in CONVOLUTIONS}
        assert kernels == "scalar" or able[0] is Kind.CONV_DEPTHWISE
        for kind in able or [Kind.CONV_VALUES]:
            found = Program(graph, threads=2, kernels=kernels, choices={"c": kind})(x)
            np.testing.assert_array_equal(found, expected, err_msg=f"{kernels} {kind.name}")


@pytest.mark.parametrize("source", ["bytes", "spikes", "counts", "values"])
@pytest.mark.parametrize("channels", [2, 3, 7, 8, 9, 31, 32, 33, 65, 129])
def test_channels_of_every_width(channels: int, source: str) -> None:
    _assert_equal(depthwise_graph(channels, source))


@pytest.mark.parametrize("bits", [1, 2, 8])
@pytest.mark.parametrize("window", [(1, 1, 0, 1), (2, 2, 0, 1), (5, 1, 2, 1), (3, 2, 1, 2), (7, 1, 3, 1), (7, 3, 5, 1)])
def test_windows_of_every_kind(window: tuple[int, int, int, int], bits: int) -> None:
    _assert_equal(depthwise_graph(11, "counts", bits, window))
