"""CONV_BLOCKS: bytes, spikes and planes through int8 weights in blocks, whatever is left over at their edges."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.runtime import layout, plan_of
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.operation import Planned
from tests.nodes import conv, linear
from tests.runtime.test_depthwise import codes_of
from tests.small_edges import graph_of
from tests.support.kernel_sets import SETS

FAST = [name for name in SETS if name != "scalar"]
AWKWARD = (1, 2, 3, 5, 7, 8, 15, 16, 17, 31, 33, 63, 65, 127, 129)
LAST = ir.Flatten("f", ("c",)), ir.SumTime("logits", ("f",))


def counts(name: str, most: int) -> ir.Affine:
    """Values from 0 to `most`, of bytes."""
    return ir.Affine(name, ("x",), np.ones(1, np.int32), np.zeros(1, np.uint8), np.zeros(1, np.int32), (0, most))


def block_op(graph: ir.IntGraph, kernels: str) -> Planned:
    """The operation of layer c by blocks."""
    plan = plan_of(graph, kernels, choices={"c": "CONV_BLOCKS"})
    (op,) = (op for op in plan.operations if op.kind is Kind.CONV_BLOCKS)
    return op


def assert_right(graph: ir.IntGraph, x: NDArray[np.uint8]) -> None:
    """Every set gives by blocks what the reference gives, at every output."""
    expected = Reference(graph).outputs(x)
    for kernels in FAST:
        found = Program(graph, threads=2, kernels=kernels, choices={"c": "CONV_BLOCKS"}).outputs(x)
        for name, values in expected.items():
            np.testing.assert_array_equal(found[name], values, err_msg=f"{kernels} {name}")


@pytest.mark.parametrize("inputs", AWKWARD)
@pytest.mark.parametrize("outputs", [1, 8, 15, 16, 17, 33, 129])
def test_layers_of_every_width(inputs: int, outputs: int) -> None:
    rng = np.random.default_rng([inputs, outputs])
    for kernel, side in ((1, (3, 7)), (3, (4, 5))):
        codes = rng.integers(-127, 128, (outputs, inputs, kernel, kernel))
        layer = conv("c", ("v",), codes, 8, (1, 1), (kernel // 2, kernel // 2), 1)
        graph = graph_of(ir.Input("x", (), (inputs, *side)), counts("v", 255), layer, *LAST)
        assert_right(graph, rng.integers(0, 256, (2, inputs, *side)).astype(np.uint8))


@pytest.mark.parametrize("places", AWKWARD)
@pytest.mark.parametrize("steps", [1, 3, 17, 33])
def test_maps_of_every_size_and_as_many_steps(places: int, steps: int) -> None:
    """Tiles of pixels that span rows of the map, and end within one."""
    rng = np.random.default_rng([places, steps])
    for side in ((1, places), (places, 1), (places, 2)):
        neuron = ir.Lif("s", ("x",), 1, 2, 1, 99, "hard", None)
        layer = conv("c", ("s",), rng.integers(-7, 8, (9, 5, 3, 3)), 4, (1, 1), (1, 1), 1)
        scaled = ir.Affine("a", ("c",), np.full(9, 3, np.int32), np.ones(9, np.uint8), np.arange(9, dtype=np.int32))
        after = (
            scaled,
            ir.Lif("l", ("a",), 1, 2, 1, 4, "soft", None),
            ir.Flatten("f", ("l",)),
            ir.SumTime("logits", ("f",)),
        )
        graph = graph_of(ir.Input("x", (), (5, *side)), neuron, layer, *after, time_steps=steps)
        assert block_op(graph, FAST[0]).number("source") == Form.SPIKES
        assert_right(graph, rng.integers(0, 256, (steps, 2, 5, *side)).astype(np.uint8))
        assert_right(graph, rng.integers(0, 256, (1, 5, *side)).astype(np.uint8))


@pytest.mark.parametrize(("bits", "grid"), [(1, "symmetric"), (4, "odd"), (7, "odd"), (8, "symmetric"), (8, "full")])
@pytest.mark.parametrize("kernel", [1, 3])
def test_values_and_codes_at_their_ends(bits: int, grid: str, kernel: int) -> None:
    low, high = codes_of(bits, grid)[0], codes_of(bits, grid)[-1]
    for codes in ([low], [high], [low, high]):
        weight = np.resize(codes, (17, 70, kernel, kernel))
        layer = conv("c", ("v",), weight, bits, (1, 1), (kernel // 2, kernel // 2), 1, grid)
        graph = graph_of(ir.Input("x", (), (70, 3, 6)), counts("v", 255), layer, *LAST)
        for value in (0, 255):
            assert_right(graph, np.full((1, 70, 3, 6), value, np.uint8))


@pytest.mark.parametrize(
    ("kernel", "stride", "padding"), [((2, 3), 2, (0, 1)), ((5, 1), 1, (2, 0)), ((1, 1), 3, (0, 0))]
)
@pytest.mark.parametrize("window", [(1, 1), (2, 3)])
def test_windows_strides_and_the_largest_of_neighbours(
    kernel: tuple[int, int], stride: int, padding: tuple[int, int], window: tuple[int, int]
) -> None:
    """A frame's own bytes, channels apart, without a map in between."""
    rng = np.random.default_rng([*kernel, stride, *window])
    layer = conv("c", ("x",), rng.integers(-127, 128, (21, 3, *kernel)), 8, (stride, stride), padding, 1)
    pool = ir.MaxPool("m", ("c",), window, window, (0, 0))
    graph = graph_of(
        ir.Input("x", (), (3, 17, 23)), layer, pool, ir.Lif("l", ("m",), 1, 2, 1, 900, "hard", None),
        ir.Flatten("f", ("l",)), ir.SumTime("logits", ("f",)), time_steps=2,
    )  # fmt: skip
    op = block_op(graph, FAST[0])
    assert (op.number("source"), op.number("max_h"), op.number("max_w")) == (Form.BYTES, *window)
    assert_right(graph, rng.integers(0, 256, (2, 2, 3, 17, 23)).astype(np.uint8))


