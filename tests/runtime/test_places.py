"""CONV_PLACES: spikes through lists of 1-bit weights, 512 output places at once, whatever shape their map has."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.runtime import layout, plan_of
from spikelet.runtime.plan.kinds import Form, Kind
from tests.nodes import conv
from tests.small_edges import graph_of
from tests.support.kernel_sets import SETS

FAST = [name for name in SETS if name != "scalar"]
WIDTHS = (1, 2, 7, 8, 9, 15, 16, 17, 31, 32, 33, 63, 64)
LAST = ir.Flatten("f", ("c",)), ir.SumTime("logits", ("f",))
CHOICE = {"c": "CONV_PLACES"}


def fires(threshold: int) -> ir.Lif:
    """Spikes of bytes."""
    return ir.Lif("s", ("x",), 1, 2, 1, threshold, "hard", None)


def layer(rng: np.random.Generator, outputs: int, inputs: int, kernel: tuple[int, int], padding: tuple[int, int]):
    return conv("c", ("s",), rng.choice([-1, 1], (outputs, inputs, *kernel)), 1, (1, 1), padding, 1)


def assert_right(graph: ir.IntGraph, x: NDArray[np.uint8]) -> None:
    """Every set gives by places what the reference gives, at every output."""
    expected = Reference(graph).outputs(x)
    for kernels in FAST:
        program = Program(graph, threads=2, kernels=kernels, choices=CHOICE)
        for name, values in program.outputs(x).items():
            np.testing.assert_array_equal(values, expected[name], err_msg=f"{kernels} {name}")


def frames(rng: np.random.Generator, steps: int, *shape: int) -> NDArray[np.uint8]:
    return rng.integers(0, 256, (steps, 2, *shape)).astype(np.uint8)


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("steps", [1, 2, 3, 5, 17, 65])
def test_maps_of_every_width_and_as_many_steps(width: int, steps: int) -> None:
    """Strips of one step and of many, bands that end within the map."""
    rng = np.random.default_rng([width, steps])
    for height in (1, 5, 18):
        graph = graph_of(
            ir.Input("x", (), (3, height, width)), fires(99), layer(rng, 9, 3, (3, 3), (1, 1)), *LAST, time_steps=steps
        )
        assert_right(graph, frames(rng, steps, 3, height, width))


@pytest.mark.parametrize("inputs", [1, 7, 63, 64, 65, 130])
@pytest.mark.parametrize("outputs", [1, 8, 15, 16, 17, 63, 64, 65, 129])
def test_layers_of_every_width(inputs: int, outputs: int) -> None:
    rng = np.random.default_rng([inputs, outputs])
    scaled = ir.Affine(
        "a", ("c",), np.full(outputs, 3, np.int32), np.ones(outputs, np.uint8), np.arange(outputs, dtype=np.int32)
    )
    after = scaled, ir.Lif("l", ("a",), 1, 2, 1, 4, "soft", None), ir.Flatten("f", ("l",)), ir.SumTime("logits", ("f",))
    for kernel in (1, 3):
        synapses = layer(rng, outputs, inputs, (kernel, kernel), (kernel // 2, kernel // 2))
        graph = graph_of(ir.Input("x", (), (inputs, 5, 6)), fires(150), synapses, *after, time_steps=2)
        assert_right(graph, frames(rng, 2, inputs, 5, 6))


@pytest.mark.parametrize(
    ("kernel", "padding"), [((1, 1), (0, 0)), ((2, 3), (0, 1)), ((5, 1), (2, 0)), ((4, 8), (3, 7)), ((8, 8), (4, 4))]
)
@pytest.mark.parametrize("window", [(1, 1), (2, 2), (3, 4), (4, 1)])
def test_taps_paddings_and_the_largest_of_neighbours(
    kernel: tuple[int, int], padding: tuple[int, int], window: tuple[int, int]
) -> None:
    rng = np.random.default_rng([*kernel, *window])
    for steps, width in ((1, 14), (3, 40), (9, 8)):
        graph = graph_of(
            ir.Input("x", (), (5, 11, width)), fires(120), layer(rng, 21, 5, kernel, padding),
            ir.MaxPool("m", ("c",), window, window, (0, 0)), ir.Lif("l", ("m",), 1, 2, 1, 2, "hard", None),
            ir.Flatten("f", ("l",)), ir.SumTime("logits", ("f",)), time_steps=steps,
        )  # fmt: skip
        (op,) = (op for op in plan_of(graph, FAST[0], choices=CHOICE).operations if op.kind is Kind.CONV_PLACES)
        assert (op.number("source"), op.number("max_h"), op.number("max_w")) == (Form.SPIKES, *window)
        assert_right(graph, frames(rng, steps, 5, 11, width))


@pytest.mark.parametrize("threshold", [1, 300])
@pytest.mark.parametrize("code", [-1, 1])
def test_all_spikes_and_none_through_weights_of_one_sign(threshold: int, code: int) -> None:
    """Counts at their ends, up to what int16 holds."""
    for inputs, side in ((445, 3), (2**15 - 1, 1)):
        synapses = conv("c", ("s",), np.full((3, inputs, side, side), code), 1, (1, 1), (side // 2,) * 2, 1)
        graph = graph_of(ir.Input("x", (), (inputs, 2, 9)), fires(threshold), synapses, *LAST)
        assert_right(graph, np.full((1, inputs, 2, 9), 200, np.uint8))


def test_shortcuts_and_currents_that_others_read() -> None:
    """What follows the sums is what follows those of any layer: currents kept, added to, fired and summed."""
    rng = np.random.default_rng(4)
    first = conv("c", ("s",), rng.choice([-1, 1], (24, 24, 3, 3)), 1, (1, 1), (1, 1), 1)
    second = conv("d", ("l",), rng.choice([-1, 1], (24, 24, 3, 3)), 1, (1, 1), (1, 1), 1)
    graph = graph_of(
        ir.Input("x", (), (24, 12, 16)), fires(120), first, ir.Lif("l", ("c",), 1, 2, 1, 6, "hard", None), second,
        ir.Add("r", ("c", "d")), ir.Lif("e", ("r",), 1, 2, 1, 9, "hard", None), ir.Flatten("f", ("e",)),
        ir.SumTime("logits", ("f",)), time_steps=2,
    )  # fmt: skip
    x = frames(rng, 2, 24, 12, 16)
    expected, both = Reference(graph)(x), CHOICE | {"d": "CONV_PLACES"}
    for kernels in FAST:
        program = Program(graph, kernels=kernels, choices=both)
        assert [op.kind for op in program.plan(still=False).operations].count(Kind.CONV_PLACES) == 2
        np.testing.assert_array_equal(program(x), expected)
        stream = program.stream()
        _, state = stream(x[:1], stream.start(2))
        np.testing.assert_array_equal(stream(x[1:], state)[0], expected)


def test_weights_are_lists_of_synapses_with_a_weight_of_one() -> None:
    codes = np.array([[1, -1, 1], [-1, -1, -1]]).reshape(2, 3, 1, 1).astype(np.int16)
    packed = layout.places(codes)
    assert (packed.packing, packed.row_bytes, packed.array.dtype) == ("places", 64, np.uint16)
    assert packed.array.tolist() == [8, 8, 0, 2, 3, 3, 3, 3, 3, 3, 0]


@pytest.mark.parametrize(
    ("inputs", "kernel", "width", "stride", "bits"),
    [(4, 1, 9, 2, 1), (4, 9, 9, 1, 1), (4, 1, 65, 1, 1), (4, 1, 9, 1, 2), (2**15, 1, 9, 1, 1)],
    ids=["stride", "kernel", "width", "bits", "synapses"],
)
def test_what_it_does_not_reach_is_refused(inputs: int, kernel: int, width: int, stride: int, bits: int) -> None:
    synapses = conv("c", ("s",), np.ones((8, inputs, kernel, 1), int), bits, (stride, stride), (0, 0), 1)
    graph = graph_of(ir.Input("x", (), (inputs, 9, width)), fires(99), synapses, *LAST)
    with pytest.raises(GraphError, match="choices: CONV_PLACES can't run c on the kernel set"):
        plan_of(graph, FAST[0], choices=CHOICE)


def test_thin_layers_on_large_maps_take_it_unless_they_have_cuts() -> None:
    """It counts as long for any rate, so that many outputs of few spikes are left to lists, and so are small maps."""
    rng = np.random.default_rng(0)
    for outputs, side, taken in ((64, 32, True), (64, 4, False), (192, 16, False)):
        synapses = layer(rng, outputs, 64, (3, 3), (1, 1))
        graph = graph_of(ir.Input("x", (), (64, side, side)), fires(99), synapses, *LAST, time_steps=2)
        kinds = [op.kind for op in plan_of(graph, "avx512").operations]
        assert (Kind.CONV_PLACES in kinds) == taken
