"""The limits of `load`: no network that somebody could train meets them, and no small file passes them."""

from __future__ import annotations

import math
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from spikelet.base.errors import ArtifactError
from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.graph.file.artifact import dumps, load, loads, save
from spikelet.graph.file.limits import MEMORY, OPERATIONS, footprint, memory_for, operations, operations_for
from spikelet.graph.ops import synapses
from tests.small_edges import graph_of

Layer = tuple[int, int, int, int]  # outputs, inputs, kernel, rows of the map that it reads

VGG_16: list[Layer] = [
    (64, 3, 3, 224), (64, 64, 3, 224), (128, 64, 3, 112), (128, 128, 3, 112), (256, 128, 3, 56), (256, 256, 3, 56),
    (256, 256, 3, 56), (512, 256, 3, 28), (512, 512, 3, 28), (512, 512, 3, 28), *[(512, 512, 3, 14)] * 3,
    (4096, 512, 7, 7), (4096, 4096, 1, 1), (1000, 4096, 1, 1),
]  # fmt: skip
U_NET: list[Layer] = [
    (64, 3, 3, 512), (64, 64, 3, 512), (128, 64, 3, 256), (128, 128, 3, 256), (256, 128, 3, 128), (256, 256, 3, 128),
    (512, 256, 3, 64), (512, 512, 3, 64), (1024, 512, 3, 32), (1024, 1024, 3, 32), (512, 1024, 3, 64),
    (512, 512, 3, 64), (256, 512, 3, 128), (256, 256, 3, 128), (128, 256, 3, 256), (128, 128, 3, 256),
    (64, 128, 3, 512), (64, 64, 3, 512), (2, 64, 1, 512),
]  # fmt: skip


def _nodes(layers: list[Layer], bits: int) -> list[ir.Operation]:
    """Convolution, norm and neuron of every layer, each on an input of its own, with arrays that take no memory."""
    nodes: list[ir.Operation] = []
    for i, (o, c, k, side) in enumerate(layers):
        weight = np.broadcast_to(np.int8(0), (o, c, k, k))
        padding = (0, 0) if k == 7 else (k // 2, k // 2)
        nodes += [
            ir.Input(f"x{i}", (), (c, side, side)),
            ir.Conv(f"conv{i}", (f"x{i}",), weight, bits, (1, 1), padding, 1),
            ir.Affine(f"norm{i}", (f"conv{i}",), np.zeros(o, np.int32), np.zeros(o, np.uint8), np.zeros(o, np.int32)),
            ir.Lif(f"lif{i}", (f"norm{i}",), 1, 2, 1, 8, "hard", None),
        ]
    return nodes


@pytest.mark.parametrize("bits", [1, 4, 8])
@pytest.mark.parametrize("layers", [VGG_16, U_NET], ids=["VGG-16 of 224 pixels", "U-Net of 512 pixels"])
def test_large_networks_are_within_the_limits_of_their_file(layers: list[Layer], bits: int) -> None:
    nodes = _nodes(layers, bits)
    size = sum(math.prod(layer[:2]) * layer[2] ** 2 for layer in layers) * bits // 8
    assert footprint(nodes) <= memory_for(size)
    assert operations(nodes, 16 if layers is VGG_16 else 1) <= operations_for(size)


def _wide(outputs: int, inputs: int) -> ir.IntGraph:
    weight = np.zeros((outputs, inputs), np.int8)
    weight[::3] = -1
    return graph_of(
        ir.Input("x", (), (inputs,)), ir.Lif("s", ("x",), 0, 1, 0, 5, "hard", None),
        ir.Linear("fc", ("s",), weight, 1), ir.SumTime("y", ("fc",)),
    )  # fmt: skip


def test_a_file_loads_in_the_memory_that_is_counted_a_few_bytes_a_weight(tmp_path: Path) -> None:
    graph, path = _wide(2000, 4000), tmp_path / "model.safetensors"
    save(graph, path)
    tracemalloc.start()
    try:
        loaded = load(path)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    np.testing.assert_array_equal(loaded.node("fc").weight, graph.node("fc").weight)  # type: ignore[attr-defined]
    cuts = 2**20  # that its neurons might have
    assert peak <= footprint(graph.nodes) < 5 * 2000 * 4000 + 2**26 + cuts


def test_a_proof_in_parts_is_that_of_all_weights_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(synapses, "PART", 100)
    rng = np.random.default_rng(0)
    for g, o, i, k in ((1, 3, 5, 5), (3, 2, 1, 12), (7, 60, 4, 3), (1, 1, 9, 20), (40, 1, 1, 3)):
        w = rng.integers(-8, 8, (g * o, i, k, k)).astype(np.int8)
        node = ir.Conv("c", ("x",), w, 4, (1, 1), (0, 0), g, "full")
        edge_low, edge_high = -rng.integers(0, 9, g * i), rng.integers(0, 9, g * i)
        low, high = node.interval(Edge((g * i, 2000, 2000), edge_low, edge_high, timed=True), T=1)
        codes = w.astype(np.int64).reshape(g, o, i, -1)
        at = codes * edge_low.reshape(g, 1, i, 1), codes * edge_high.reshape(g, 1, i, 1)
        np.testing.assert_array_equal(low, np.minimum(*at).sum((2, 3)).reshape(-1))
        np.testing.assert_array_equal(high, np.maximum(*at).sum((2, 3)).reshape(-1))


def test_a_small_file_may_ask_for_what_maps_take_and_for_no_more() -> None:
    assert memory_for(10_000) == MEMORY
    assert operations_for(10_000) == OPERATIONS
    huge = graph_of(ir.Input("x", (), (30, 6000, 6000)), ir.MaxPool("p", ("x",), (60, 60), (64, 64), (0, 0)),
                    ir.Flatten("f", ("p",)), ir.SumTime("y", ("f",)))  # fmt: skip
    with pytest.raises(ArtifactError, match=rf"need up to \d+ bytes of memory, max_bytes allows {MEMORY}\. Pass a"):
        loads(dumps(huge))
    with pytest.raises(ArtifactError, match="max_bytes must be a whole number"):
        loads(dumps(huge), max_bytes="all")  # type: ignore[arg-type]
