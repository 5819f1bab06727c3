"""The packed file is as small as the arithmetic says, and so is the memory that loading takes."""

from __future__ import annotations

import dataclasses
import json
import tracemalloc

import numpy as np
import pytest

from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.file.artifact import dumps, loads
from spikelet.graph.file.document import entries_of, hollow_nodes, nodes_to_json
from spikelet.graph.file.limits import footprint, operations, shapes_of
from tests.artifact_parts import assert_same_graph
from tests.nodes import conv, linear
from tests.random_graphs import random_graph


def theoretical_bytes(graph: ir.IntGraph) -> float:
    """Weights at their bits, multipliers and offsets at 16 or 32 bits, shifts at 8, mapped channels at 16."""
    bits = sum(n.weight.size * n.bits for n in graph.nodes if isinstance(n, ir.Conv | ir.Linear))
    for node in graph.of_type(ir.Affine):
        for values in (node.multiplier, node.offset):
            bits += values.size * (16 if np.array_equal(values, values.astype(np.int16)) else 32)
        bits += node.shift.size * 8
    bits += sum(16 * node.source.size for node in graph.of_type(ir.ChannelMap))
    return bits / 8


def _conv(name: str, source: str, o: int, i: int, kernel: int, stride: int, bits: int, seed: int) -> ir.Conv:
    rng = np.random.default_rng(seed)
    codes = rng.integers(0, 2, (o, i, kernel, kernel), dtype=np.int8) * 2 - 1
    return conv(name, (source,), codes, bits, (stride, stride), (kernel // 2, kernel // 2), 1)


def _neuron(prefix: str, source: str, channels: int, nodes: list[ir.Operation], end: str = "") -> str:
    rng = np.random.default_rng(len(nodes))
    nodes.append(
        ir.Affine(
            f"{prefix}.bn{end}",
            (source,),
            rng.integers(2**13, 2**14, channels).astype(np.int32),
            np.full(channels, 10, np.uint8),
            rng.integers(-9000, 9000, channels).astype(np.int32),
        )
    )
    nodes.append(
        ir.Lif(f"{prefix}.lif{end}", (nodes[-1].name,), 128, 256, 8, 4096, "hard", ir.Membrane(2, 11))
    )  # fmt: skip
    return nodes[-1].name


def residual_network(widths: tuple[int, ...], blocks: tuple[int, ...]) -> ir.IntGraph:
    """A 1-bit residual network with 8-bit first and last layers, named as PyTorch names modules."""
    nodes: list[ir.Operation] = [ir.Input("x", (), (3, 32, 32))]
    nodes.append(dataclasses.replace(_conv("conv1", "x", widths[0], 3, 3, 1, 8, 0)))
    source, c = _neuron("stem", "conv1", widths[0], nodes), widths[0]
    for stage, (width, count) in enumerate(zip(widths, blocks, strict=True), 1):
        for block in range(count):
            p, stride = f"layer{stage}.{block}", 2 if block == 0 and stage > 1 else 1
            nodes.append(_conv(f"{p}.conv1", source, width, c, 3, stride, 1, len(nodes)))
            inner = _neuron(p, nodes[-1].name, width, nodes, "1")
            nodes.append(_conv(f"{p}.conv2", inner, width, width, 3, 1, 1, len(nodes)))
            branch = nodes[-1].name
            if stride == 2 or c != width:
                nodes.append(_conv(f"{p}.shortcut", source, width, c, 1, stride, 1, len(nodes)))
                source = nodes[-1].name
            nodes.append(ir.Add(f"{p}.add", (branch, source)))
            source, c = _neuron(p, nodes[-1].name, width, nodes, "2"), width
    nodes.append(ir.SumPool("pool", (source,), 32 >> len(widths) - 1))
    nodes.append(ir.Flatten("flatten", ("pool",)))
    head = np.random.default_rng(1).integers(-127, 128, (10, c)).astype(np.int8)
    nodes.append(linear("fc", ("flatten",), head, 8))
    nodes.append(ir.SumTime("logits", ("fc",)))
    labels = ("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck")
    meta = {"model": "residual", "data": "cifar10", "seed": "0", "commit": "0" * 40}
    return ir.IntGraph.of_logits(tuple(nodes), 4, 2.0**-7, labels, meta)


@pytest.mark.parametrize(
    ("widths", "blocks"),
    [((128, 256, 512), (3, 3, 2)), ((16, 32, 64), (5, 5, 5)), ((64, 128, 256, 512), (2, 2, 2, 2)), ((64,), (1,))],
    ids=["ResNet19 of 12.5 million weights", "ResNet32 of 0.46 million", "ResNet18", "one block"],
)
def test_a_file_takes_at_most_2_percent_and_4_kB_more_than_its_bits(
    widths: tuple[int, ...], blocks: tuple[int, ...]
) -> None:
    graph = residual_network(widths, blocks)
    data = dumps(graph)
    assert len(data) <= 1.02 * theoretical_bytes(graph) + 4096
    assert_same_graph(loads(data), graph)


def test_a_chain_of_30_narrow_layers_takes_at_most_4_kB_more_than_its_bits() -> None:
    nodes: list[ir.Operation] = [ir.Input("x", (), (16, 8, 8))]
    source = "x"
    for i in range(30):
        nodes.append(_conv(f"features.{i}.conv", source, 16, 16, 3, 1, 1, i))
        source = _neuron(f"features.{i}", nodes[-1].name, 16, nodes)
    nodes += [ir.Flatten("flatten", (source,)), linear("fc", ("flatten",), np.ones((10, 1024), np.int8), 1)]
    nodes.append(ir.SumTime("logits", ("fc",)))
    graph = ir.IntGraph.of_logits(tuple(nodes), 4, 1.0)
    assert len(dumps(graph)) <= 1.02 * theoretical_bytes(graph) + 4096


def _hollow(graph: ir.IntGraph) -> list[ir.Operation]:
    """The nodes as loading knows them before it takes memory."""
    return hollow_nodes(entries_of(json.loads(json.dumps(nodes_to_json(graph.nodes, 3))), 3))


@pytest.mark.parametrize("seed", range(20))
def test_the_footprint_knows_the_shapes_of_the_analysis(seed: int) -> None:
    graph = random_graph(seed)
    assert shapes_of(_hollow(graph)) == {name: edge.shape for name, edge in analyse(graph).items()}


@pytest.mark.parametrize("seed", range(20))
def test_operations_are_no_fewer_than_the_dense_products(seed: int) -> None:
    graph = random_graph(seed)
    edges = analyse(graph)
    synapses = [n for n in graph.nodes if isinstance(n, ir.Conv | ir.Linear)]
    dense = sum(n.weight.size * edges[n.name].size // edges[n.name].shape[0] for n in synapses)
    values = sum(edge.size for edge in edges.values())
    assert 3 * dense < operations(_hollow(graph), 3) <= 3 * (dense + 64 * values)


def odd_network() -> ir.IntGraph:
    """8-bit odd codes, which take two bytes each once unpacked, and a channel map of many channels."""
    weight = (2 * np.random.default_rng(0).integers(0, 256, (256, 256, 3, 3)) - 255).astype(np.int16)
    nodes = (
        ir.Input("x", (), (1, 4, 4)),
        ir.ChannelMap("m", ("x",), np.zeros(256, np.int16), 1),
        conv("c", ("m",), weight, 8, (1, 1), (1, 1), 1, "odd"),
        ir.ChannelMap("n", ("c",), np.zeros(2**15 - 1, np.int16), 4),
        ir.Flatten("f", ("n",)),
        ir.SumTime("y", ("f",)),
    )
    return ir.IntGraph.of_logits(nodes, 1, 1.0)


@pytest.mark.parametrize("kind", ["many weights", "odd codes", "large flat edge", "many inputs"])
def test_loading_takes_no_more_memory_than_the_footprint(kind: str) -> None:
    if kind == "many weights":
        graph = residual_network((64, 128), (1, 1))
    elif kind == "odd codes":
        graph = odd_network()
    else:
        nodes: list[ir.Operation] = [ir.Input("x", (), (3, 128, 128)), ir.Flatten("f", ("x",))]
        if kind == "many inputs":
            nodes.append(ir.Add("a", ("f",) * 64))
        graph = ir.IntGraph.of_logits((*nodes, ir.SumTime("y", (nodes[-1].name,))), 1, 1.0)
    data = dumps(graph)
    needed = footprint(_hollow(graph))
    tracemalloc.start()
    loads(data)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak <= needed + 3 * len(data) + 200_000
