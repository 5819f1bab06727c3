"""The native program is the reference, bit for bit, on every kernel set and for any number of threads."""

from __future__ import annotations

import re
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
import torch

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.file.limits import laid_out
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.runtime import RuntimeUnavailable, kernel_sets
from spikelet.runtime.layout import runs
from tests.nodes import conv, linear
from tests.random_graphs import random_graph, random_input

SETS = [s.name for s in kernel_sets()]


@pytest.mark.parametrize("seed", range(60))
def test_every_kernel_set_gives_the_references_spikes_and_logits(seed: int) -> None:
    graph = random_graph(seed)
    x = random_input(graph, 3, seed)
    reference = Reference(graph)
    logits, spikes = reference(x), reference.spikes(x)
    for kernels in SETS:
        program = Program(graph, threads=1 + seed % 3, kernels=kernels)
        np.testing.assert_array_equal(program(x), logits, err_msg=kernels)
        for name, values in program.spikes(x).items():
            np.testing.assert_array_equal(values, spikes[name], err_msg=f"{kernels} {name}")


@pytest.mark.parametrize("time_steps", [15, 16, 17, 32, 33])
def test_more_steps_than_a_kernel_takes_at_a_time(time_steps: int) -> None:
    """A still current that fires and is added to later: its map has one step, its spikes have all."""
    torch.manual_seed(time_steps)
    model = create_model("qsnn_vgg_s", time_steps=time_steps, image_size=10, widths=(8, 16)).eval()
    x = torch.randint(0, 256, (3, 3, 10, 10), dtype=torch.uint8)
    graph = lower(model, x)
    expected, spikes = Reference(graph)(x.numpy()), Reference(graph).spikes(x.numpy())
    for kernels in SETS:
        program = Program(graph, kernels=kernels)
        np.testing.assert_array_equal(program(x.numpy()), expected, err_msg=kernels)
        for name, values in program.spikes(x.numpy()).items():
            np.testing.assert_array_equal(values, spikes[name], err_msg=f"{kernels} {name}")


def test_adds_within_adds_within_adds() -> None:
    """conv_1 + (conv_2 + (... + conv_300)): no depth of Python's calls."""
    one = np.ones((4, 1, 1, 1), np.int8)
    convs = [conv(f"c{i}", ("x",), one if i % 3 else -one, 1, (1, 1), (0, 0), 1) for i in range(300)]
    inner = ir.Add("a298", ("c298", "c299"))
    adds = [inner, *(ir.Add(f"a{i}", (f"c{i}", f"a{i + 1}")) for i in range(297, -1, -1))]
    end = (ir.Flatten("flat", ("a0",)), ir.SumTime("logits", ("flat",)))
    graph = ir.IntGraph.of_logits((ir.Input("x", (), (1, 2, 2)), *convs, *adds, *end), 2, 1.0)
    x = np.arange(8, dtype=np.uint8).reshape(2, 1, 2, 2)
    np.testing.assert_array_equal(Program(graph)(x), Reference(graph)(x))


def test_more_memory_than_allowed_is_refused() -> None:
    graph = _one_layer(np.ones((64, 64, 3, 3), np.int8), 64)
    allowed = sum(laid_out(graph.nodes).values())  # weights and constants, and no arena
    with pytest.raises(GraphError, match=rf"^2 thread\(s\) at T = 3 take \d+ bytes, max_bytes allows {allowed}\. Use"):
        Program(graph, threads=2, max_bytes=allowed)


@pytest.mark.parametrize("channels", [1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 128, 129, 255, 257])
def test_awkward_channel_counts_and_full_inputs(channels: int) -> None:
    rng = np.random.default_rng(channels)
    graph = _one_layer(rng.choice([-1, 1], (channels, channels, 3, 3)).astype(np.int8), channels)
    for x in (np.full((2, 1, 3, 3), 255, np.uint8), rng.integers(0, 256, (2, 1, 3, 3), np.uint8)):
        expected = Reference(graph)(x)
        for kernels in SETS:
            np.testing.assert_array_equal(Program(graph, kernels=kernels)(x), expected, err_msg=kernels)


