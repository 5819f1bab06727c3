"""Output pixels that share rows of weights: every spike and sum is the reference's, whatever the map's width, the
kernel's and the outputs; and plans share where it pays, and nowhere else."""

from __future__ import annotations

import ctypes
import dataclasses
import itertools

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.runtime import layout, plan_of
from spikelet.runtime.binding import bind
from spikelet.runtime.library import kernel_sets, library
from spikelet.runtime.plan import shared_rows
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.sets import SETS as KNOWN
from tests.nodes import conv
from tests.runtime.test_cuts import FAST, NEURONS, images
from tests.small_edges import graph_of

WIDTHS = (1, 2, 3, 4, 5, 7, 8, 9, 15, 17)
OUTPUTS = (1, 33, 63, 64, 65, 127, 128, 129, 200, 256, 257)
NAMES = ("one step", "2 bits, soft", "3 bits", "sums", "sums of halves")


@dataclasses.dataclass(frozen=True)
class Case:
    """A layer of 1-bit weights behind `terms` maps of spikes that are added up, before a neuron."""

    outputs: int = 64
    width: int = 9
    taps: tuple[int, int] = (3, 3)
    pads: tuple[int, int] = (1, 1)
    strides: tuple[int, int] = (1, 1)
    inputs: int = 7
    steps: int = 3
    terms: int = 1
    pooled: int = 1
    largest: tuple[int, int] | None = None
    neuron: str = "sums"

    def graph(self) -> ir.IntGraph:
        """The whole network."""
        rng = np.random.default_rng([self.outputs, self.width, *self.taps, self.steps])
        fired = [ir.Lif(f"s{i}", ("x",), 0, 1, 0, 100 + 60 * i, "hard", None) for i in range(self.terms)]
        nodes: list[ir.Operation] = [*fired]
        last = "s0"
        for i in range(1, self.terms):
            nodes.append(ir.Add(f"sum{i}", (last, f"s{i}")))
            last = f"sum{i}"
        if self.pooled > 1:
            nodes.append(ir.SumPool("p", (last,), (self.pooled, self.pooled)))
            last = "p"
        codes = rng.choice([-1, 1], (self.outputs, self.inputs, *self.taps))
        nodes.append(conv("c", (last,), codes, 1, self.strides, self.pads, 1))
        last = "c"
        if self.largest:
            nodes.append(ir.MaxPool("m", ("c",), self.largest, self.largest, (0, 0)))
            last = "m"
        shift = 0 if NEURONS[self.neuron].membrane is None else 2
        m = rng.integers(-40 >> 2 - shift, (100 >> 2 - shift) + 1, self.outputs).astype(np.int32)
        d = rng.integers(-20, 60, self.outputs).astype(np.int32)
        nodes += [
            ir.Affine("a", (last,), m, np.full(self.outputs, shift, np.uint8), d),
            NEURONS[self.neuron],
            ir.Flatten("f", ("l",)),
        ]
        size = (self.inputs, 4 * self.pooled, self.width * self.pooled)
        return graph_of(ir.Input("x", (), size), *nodes, ir.SumTime("logits", ("f",)), time_steps=self.steps)


def batch(graph: ir.IntGraph) -> NDArray[np.uint8]:
    """No spikes, few, many, all."""
    return np.concatenate([images(graph, rate, 1) for rate in (0.0, 0.15, 0.6, 1.0)], 1)


def shares(graph: ir.IntGraph, kernels: str, kind: str) -> int:
    """Pixels that share a row of layer c's weights."""
    plan = plan_of(graph, kernels, choices={"c": kind}, still=False)
    (found,) = (op for op in plan.operations if op.node == "c" and op.kind.name == kind)
    return found.number("row_pixels")


def assert_equal(case: Case, kinds: tuple[str, ...] = ("CONV_CUTS", "CONV_SLICED"), sets: list[str] = FAST) -> None:
    graph = case.graph()
    x = batch(graph)
    expected = Reference(graph)(x)
    for kernels, kind in itertools.product(sets, kinds):
        program = Program(graph, kernels=kernels, choices={"c": kind})
        np.testing.assert_array_equal(program(x), expected, err_msg=f"{kernels} {kind} {case}")


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("outputs", OUTPUTS)
def test_maps_of_every_width_and_layers_of_every_width(outputs: int, width: int) -> None:
    assert_equal(Case(outputs, width))


@pytest.mark.parametrize("neuron", NAMES)
@pytest.mark.parametrize("outputs", [30, 100, 250])
def test_every_neuron_at_every_number_of_steps(outputs: int, neuron: str) -> None:
    for steps in (1, 2, 4, 7):
        assert_equal(Case(outputs, steps=steps, neuron=neuron), ("CONV_CUTS",))


