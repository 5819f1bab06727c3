"""Steps counted together, and apart: every spike and sum is the reference's, whatever the steps have in common.

Kernels count steps together where a map has enough ones that several steps share (csrc/events.h, count_together): those
of many channels, half full, here. Those of few, and maps that are empty, are counted step by step."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.runtime import plan_of
from spikelet.runtime.plan.kinds import Kind
from tests.nodes import conv
from tests.runtime.test_cuts import FAST, NEURONS, assert_cut, images, layer
from tests.runtime.test_native_build import CC, CSRC, STRICT, needs_compiler
from tests.small_edges import graph_of

STEPS = (2, 3, 4, 5, 6, 9, 17)  # blocks of 2, 3 and 4, whole ones and not
OUTPUTS = (16, 130, 300, 520)  # rows of 16, 32 and 64 bytes, and of a vector and a half, whatever its bytes
MANY = 300  # channels
CHOICE = Path(__file__).with_name("steps_together.c")
RATES = (0.5, 0.0, 1.0)


def of_rates(graph: ir.IntGraph) -> NDArray[np.uint8]:
    return np.concatenate([images(graph, rate, 1) for rate in RATES], 1)


def assert_summed(graph: ir.IntGraph, x: NDArray[np.uint8], sets: list[str] = FAST) -> None:
    """Layer c makes sums of rows of bits, and every logit is the reference's."""
    expected = Reference(graph)(x)
    for kernels in sets:
        program = Program(graph, kernels=kernels, choices={"c": "CONV_SLICED"})
        np.testing.assert_array_equal(program(x), expected, err_msg=kernels)


@pytest.mark.parametrize("outputs", OUTPUTS)
@pytest.mark.parametrize("steps", STEPS)
def test_blocks_of_every_length_and_rows_of_every_width(steps: int, outputs: int) -> None:
    for name in ("2 bits", "3 bits, soft"):
        graph = layer(outputs, steps, NEURONS[name], inputs=MANY)
        assert_cut(graph, of_rates(graph))
    assert_summed(graph, of_rates(graph))


@pytest.mark.parametrize("name", NEURONS)
def test_every_neuron(name: str) -> None:
    for steps in (1, 2, 3, 4):
        graph = layer(70, steps, NEURONS[name], inputs=MANY)
        assert_cut(graph, of_rates(graph))


def wide(steps: int, *, stride: int = 1, pad: int = 1, terms: int = 1, pool: int = 1) -> ir.IntGraph:
    """`terms` maps of spikes added up, and behind them a layer of 70 outputs by 3 x 3 taps, whose largest neighbours of
    `pool` x `pool` go on to its neurons."""
    rng = np.random.default_rng([steps, stride, terms])
    neurons = [ir.Lif(f"s{i}", ("x",), 0, 1, 0, 60 + 80 * i, "hard", None) for i in range(terms)]
    adds: list[ir.Operation] = []
    for i in range(1, terms):
        adds.append(ir.Add(f"sum{i}", (adds[-1].name if adds else "s0", f"s{i}")))
    last = adds[-1].name if adds else "s0"
    codes = rng.choice([-1, 1], (70, MANY, 3, 3))
    largest = [ir.MaxPool("m", ("c",), (pool, pool), (pool, pool), (0, 0))] if pool > 1 else []
    return graph_of(
        ir.Input("x", (), (MANY, 7, 6)), *neurons, *adds,
        conv("c", (last,), codes, 1, (stride, stride), (pad, pad), 1), *largest,
        ir.Lif("l", ("m" if largest else "c",), 1, 2, 1, 9, "hard", None),
        ir.Flatten("f", ("l",)), ir.SumTime("logits", ("f",)), time_steps=steps,
    )  # fmt: skip


def bytes_of(graph: ir.IntGraph) -> NDArray[np.uint8]:
    """Frames whose pixels often stay as they are from a step to the next, so that sums have channels in common."""
    rng = np.random.default_rng(7)
    x = rng.integers(0, 256, (graph.time_steps, 2, *graph.input.shape), dtype=np.uint8)
    for t in range(1, graph.time_steps):
        stays = rng.random(x[t].shape) < 0.5
        x[t][stays] = x[t - 1][stays]
    return x


@pytest.mark.parametrize("steps", [2, 3, 4, 6])
@pytest.mark.parametrize(
    "made", [{"stride": 2}, {"pad": 0}, {"terms": 2}, {"terms": 3}, {"pool": 2}, {"pool": 2, "pad": 0}], ids=str
)
def test_strides_pads_planes_and_largest_neighbours(made: dict[str, int], steps: int) -> None:
    graph = wide(steps, **made)
    if made.get("terms", 1) > 1:
        assert Kind.ADD_PLANES in {op.kind for op in plan_of(graph, "portable").operations}
    for x in (bytes_of(graph), np.repeat(bytes_of(graph)[:1], steps, 0)):
        assert_summed(graph, x)


def test_maps_of_few_ones_between_full_ones() -> None:
    """Images of one batch are counted in both ways."""
    graph = layer(300, 4, NEURONS["sums"], inputs=MANY)
    x = np.concatenate([images(graph, rate, 1) for rate in (0.6, 0.01, 0.4, 0.0, 0.5)], 1)
    assert_cut(graph, x)
    assert_summed(graph, x)


@pytest.fixture(scope="module")
def choice(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program that prints what count_together chooses."""
    program = tmp_path_factory.mktemp("choice") / "choice"
    subprocess.run([str(CC), *STRICT, "-I", str(CSRC), str(CHOICE), "-o", str(program)], check=True)
    return program


@needs_compiler
@pytest.mark.parametrize(
    ("layer", "chosen"),
    [
        ("2 3 8 384 64 1 100 1", "2 3 1"),
        ("3 3 8 384 64 1 100 1", "3 7 1"),
        ("4 3 8 384 64 1 100 1", "4 15 1"),
        ("5 3 8 384 64 1 100 1", "3 7 2"),
        ("17 3 8 384 64 1 100 1", "4 15 5"),
        ("1 3 8 384 64 1 100 1", "1 1 1"),  # one step
        ("4 1 8 384 64 1 100 1", "1 1 4"),  # 1 x 1
        ("4 3 8 384 64 1 5 1", "1 1 4"),  # few ones
        ("4 3 8 384 64 1 0 1", "1 1 4"),
        ("2 3 8 48 32 1 50 1", "2 3 1"),
        ("2 3 8 48 32 2 50 1", "1 1 2"),  # the same, side by side
        ("2 3 8 48 32 1 50 2", "2 3 1"),  # two pixels that share rows, and have one list
        ("2 3 8 48 32 1 10 1", "1 1 2"),
        ("2 3 8 48 32 1 10 8", "2 3 1"),  # eight: their counts are added up at once
    ],
)
def test_full_maps_are_counted_together_and_no_others(layer: str, chosen: str, choice: Path) -> None:
    """Steps of a block, its lists, and blocks, for the layers that steps_together.c describes."""
    printed = subprocess.run([str(choice), *layer.split()], check=True, capture_output=True, text=True).stdout
    assert printed.split() == chosen.split()
