"""Counts behind an affine step as one affine step (runtime/plan/one_affine.py): every integer of an interval."""

from __future__ import annotations

import numpy as np
import pytest

from spikelet import Program
from spikelet.graph import ir
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.operation import Planned
from tests.support.kernel_sets import SETS, assert_equal_everywhere

FAST = [name for name in SETS if name != "scalar"]
SIDE = 48  # of a map that holds SIDE^2 integers in a row


def graph_of(first: int, multipliers: list[int], shift: int, levels: int, step: int, start: int = 0) -> ir.IntGraph:
    """Counts of all integers from `first` on, a multiplier a channel; offsets and thresholds move them about."""
    channels = len(multipliers)
    rng = np.random.default_rng([abs(first), shift, levels, step])
    every = np.broadcast_to(first + np.arange(SIDE * SIDE).reshape(1, SIDE, SIDE), (channels, SIDE, SIDE))
    middle = np.array([m * (first + SIDE * SIDE // 2) >> shift for m in multipliers])
    threshold = rng.integers(1, 2 * step + 1, channels).astype(np.int32)
    offset = (levels * step // 2 - middle + rng.integers(-step, step + 1, channels)).astype(np.int32)
    affine = ir.Affine(
        "y", ("v",), np.array([multipliers], np.int32), np.full((1, channels), shift, np.uint8), offset[None]
    )
    spacing = np.full(channels, step, np.int32)
    neuron = ir.Lif("s", ("y",), 1, 1, 0, threshold, "soft", None, levels, spacing, start)
    nodes = (ir.Input("x", (), (1, 1, 1)), ir.Constant("v", (), every.astype(np.int32)), affine, neuron)
    return ir.IntGraph((*nodes, ir.Flatten("flat", ("s",))), 1, (ir.Output("flat", 1.0),))


def ends_of(graph: ir.IntGraph, kernels: str) -> Planned:
    """The operation that gives the counts."""
    return next(op for op in Program(graph, kernels=kernels).plan(still=True).operations if op.kind is Kind.POINTWISE)


@pytest.mark.parametrize("levels", [3, 16, 255])
@pytest.mark.parametrize("first", [-(SIDE**2) // 2, 0, 5_000, -40_000])
@pytest.mark.parametrize(("top", "shift"), [(7, 0), (300, 3), (2**14, 15), (2**20, 24)])
def test_every_count_is_that_of_the_two(first: int, top: int, shift: int, levels: int) -> None:
    """Rising and falling, steps wider than an integer and narrower, all levels within the interval and only a few."""
    rng = np.random.default_rng([abs(first), top, shift, levels])
    signs = np.array([1, -1, 1, -1, 1])
    multipliers = (signs * rng.integers(max(1, top // 2), top + 1, len(signs))).tolist()
    for reached in (SIDE**2 // 2, 8 * SIDE**2):
        step = max(1, (top * reached >> shift) // levels)
        for start in (0, step // 2, -step):
            assert_equal_everywhere(
                graph_of(first, multipliers, shift, levels, step, start), np.zeros((1, 1, 1, 1, 1), np.uint8)
            )


def test_a_network_of_one_step_has_its_counts_so() -> None:
    graph = graph_of(-1_000, [300, -280, 290], 3, 16, 4_000, 2_000)
    for kernels in FAST:
        op = ends_of(graph, kernels)
        assert ("counts" in op.places, op.number("clipped")) == (False, 1)
    assert "counts" in ends_of(graph, "scalar").places


def test_where_none_fits_both_are_computed() -> None:
    """A channel that is the same everywhere has no slope."""
    graph = graph_of(0, [300, 0, 290], 3, 16, 4_000)
    assert_equal_everywhere(graph, np.zeros((1, 1, 1, 1, 1), np.uint8))
    for kernels in FAST:
        assert "counts" in ends_of(graph, kernels).places