@pytest.mark.parametrize("taps", [(1, 3), (3, 4), (2, 5), (5, 7)])
@pytest.mark.parametrize("outputs", [20, 90, 170])
def test_kernels_of_every_width(outputs: int, taps: tuple[int, int]) -> None:
    for pads in itertools.product((0, taps[0] // 2), (0, taps[1] // 2)):
        high = 4 + 2 * pads[0] >= taps[0]
        if high:
            assert_equal(Case(outputs, 11, taps, pads))


@pytest.mark.parametrize("strides", [(2, 1), (1, 2), (3, 2)])
def test_strides(strides: tuple[int, int]) -> None:
    for outputs in (50, 120, 200):
        assert_equal(Case(outputs, 13, strides=strides))


@pytest.mark.parametrize("made", [{"terms": 2}, {"terms": 4}, {"pooled": 2}, {"terms": 2, "inputs": 70}], ids=str)
def test_planes_and_counts(made: dict[str, int]) -> None:
    for outputs in (50, 120, 200):
        assert_equal(Case(outputs, **made))  # type: ignore[arg-type]


@pytest.mark.parametrize("largest", [(1, 2), (2, 2), (2, 1), (4, 3), (1, 4)])
@pytest.mark.parametrize("outputs", [40, 120, 200, 300])
def test_the_largest_of_neighbours(outputs: int, largest: tuple[int, int]) -> None:
    """A window's sums lie in several rows, some in one with those of the next window."""
    for steps, terms, width in ((1, 1, 13), (3, 1, 8), (4, 2, 17)):
        assert_equal(Case(outputs, width, steps=steps, terms=terms, largest=largest), ("CONV_SLICED",))


@pytest.mark.parametrize("outputs", [60, 100, 200])
def test_steps_together_under_shared_rows(outputs: int) -> None:
    """Maps of many channels, half full, are counted by sets of steps (tests/runtime/test_together.py)."""
    for steps, terms in ((2, 1), (4, 1), (5, 2)):
        assert_equal(Case(outputs, 10, inputs=300, steps=steps, terms=terms))


def test_pixels_share_rows_where_it_pays() -> None:
    vector = {name: KNOWN[name].vector for name in FAST}
    assert set(vector.values()) <= {32, 64} and KNOWN["avx512"].vector == KNOWN["amx"].vector == 64
    for kernels, wide in vector.items():
        for outputs, of_pixel in ((64, 8), (65, 16), (128, 16), (129, 32), (256, 32), (257, 64)):
            several = max(wide // of_pixel, 1)
            assert max(shares(Case(outputs, 20).graph(), kernels, "CONV_CUTS"), 1) == several
            rows = max(wide // max(of_pixel, 16), 1)
            assert max(shares(Case(outputs, 20).graph(), kernels, "CONV_SLICED"), 1) == (rows if rows > 2 else 1)
        for alone in (
            Case(width=20, taps=(3, 2)), Case(width=20, taps=(1, 1), pads=(0, 0)), Case(width=20, strides=(1, 2)),
            Case(width=1),
        ):  # fmt: skip
            assert shares(alone.graph(), kernels, "CONV_CUTS") == 0


def test_no_more_pixels_share_a_row_than_are_there() -> None:
    weight = (64, 7, 3, 3)
    found = [shared_rows.row_pixels(Kind.CONV_CUTS, 64, weight, 1, width) for width in (1, 2, 3, 4, 5, 8, 100)]
    assert found == [1, 2, 4, 4, 8, 8, 8]
    assert shared_rows.row_pixels(Kind.CONV_ROWS, 64, weight, 1, 100) == 1


def test_tables_that_share_rows_stay_in_a_second_cache() -> None:
    """The tables have 3 x 10, 3 x 6 and 3 x 4 taps, in rows of 64, 32 and 16 bytes."""
    found = [shared_rows.row_pixels(Kind.CONV_CUTS, 64, (64, inputs, 3, 3), 1, 100) for inputs in (136, 137, 456, 2000)]
    assert found == [8, 4, 2, 1]


def test_a_row_holds_each_pixels_taps_and_zeros() -> None:
    """One input, one row of taps: a pixel's taps begin `stride` columns after the one's before."""
    codes = np.array([1, -1, 1], np.int16).reshape(1, 1, 1, 3)
    packed = layout.ordered("c", codes, 4, 2)
    assert (packed.row_bytes, packed.array.shape) == (32, (3 + 3 * 2 + 1, 4))
    bits = (packed.array.astype(np.uint64) & np.uint64(1)).T.tolist()
    assert bits == [
        [1, 0, 1, 0, 0, 0, 0, 0, 0, 0],
        [0, 0, 1, 0, 1, 0, 0, 0, 0, 0],
        [0, 0, 0, 0, 1, 0, 1, 0, 0, 0],
        [0, 0, 0, 0, 0, 0, 1, 0, 1, 0],
    ]


@pytest.mark.parametrize("kernels", FAST)
def test_scratch_memory_is_what_the_library_says(kernels: str) -> None:
    """Shared rows and the sums of windows are in it."""
    index = next(s.index for s in kernel_sets() if s.name == kernels)
    for outputs, largest, kind in itertools.product((40, 100, 200, 300), (None, (2, 2)), ("CONV_SLICED", "CONV_CUTS")):
        if largest and kind == "CONV_CUTS":
            continue
        plan = plan_of(Case(outputs, 16, largest=largest).graph(), kernels, choices={"c": kind}, still=False)
        for planned, op in zip(plan.operations, bind(plan).ops, strict=True):
            theirs = library().spk_op_scratch(index, ctypes.byref(op))
            assert theirs == KNOWN[kernels].scratch_bytes(planned), (outputs, largest, kind)


@pytest.mark.parametrize("inputs", [3, 64, 700])
@pytest.mark.parametrize("outputs", [1, 64, 65, 128, 129, 256, 257])
def test_weights_take_no_more_than_is_counted(outputs: int, inputs: int) -> None:
    """The layer is planned by cuts and by sums, on the set of the longest vector."""
    layer = Case(outputs, 100, inputs=inputs).graph().node("c")
    assert isinstance(layer, ir.Conv)
    shape, codes = layer.weight.shape, layer.weight.astype(np.int16)
    cut, summed = (shared_rows.row_pixels(kind, 64, shape, 1, 100) for kind in (Kind.CONV_CUTS, Kind.CONV_SLICED))
    made = layout.ordered("c", codes, cut).array.nbytes + layout.sliced("c", codes, summed).array.nbytes
    assert made <= layer.laid_out((inputs, 4, 100))