@pytest.mark.parametrize("width", [1, 31, 32, 33, 64, 65, 130])
@pytest.mark.parametrize("kernel", [1, 3])
def test_sums_of_spikes_are_read_in_planes(width: int, kernel: int) -> None:
    rng = np.random.default_rng([width, kernel])
    neurons = [ir.Lif(f"s{i}", ("x",), 1, 2, 1, 12 + 30 * i, "hard", None) for i in range(5)]
    layer = conv("c", ("sum",), rng.integers(-7, 8, (18, width, kernel, kernel)), 4, (1, 1), (kernel // 2,) * 2, 1)
    total = ir.Add("sum", tuple(neuron.name for neuron in neurons))
    graph = graph_of(ir.Input("x", (), (width, 3, 4)), *neurons, total, layer, *LAST, time_steps=2)
    op = block_op(graph, FAST[0])
    assert (op.number("source"), op.number("source_planes")) == (Form.PLANES, 3)
    assert_right(graph, rng.integers(0, 256, (2, 2, width, 3, 4)).astype(np.uint8))


def test_a_linear_layer_over_a_map_is_one_place() -> None:
    rng = np.random.default_rng(0)
    flat, layer = ir.Flatten("v", ("x",)), linear("c", ("v",), rng.integers(-127, 128, (11, 90)), 8)
    graph = graph_of(ir.Input("x", (), (6, 3, 5)), flat, layer, ir.SumTime("logits", ("c",)))
    assert_right(graph, rng.integers(0, 256, (3, 6, 3, 5)).astype(np.uint8))


def test_weights_lie_four_synapses_of_an_output_side_by_side() -> None:
    codes = np.arange(18 * 66).reshape(18, 66, 1, 1).astype(np.int16) % 251 - 125
    blocks = layout.blocks(codes)
    assert (blocks.packing, blocks.row_bytes, blocks.array.shape) == ("blocks", 32, (2, 2, 16, 16, 4))
    for output, synapse in ((0, 0), (17, 65), (3, 64), (16, 5)):
        block = blocks.array[output // 16, synapse // 64]
        assert block[synapse % 64 // 4, output % 16, synapse % 4] == codes[output, synapse, 0, 0]
    assert blocks.array.astype(int).sum() == codes.sum()  # the rest is 0


@pytest.mark.parametrize(("low", "bits", "grid"), [(-1, 4, "symmetric"), (0, 8, "odd")])
def test_what_is_no_byte_or_int8_is_refused(low: int, bits: int, grid: str) -> None:
    values = ir.Affine("v", ("x",), np.ones(1, np.int32), np.zeros(1, np.uint8), np.full(1, low, np.int32), (low, 100))
    codes = np.resize([codes_of(bits, grid)[-1]], (8, 4, 1, 1))
    layer = conv("c", ("v",), codes, bits, (1, 1), (0, 0), 1, grid)
    graph = graph_of(ir.Input("x", (), (4, 3, 3)), values, layer, *LAST)
    with pytest.raises(GraphError, match="choices: CONV_BLOCKS can't run c on the kernel set"):
        plan_of(graph, FAST[0], choices={"c": "CONV_BLOCKS"})
