"""Neurons under a current that is the same at every step: spikes by their first one are the reference's."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.graph.first_spikes import first_spikes
from spikelet.runtime import plan_of
from tests.nodes import conv
from tests.runtime.test_cuts import FAST
from tests.small_edges import graph_of

NEURONS = {
    "hard": ir.Lif("l", ("a",), 1, 2, 1, 90, "hard", None),
    "slow": ir.Lif("l", ("a",), 15, 1, 4, 60, "hard", None),
    "adds up": ir.Lif("l", ("a",), 1, 1, 0, 300, "hard", None),
    "forgets": ir.Lif("l", ("a",), 0, 1, 0, 70, "hard", None),
    "2 bits": ir.Lif("l", ("a",), 1, 2, 1, 90, "hard", ir.Membrane(2, 6)),
    "4 bits": ir.Lif("l", ("a",), 7, 5, 3, 120, "hard", ir.Membrane(4, 4), rounding="half"),
    "fires always": ir.Lif("l", ("a",), 1, 2, 1, 1, "hard", None),
    "never": ir.Lif("l", ("a",), 1, 2, 1, 2**20, "hard", None),
}
OTHERS = {
    "soft": ir.Lif("l", ("a",), 1, 2, 1, 90, "soft", None),
    "levels": ir.Lif("l", ("a",), 1, 2, 1, 90, "hard", None, levels=3, step=20),
    "start": ir.Lif("l", ("a",), 1, 2, 1, 90, "hard", None, start=30),
    "by channel": ir.Lif("l", ("a",), 1, 2, 1, np.arange(60, 130, dtype=np.int32), "hard", None),
}


def image_layer(neuron: ir.Lif, steps: int, *, outputs: int = 70, bits: int = 8) -> ir.IntGraph:
    """Bytes, a convolution, an affine step of either sign, `neuron`."""
    rng = np.random.default_rng([outputs, steps, bits])
    top = 2 ** (bits - 1) - 1
    codes = rng.choice([-1, 1], (outputs, 3, 3, 3)) if bits == 1 else rng.integers(-top, top + 1, (outputs, 3, 3, 3))
    m, d = rng.integers(-30, 60, outputs).astype(np.int32), rng.integers(-60, 90, outputs).astype(np.int32)
    return graph_of(
        ir.Input("x", (), (3, 6, 7)), conv("c", ("x",), codes, bits, (1, 1), (1, 1), 1),
        ir.Affine("a", ("c",), m, np.full(outputs, 4 + bits, np.uint8), d), neuron,
        ir.Flatten("f", ("l",)), ir.SumTime("logits", ("f",)), time_steps=steps,
    )  # fmt: skip


def pictures(graph: ir.IntGraph) -> NDArray[np.uint8]:
    rng = np.random.default_rng(3)
    x = rng.integers(0, 256, (4, *graph.input.shape)).astype(np.uint8)
    x[0], x[1], x[2] = 0, 255, rng.integers(0, 30, graph.input.shape)
    return x


def tells(graph: ir.IntGraph, kernels: str, *, still: bool = True) -> bool:
    """Whether an operation is told of first spikes."""
    return any("first_spikes" in op.arrays for op in plan_of(graph, kernels, still=still).operations)


@pytest.mark.parametrize("name", NEURONS)
@pytest.mark.parametrize("steps", [3, 4, 7, 16])
def test_every_step_fires_as_the_reference(steps: int, name: str) -> None:
    for outputs, bits in ((70, 8), (64, 8), (3, 2), (129, 1)):
        graph = image_layer(NEURONS[name], steps, outputs=outputs, bits=bits)
        x = pictures(graph)
        expected = Reference(graph).spikes(x)["l"]
        for kernels in FAST:
            assert tells(graph, kernels)
            np.testing.assert_array_equal(Program(graph, kernels=kernels).spikes(x)["l"], expected, err_msg=kernels)


@pytest.mark.parametrize("name", OTHERS)
def test_other_neurons_go_step_by_step(name: str) -> None:
    graph = image_layer(OTHERS[name], 4)
    x = pictures(graph)
    for kernels in FAST:
        assert not tells(graph, kernels)
        np.testing.assert_array_equal(Program(graph, kernels=kernels)(x), Reference(graph)(x), err_msg=kernels)


def test_frames_streams_one_step_and_many_go_step_by_step() -> None:
    graph = image_layer(NEURONS["hard"], 4)
    assert tells(graph, "portable") and not tells(graph, "portable", still=False) and not tells(graph, "scalar")
    for few in (1, 2):
        one = image_layer(NEURONS["hard"], few)
        assert not tells(one, "portable")
        np.testing.assert_array_equal(Program(one)(pictures(one)), Reference(one)(pictures(one)))
    many = image_layer(NEURONS["hard"], 17)
    assert not tells(many, "portable")
    for one in (graph, many):
        x = pictures(one)
        np.testing.assert_array_equal(Program(one)(x), Reference(one)(x))
        frames = np.repeat(x[None], one.time_steps, 0)
        program = Program(one)
        stream = program.stream()
        state = stream.start(len(x))
        for t in range(one.time_steps):
            y, state = stream(frames[t : t + 1], state)
        np.testing.assert_array_equal(y, Reference(one)(x))


def test_first_spikes_by_hand() -> None:
    """h = x + v / 2 against 90: one step needs 90, two 60 (60 + 30), three 52 (52 + 39 where two reach 78)."""
    assert first_spikes(NEURONS["hard"], -1000, 1000, 3).tolist() == [90, 60, 52]
    assert first_spikes(NEURONS["hard"], 55, 70, 3).tolist() == [71, 60, 55]
    assert first_spikes(NEURONS["never"], -5, 5, 2).tolist() == [6, 6]