def _one_layer(weight: np.ndarray, channels: int) -> ir.IntGraph:
    """Pixels -> spikes -> 3x3 binary convolution -> spikes whose charge meets the threshold in ties -> logits."""
    first = conv("first", ("x",), np.ones((channels, 1, 1, 1), np.int8), 1, (1, 1), (0, 0), 1)
    lif: dict[str, Any] = {"leak": 1, "gain": 2, "leak_bits": 1, "reset": "hard", "membrane": None}
    nodes = (
        ir.Input("x", (), (1, 3, 3)),
        first,
        ir.Lif("early", ("first",), threshold=128, **lif),
        conv("conv", ("early",), weight, 1, (1, 1), (1, 1), 1),
        ir.Lif("late", ("conv",), threshold=1, **lif),
        ir.SumPool("pool", ("late",), 3),
        ir.Flatten("flat", ("pool",)),
        linear("head", ("flat",), np.ones((2, channels), np.int8), 1),
        ir.SumTime("logits", ("head",)),
    )
    return ir.IntGraph.of_logits(nodes, 3, 1.0)


@pytest.mark.parametrize(
    ("bits", "groups", "outputs"), [(b, g, 33) for b in range(2, 9) for g in (1, 3)] + [(5, 1, 96)]
)
def test_odd_codes_at_every_width_over_spikes_sums_and_pixels(bits: int, groups: int, outputs: int) -> None:
    rng = np.random.default_rng([bits, groups, outputs])
    graph = _odd_layers(rng, bits, groups, outputs)
    for x in (np.full((1, 3, 4, 5), 255, np.uint8), rng.integers(0, 256, (2, 3, 4, 5), np.uint8)):
        expected, spikes = Reference(graph)(x), Reference(graph).spikes(x)
        for kernels in SETS:
            program = Program(graph, kernels=kernels)
            np.testing.assert_array_equal(program(x), expected, err_msg=kernels)
            for name, values in program.spikes(x).items():
                np.testing.assert_array_equal(values, spikes[name], err_msg=f"{kernels} {name}")


