"""Layers make only the channels that are read, and every value that is left is what it was."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.reference import Reference
from spikelet.lowering import lower, verify
from spikelet.lowering.lower import graph_of, lowering_of
from spikelet.lowering.needed import without_unread
from spikelet.lowering.read_channels import channels_read, with_read_channels
from spikelet.neurons import Delay
from spikelet.nn import ChannelMap, Conv2d, PartialChannels, PartialHeads, Product, ScoreMap, SelfAttention
from spikelet.quant import Uniform
from spikelet.runtime import Program
from tests.random_graphs import random_graph, random_input
from tests.support.user_modules import T, User, assert_exact, classifier, conv, images, neuron, user

SEEDS = range(40)


def sizes(graph: ir.IntGraph, kind: type[ir.Operation] = ir.Conv) -> dict[str, int]:
    """Channels that nodes of a kind make, by name."""
    edges = analyse(graph)
    return {node.name: edges[node.name].shape[0] for node in graph.of_type(kind)}


# --- graphs -----------------------------------------------------------------------------------------


def with_picks(graph: ir.IntGraph, rng: np.random.Generator) -> ir.IntGraph:
    """`graph` with maps of some of the channels, in any order, some twice and some zeros, before convolutions."""
    edges, nodes = analyse(graph), []
    for node in graph.nodes:
        if isinstance(node, ir.Conv) and node.groups == 1:
            channels, count = edges[node.inputs[0]].shape[0], int(rng.integers(1, node.weight.shape[1] + 1))
            source = rng.integers(-1 if rng.random() < 0.3 else 0, channels, count).astype(np.int16)
            ascending = np.unique(source) if rng.random() < 0.5 else source
            nodes.append(ir.ChannelMap(f"{node.name}.picks", node.inputs, ascending, 1))
            weight = node.weight[:, : ascending.size]
            node = dataclasses.replace(node, inputs=(nodes[-1].name,), weight=weight)
        nodes.append(node)
    return without_unread(dataclasses.replace(graph, nodes=tuple(nodes)))


@functools.cache
def picked_graph(seed: int) -> ir.IntGraph | None:
    """None where the picks of a seed leave the range of 32 bits."""
    try:
        graph = with_picks(random_graph(seed), np.random.default_rng(seed))
        analyse(graph)
    except GraphError:
        return None
    return graph


def assert_same(whole: ir.IntGraph, x: NDArray[np.uint8]) -> ir.IntGraph:
    """Outputs are equal, and spikes are those of the channels that are read, in the reference and natively."""
    fewer, masks = with_read_channels(whole), channels_read(whole)
    expected, spikes = Reference(whole).outputs(x), Reference(whole).spikes(x)
    for backend in (Reference(fewer), Program(fewer)):
        made = backend.outputs(x)
        assert all(np.array_equal(made[name], values) for name, values in expected.items())
        fired = backend.spikes(x)
        assert set(fired) == set(spikes)
        assert all(np.array_equal(fired[name], values[:, :, masks[name]]) for name, values in spikes.items())
    return fewer


@pytest.mark.parametrize("seed", SEEDS)
def test_a_random_graph_with_picks_gives_what_it_gave(seed: int):
    whole = picked_graph(seed)
    if whole is not None:
        assert_same(whole, random_input(whole, 2, seed))


def test_picks_of_random_graphs_leave_channels_out_and_stay_where_they_must():
    graphs = [graph for graph in map(picked_graph, SEEDS) if graph is not None]
    fewer = [with_read_channels(graph) for graph in graphs]
    changed = [(a, b) for a, b in zip(graphs, fewer, strict=True) if a is not b]
    assert len(changed) > 6
    assert any(len(b.nodes) < len(a.nodes) for a, b in changed), "no map was left out"
    assert any(name.endswith(".picks") for _, b in changed for name in sizes(b, ir.ChannelMap)), "no map stayed"
    assert any(analyse(a)[n].shape != analyse(b)[n].shape for a, b in changed for n in sizes(b, ir.Lif))


def lif(name: str, source: str, **fields: Any) -> ir.Lif:
    return ir.Lif(name, (source,), 1, 2, 1, np.array([40, 60, 80, 100], np.int32), "soft", None, **fields)


def codes(name: str, source: str, outputs: int, inputs: int, groups: int = 1) -> ir.Conv:
    weight = np.random.default_rng(outputs).integers(-3, 4, (outputs, inputs // groups, 1, 1)).astype(np.int8)
    return ir.Conv(name, (source,), weight, 3, (1, 1), (0, 0), groups)


def pick(name: str, source: str, channels: list[int], *others: str, stride: int = 1) -> ir.ChannelMap:
    return ir.ChannelMap(name, (source, *others), np.array(channels, np.int16), stride)


def constants(name: str, source: str) -> ir.Affine:
    multiplier, offset = (np.array(values, np.int32) for values in ([1, -2, 3, 1], [5, 600, 7, 8]))
    return ir.Affine(name, (source,), multiplier, np.zeros(4, np.uint8), offset)


def network(*nodes: ir.Operation, last: str) -> ir.IntGraph:
    """Spikes `s` of four channels of pixels, `nodes`, and logits of `last`."""
    first = (ir.Input("x", (), (3, 3, 3)), codes("c", "x", 4, 3), constants("a", "c"), lif("s", "a"))
    ends = (ir.Flatten("f", (last,)), ir.SumTime("y", ("f",)))
    return ir.IntGraph.of_logits((*first, *nodes, *ends), 3, 1.0)


def made(*nodes: ir.Operation, last: str) -> dict[str, int]:
    """Channels of each node, once only those that are read are made, of a network that gives what it gave."""
    whole = network(*nodes, last=last)
    fewer = assert_same(whole, np.random.default_rng(0).integers(0, 256, (3, 2, 3, 3, 3), dtype=np.uint8))
    return {node.name: analyse(fewer)[node.name].shape[0] for node in fewer.nodes}


def test_what_makes_the_picked_channels_makes_no_others_and_the_map_goes():
    found = made(pick("p", "s", [0, 2]), codes("d", "p", 2, 2), last="d")
    assert [found[name] for name in "cas"] == [2, 2, 2]
    assert "p" not in found


def test_picks_in_another_order_and_repeated_ones_and_zeros_stay():
    for channels in ([2, 0], [0, 0, 2], [0, -1, 2]):
        found = made(pick("p", "s", channels), codes("d", "p", 2, len(channels)), last="d")
        assert (found["c"], found["s"], found["p"]) == (2, 2, len(channels))


def test_picked_twice_both_picks_are_made():
    found = made(pick("p", "s", [3, 1, 0]), pick("q", "p", [0, 1]), codes("d", "q", 2, 2), last="d")
    assert (found["c"], found["p"]) == (2, 2)
    assert "q" not in found
    two = made(pick("p", "s", [0, 1]), pick("q", "s", [1, 2]), ir.Add("d", ("p", "q")), last="d")
    assert (two["c"], two["p"], two["q"]) == (3, 2, 2)


def test_channels_that_others_read_are_made_and_picks_stay():
    stream = (codes("d", "s", 4, 4), ir.Add("r", ("d", "s")))
    found = made(*stream, pick("p", "r", [1, 3]), codes("e", "r", 2, 4), ir.Add("z", ("p", "e")), last="z")
    assert (found["d"], found["r"], found["p"], found["s"]) == (4, 4, 2, 4)


def test_picks_of_a_residual_stream_reach_all_that_add_to_it():
    stream = (codes("d", "s", 4, 4), codes("e", "s", 4, 4), constants("n", "e"), ir.Add("r", ("d", "n")))
    found = made(*stream, pick("p", "r", [1, 3]), codes("g", "p", 2, 2), last="g")
    assert [found[name] for name in "denrs"] == [2, 2, 2, 2, 4]
    joined = (codes("d", "s", 4, 4), ir.Add("r", ("d", "s")))
    found = made(*joined, pick("p", "r", [1, 3]), codes("g", "p", 2, 2), last="g")
    assert [found[name] for name in "drsp"] == [4, 4, 4, 2]


def test_a_loop_through_a_delay_makes_what_is_read_on_its_way():
    def loop(*read: ir.Operation) -> tuple[ir.Operation, ...]:
        return (codes("d", "s", 4, 4), ir.Delay("w", ("n",), (4, 3, 3)), ir.Add("r", ("d", "w")), lif("n", "r"), *read)

    found = made(*loop(), pick("p", "n", [1, 2]), codes("g", "p", 2, 2), last="g")
    assert [found[name] for name in "dwrn"] == [2] * 4
    mixed = (codes("d", "s", 4, 4), ir.Delay("w", ("n",), (4, 3, 3)), codes("v", "w", 4, 4), ir.Add("r", ("d", "v")))
    found = made(*mixed, lif("n", "r"), pick("p", "n", [1, 2]), codes("g", "p", 2, 2), last="g")
    assert [found[name] for name in "dwvrn"] == [4] * 5


def test_a_neuron_that_only_its_own_loop_reads_makes_one_channel():
    nodes = (codes("c2", "x", 4, 3), ir.Delay("w", ("n",), (4, 3, 3)), ir.Add("r", ("c2", "w")), lif("n", "r"))
    assert sizes(with_read_channels(network(*nodes, codes("d", "s", 2, 4), last="d")), ir.Lif) == {"s": 4, "n": 1}


def test_pools_and_convolutions_of_one_channel_each_follow_and_those_of_groups_stay_whole():
    apart = (codes("d", "s", 4, 4, groups=4), ir.MaxPool("m", ("d",), 2, 1, 0), ir.SumPool("k", ("m",), 2))
    found = made(*apart, pick("p", "k", [0, 3]), codes("g", "p", 2, 2), last="g")
    assert [found[name] for name in "cdmk"] == [2] * 4
    found = made(codes("d", "s", 4, 4, groups=2), pick("p", "d", [0, 3]), codes("g", "p", 2, 2), last="g")
    assert (found["d"], found["p"]) == (4, 2)


def test_maps_at_a_stride_and_of_several_inputs_keep_their_place():
    found = made(pick("p", "s", [0, 3], stride=2), codes("g", "p", 2, 2), last="g")
    assert (found["s"], found["p"]) == (2, 2)
    found = made(codes("d", "s", 4, 4), pick("p", "s", [0, 6, 3], "d"), codes("g", "p", 2, 3), last="g")
    assert (found["s"], found["d"], found["p"]) == (4, 1, 3)


def test_outputs_and_neurons_that_nothing_reads_keep_all_channels():
    whole = network(lif("u", "a"), pick("p", "s", [0, 2]), codes("d", "p", 2, 2), last="d")
    outputs = (*whole.outputs, ir.Output("p", 1.0))
    fewer = with_read_channels(dataclasses.replace(whole, outputs=outputs))
    assert sizes(fewer, ir.Lif) == {"s": 4, "u": 4}
    alone = with_read_channels(network(pick("p", "s", [0, 2]), last="p"))
    assert sizes(alone, ir.Lif) == {"s": 2}


def test_a_graph_that_reads_everything_is_the_same_object():
    whole = network(codes("d", "s", 2, 4), last="d")
    assert with_read_channels(whole) is whole


# --- modules ----------------------------------------------------------------------------------------


def attention(partial: PartialChannels | PartialHeads | None, *, score: bool) -> User:
    torch.manual_seed(3)

    def projection() -> nn.Module:
        return nn.Sequential(Conv2d(8, 8, 1, Uniform(4)), neuron())

    mix = ScoreMap(neuron(2.0)) if score else Product()  # type: ignore[arg-type]
    behind = nn.Sequential(neuron(1.0), Conv2d(8, 4, 1, Uniform(4)), neuron())
    layer = SelfAttention(4, nn.Identity(), projection(), projection(), projection(), mix, behind, partial)
    return user(lambda m, x: m.fc(m.attention(m.lif(m.conv(x))).flatten(2)), conv=conv(3, 8), attention=layer)


@pytest.mark.parametrize("score", [True, False])
def test_queries_and_keys_make_the_channels_that_partial_attention_takes(score: bool):
    whole, half = sizes(assert_exact(attention(None, score=score))), attention(PartialChannels(0.5), score=score)
    graph = assert_exact(half)
    assert not graph.of_type(ir.ChannelMap)
    halved = {"attention.query.0": 4, "attention.key.0": 4}
    assert sizes(graph) == whole | halved
    heads = assert_exact(attention(PartialHeads(0.5), score=score))
    assert sizes(heads) == whole | halved | {"attention.value.0": 4}


def test_a_graph_of_before_whose_neurons_make_all_channels_is_verified_too():
    model, x = attention(PartialChannels(0.5), score=True), images()
    whole = without_unread(graph_of(lowering_of(model, x, None), (), {}))
    labels = torch.zeros(len(x), dtype=torch.long)
    before, now = (verify(graph, model, [(x, labels)]) for graph in (whole, lower(model, x)))
    assert (before.mismatches, now.mismatches) == (0, 0)
    assert now.spikes < before.spikes
    assert np.array_equal(Program(whole)(x.numpy()), Program(lower(model, x))(x.numpy()))


def test_a_wrong_spike_of_a_neuron_that_makes_fewer_channels_is_found():
    model, x = attention(PartialChannels(0.5), score=True), images()

    class Wrong(Reference):
        def spikes(self, pixels: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
            found = super().spikes(pixels)
            return found | {"attention.query.1": 1 - found["attention.query.1"]}

    result = verify(lower(model, x), model, [(x, torch.zeros(len(x), dtype=torch.long))], Wrong)
    assert result.mismatches == result.spike_mismatches["attention.query.1"] == 2 * 4 * 4 * 36


def test_a_network_of_other_channels_is_refused():
    x = images()
    graph = lower(attention(PartialChannels(0.5), score=True), x)
    other = attention(PartialChannels(0.25), score=True)
    with pytest.raises(GraphError, match=r"attention\.query\.1: is .* in the graph .* verify needs the model that was"):
        verify(graph, other, [(x, torch.zeros(len(x), dtype=torch.long))])


def test_shortcuts_and_delays_of_pruned_networks_are_exact():
    def body(m: User, x: Tensor) -> Tensor:
        s = m.late(m.lif(m.conv(x)))
        return m.fc(m.last(m.take(s) + m.two(m.more(s))).flatten(2))

    parts = {
        "late": Delay(T), "take": ChannelMap([3, -1, 1]), "more": ChannelMap([1, 3]), "two": conv(2, 3),
        "last": neuron(), "fc": classifier(3 * 36),
    }  # fmt: skip
    graph = assert_exact(user(body, **parts))
    assert sizes(graph) == {"conv": 2, "two": 3}
    assert sizes(graph, ir.Delay) == {"late": 2}
