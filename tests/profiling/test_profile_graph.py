"""A graph's profile leaves no byte and no product out, whatever operations it has, and loads no torch."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.file.document import stored_bytes
from spikelet.graph.ir import IntGraph
from spikelet.graph.reference import Reference
from spikelet.profiling import LEMAIRE, profile_graph
from tests.nodes import conv, linear
from tests.random_graphs import random_graph, random_input

T, D, N = 3, 4, 5  # steps, channels, tokens
SEEDS = [seed for seed in range(60) if random_graph(seed).of_type(ir.Lif)]


def neuron(name: str, source: str, **more: object) -> ir.Lif:
    return ir.Lif(name, (source,), 1, 2, 1, 40, "hard", None, **more)  # type: ignore[arg-type]


def scales(channels: int) -> tuple[np.ndarray, ...]:
    """3 x / 4 in every channel."""
    return np.full(channels, 3, np.int32), np.full(channels, 2, np.uint8), np.zeros(channels, np.int32)


def attention() -> IntGraph:
    """Tokens [2, 5, 1] of bytes to 3 logits: scores of spikes, weighted values, and every way of moving them."""
    rng = np.random.default_rng(0)

    def weight(outputs: int, inputs: int) -> np.ndarray:
        return rng.integers(-3, 4, (outputs, inputs, 1, 1))

    nodes = [
        ir.Input("x", (), (2, N, 1)),
        conv("q.conv", ("x",), weight(D, 2), 3, (1, 1), (0, 0), 1),
        conv("k.conv", ("x",), weight(D, 2), 3, (1, 1), (0, 0), 1),
        conv("v.conv", ("x",), weight(D, 2), 3, (1, 1), (0, 0), 1),
        neuron("q", "q.conv"), neuron("k", "k.conv", levels=3), neuron("v", "v.conv"),
        ir.Matmul("scores", ("q", "k"), 2, (True, False), (N, 1)),
        ir.Affine("scaled", ("scores",), *scales(2 * N)),
        ir.Matmul("mix", ("v", "scaled"), 2, (False, True), (N, 1)),
        ir.Gather("rolled", ("mix",), np.array([[1], [2], [3], [4], [-1]], np.int32)),
        ir.Constant("bias", (), np.array([2, 1, -1, 3]).reshape(D, 1, 1).astype(np.int32)),
        ir.Add("sum", ("rolled", "bias")),
        ir.ChannelMap("mapped", ("sum",), np.array([3, 2, -1, 0], np.int16), 1),
        ir.Lif("out", ("mapped",), 1, 2, 1, np.array([1, 2, 1, 2], np.int32), "hard", None),
        ir.Delay("before", ("out",), (D, N, 1)),
        ir.Mul("gated", ("out", "before")),
        ir.Flatten("flat", ("gated",)),
        linear("fc", ("flat",), rng.integers(-3, 4, (3, D * N)), 3),
        ir.SumTime("logits", ("fc",)),
    ]  # fmt: skip
    return IntGraph.of_logits(tuple(nodes), T, 1.0)


def frames() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (T, 2, 2, N, 1), dtype=np.uint8)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_stored_byte_is_counted(seed: int):
    graph = random_graph(seed)
    report = profile_graph(graph, random_input(graph, 1, seed))
    assert report.total.packed_bytes == sum(map(stored_bytes, graph.nodes))


def test_the_random_graphs_hold_what_stores_bytes():
    kinds = {type(node) for seed in SEEDS for node in random_graph(seed).nodes if stored_bytes(node)}
    assert kinds >= {ir.Conv, ir.Linear, ir.Affine, ir.ChannelMap}


def test_every_stored_byte_of_an_attention_layer_is_counted():
    graph = attention()
    analyse(graph)
    report = profile_graph(graph, frames())
    by_name = {layer.name: layer for layer in report.layers}
    assert report.total.packed_bytes == sum(map(stored_bytes, graph.nodes))
    assert by_name["mapped"].packed_bytes == 2 * D
    assert by_name["rolled"].packed_bytes == stored_bytes(graph.node("rolled")) > 0
    assert by_name["bias"].packed_bytes == stored_bytes(graph.node("bias")) > 0
    assert by_name["out"].packed_bytes == stored_bytes(graph.node("out")) > 0
    assert by_name["q"].packed_bytes == 0
    assert "scaled" not in by_name, "its constants are those of the scores"
    assert by_name["scores"].packed_bytes == stored_bytes(graph.node("scaled"))


def test_products_of_two_edges_are_counted_as_loops_count_them():
    graph, x = attention(), frames()
    edges = Reference(graph).edges(x)
    layers = {layer.name: layer for layer in profile_graph(graph, x).synapses}
    assert list(layers) == ["q.conv", "k.conv", "v.conv", "scores", "mix", "gated", "fc"]
    q, k, v, scaled = (edges[name].reshape(T, 2, 2, -1, N) for name in ("q", "k", "v", "scaled"))  # heads apart
    pairs = sum(
        bool(q[t, b, h, d, i]) and bool(k[t, b, h, d, j])
        for t in range(T) for b in range(2) for h in range(2) for d in range(D // 2) for i in range(N) for j in range(N)
    )  # fmt: skip
    assert layers["scores"].neurobench.effective_acs * 2 == pairs > 0
    assert layers["scores"].macs_per_step == D * N * N
    assert layers["scores"].neurobench.dense == T * D * N * N
    assert layers["scores"].spiking_input
    assert layers["scores"].input_events * 2 == q.sum()
    assert (layers["scores"].weights, layers["scores"].weight_bits) == (D * N, 2)  # k counts to 3
    assert layers["scores"].kind == "product"
    mixed = sum(
        bool(v[t, b, h, d, j]) and bool(scaled[t, b, h, i, j])
        for t in range(T) for b in range(2) for h in range(2) for d in range(D // 2) for i in range(N) for j in range(N)
    )  # fmt: skip
    assert layers["mix"].neurobench.effective_acs * 2 == mixed > 0
    out, before = edges["out"], edges["before"]
    assert layers["gated"].neurobench.effective_acs * 2 == ((out != 0) & (before != 0)).sum() > 0
    assert layers["gated"].macs_per_step == D * N


def test_products_of_two_edges_have_an_energy_under_every_table():
    report = profile_graph(attention(), frames())
    for layer in report.synapses:
        assert all(energy is not None and energy > 0 for energy in report.energy_pj(layer).values()), layer.name
    (scores,) = [layer for layer in report.synapses if layer.name == "scores"]
    additions, events = scores.neurobench.effective_acs, scores.input_events
    word = LEMAIRE.sram.access_pj
    expected = additions * 0.1 + additions * 0.1
    expected += events * word(5, D * N * 5 / 8)  # the address of one of 20 values
    expected += additions * (word(2, D * N * 2 / 8) + 2 * word(32, 2 * N * N * 4))
    assert report.energy_pj(scores)["lemaire"] == pytest.approx(expected)


def test_a_graph_that_reads_itself_a_step_before_has_a_profile():
    nodes = (
        ir.Input("x", (), (4,)),
        ir.Delay("back", ("lif",), (2,)),
        linear("ahead", ("x",), [[1, 1, 0, 0], [0, 0, 1, 1]], 2),
        linear("again", ("back",), [[0, 1], [1, 0]], 2),
        ir.Add("sum", ("ahead", "again")),
        ir.Lif("lif", ("sum",), 0, 1, 0, 2, "hard", None),
        ir.SumTime("logits", ("lif",)),
    )
    graph = IntGraph.of_logits(nodes, 2, 1.0)
    x = np.array([[[1, 1, 0, 0]], [[0, 0, 0, 0]]], np.uint8)
    report = profile_graph(graph, x)
    layers = {layer.name: layer for layer in report.layers}
    assert report.total.spikes == 1  # the first neuron at step 0; half of a threshold comes back at step 1
    assert layers["again"].neurobench.effective_acs == 1  # type: ignore[union-attr]
    assert report.total.packed_bytes == sum(map(stored_bytes, graph.nodes))


def test_the_profile_of_a_graph_loads_no_torch():
    code = (
        "import sys, numpy, spikelet; from spikelet.profiling import profile_graph\n"
        "graph = spikelet.load(spikelet.zoo.names()[0])\n"
        "report = profile_graph(graph, numpy.zeros((1, *graph.input.shape), numpy.uint8))\n"
        "assert report.total.packed_bytes > 0 and report.table().rows and report.to_json()\n"
        "sys.exit('torch' in sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