def _odd_layers(rng: np.random.Generator, bits: int, groups: int, outputs: int) -> ir.IntGraph:
    """Odd codes over pixels, over spikes, over pooled spikes, over sums of spikes and over a vector."""

    def layer(name: str, source: str, o: int, i: int, kernel: int = 3) -> ir.Conv:
        codes = 2 * rng.integers(0, 2**bits, (o, i // groups, kernel, kernel)) - (2**bits - 1)
        weight = codes.astype(np.int16)
        return conv(name, (source,), weight, bits, (1, 1), (kernel // 2, kernel // 2), groups, "odd")

    lif: dict[str, Any] = {"leak": 1, "gain": 2, "leak_bits": 1, "reset": "soft", "membrane": None}
    head = (2 * rng.integers(0, 2**bits, (4, outputs * 4)) - (2**bits - 1)).astype(np.int16)
    nodes = (
        ir.Input("x", (), (3, 4, 5)),
        layer("pixels", "x", outputs, 3),
        ir.Lif("early", ("pixels",), threshold=1000, **lif),
        layer("spikes", "early", outputs, outputs),
        ir.Lif("middle", ("spikes",), threshold=2**bits, **lif),
        ir.Add("sum", ("early", "middle")),
        layer("sums", "sum", outputs, outputs, 1),
        ir.Lif("late", ("sums",), threshold=2**bits - 1, **lif),
        ir.SumPool("pool", ("late",), 2),
        layer("pooled", "pool", outputs, outputs),
        ir.Lif("last", ("pooled",), threshold=2**bits + 1, **lif),
        ir.Flatten("flat", ("last",)),
        linear("head", ("flat",), head, bits, "odd"),
        ir.SumTime("logits", ("head",)),
    )
    return ir.IntGraph.of_logits(nodes, 3, 1.0)


def test_a_program_may_be_called_from_several_threads_at_once() -> None:
    graph = random_graph(5)
    program, inputs = Program(graph, threads=2), [random_input(graph, 4, seed) for seed in range(8)]
    expected = [Reference(graph)(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        for got, want in zip(pool.map(program, inputs), expected, strict=True):
            np.testing.assert_array_equal(got, want)


def test_an_empty_batch_gives_no_logits() -> None:
    graph = _one_layer(np.ones((3, 3, 3, 3), np.int8), 3)
    assert Program(graph, threads=2)(np.zeros((0, 1, 3, 3), np.uint8)).shape == (0, 2)


@pytest.mark.parametrize("threads", [0, -1, 65, 1.5, "2"])
def test_a_wrong_number_of_threads_is_refused(threads: object) -> None:
    with pytest.raises(GraphError, match=re.escape(f"threads must be a whole number from 1 to 64, got {threads!r}.")):
        Program(random_graph(0), threads=threads)  # type: ignore[arg-type]


def test_kernels_that_are_absent_are_refused_and_never_replaced() -> None:
    with pytest.raises(RuntimeUnavailable, match="amx9"):
        Program(random_graph(0), kernels="amx9")


@pytest.mark.parametrize("dtype", [np.float32, np.int8, np.uint16])
def test_other_input_than_bytes_is_refused(dtype: type) -> None:
    graph = random_graph(0)
    with pytest.raises(GraphError, match="x must be uint8"):
        Program(graph)(random_input(graph, 1, 0).astype(dtype))


def test_an_input_of_another_shape_is_refused() -> None:
    with pytest.raises(GraphError, match="x must have shape"):
        Program(random_graph(0))(np.zeros((1, 1, 2, 3, 4, 5), np.uint8))


@pytest.mark.parametrize("channels", [1, 3, 63, 64, 65, 130])
@pytest.mark.parametrize("spikes", [True, False])
def test_channel_maps_of_every_alignment(channels: int, spikes: bool) -> None:
    rng = np.random.default_rng(channels)
    padded = [-1] * 5 + list(range(channels)) + [-1] * 60
    pruned = [c for c in padded if c % 7]
    for source in (
        padded,
        pruned,
        list(range(channels))[::-1],
        [channels - 1] * 70,
        [-1],
        rng.integers(-1, channels, 129),
    ):
        graph = _channel_map(np.array(source, np.int16), channels, spikes)
        x = rng.integers(0, 256, (2, channels, 3, 5), np.uint8)
        for kernels in SETS:
            np.testing.assert_array_equal(Program(graph, kernels=kernels)(x), Reference(graph)(x), err_msg=kernels)


def _channel_map(source: np.ndarray, channels: int, spikes: bool) -> ir.IntGraph:
    """Pixels or spikes, channels by number at stride 2, every value a logit."""
    lif = ir.Lif("s", ("x",), 1, 2, 1, 128, "hard", None)
    nodes = (
        ir.Input("x", (), (channels, 3, 5)),
        *((lif,) if spikes else ()),
        ir.ChannelMap("m", ("s" if spikes else "x",), source, 2),
        ir.Flatten("f", ("m",)),
        ir.SumTime("y", ("f",)),
    )
    return ir.IntGraph.of_logits(nodes, 3, 1.0)


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ([-1, 0, 1, 2, -1, 7], [[1, 0, 3], [5, 7, 1]]),
        ([0, 1, 2], [[0, 0, 3]]),
        ([2, 1, 1, 2], [[0, 2, 1], [1, 1, 1], [2, 1, 2]]),
        ([0, -1, 1], [[0, 0, 1], [2, 1, 1]]),
        ([-1, -1], []),
    ],
)
def test_a_map_becomes_runs_of_neighbours(source: list[int], expected: list[list[int]]) -> None:
    assert runs(np.array(source, np.int16)).tolist() == [*expected, [0, 0, 0]]
