"""What a report says and how: JSON, tables, energies under names, graph beside module."""

from __future__ import annotations

import dataclasses
import json

import pytest
import torch
from torch import nn

from spikelet.graph import ir
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Linear
from spikelet.profiling import HOROWITZ_FP32, TABLES, profile, profile_graph
from spikelet.profiling.arena import Buffer, peak_bytes
from spikelet.profiling.layers import ChannelLayer, SynapseLayer
from spikelet.profiling.report import SCHEMA
from spikelet.quant import Binary, Uniform
from spikelet.runtime import plan_of
from tests.profiling.networks import SMALL, TwoLayers, images, small_model, two_steps_of_spikes
from tests.random_graphs import random_graph, random_input

SAME_IN_MODULE_AND_GRAPH = [
    "in_shape",
    "out_shape",
    "kernel",
    "weights",
    "steps",
    "spiking_input",
    "input_events",
    "macs_per_step",
]


def test_the_json_holds_every_layer_the_total_and_the_tables():
    model, x = small_model("qsnn_resnet19")
    report = profile(model, x, name="mine")
    document = json.loads(report.to_json())
    assert document["schema"] == SCHEMA == "spikelet.profile/1"
    assert (document["model"], document["time_steps"], document["samples"]) == ("mine", 3, 4)
    assert [layer["name"] for layer in document["layers"]] == [layer.name for layer in report.layers]
    assert document["total"]["packed_bytes"] == report.total.packed_bytes
    assert document["total"]["neurobench"]["dense"] == report.total.neurobench.dense
    assert {table["name"]: table["unit"] for table in document["energy_tables"]} == {t.name: "pJ" for t in TABLES}
    assert document["energy_tables"][0]["constants"]["mac"]["pj"] == 4.6
    assert all(c["source"] for table in document["energy_tables"] for c in table["constants"].values())


def test_every_energy_in_the_json_stands_under_the_name_of_a_table():
    document = json.loads(profile(TwoLayers(), two_steps_of_spikes(), time_axis=0).to_json())

    def energies(value: object) -> list[dict]:
        if isinstance(value, dict):
            inner = [e for k, v in value.items() if "energy" in k and k != "energy_tables" for e in [(k, v)]]
            return inner + [e for v in value.values() for e in energies(v)]
        return [e for v in value for e in energies(v)] if isinstance(value, list) else []

    found = energies(document)
    assert len(found) == 5  # three layers, the total, the network without spikes
    assert all(key == "energy_pj" and set(value) == {t.name for t in TABLES} for key, value in found)


def test_the_same_run_gives_the_same_text():
    model, x = small_model("qsnn_vggsnn")
    assert profile(model, x).to_json() == profile(model, x).to_json()


def test_a_table_has_a_row_a_layer_a_total_and_the_network_without_spikes():
    report = profile(TwoLayers(), two_steps_of_spikes(), time_axis=0)
    table = report.table()
    assert [row[0] for row in table.rows] == ["first", "neurons", "second"]
    assert [row[0] for row in table.footer] == ["total", "without spikes, 2 bit"]
    assert {len(row) for row in (table.columns, *table.rows, *table.footer)} == {len(table.columns)}
    cells = dict(zip(table.columns, table.rows[0], strict=True))
    assert cells["SOPs (papers)"] == "8"
    assert cells["ACs (NeuroBench)"] == "5"
    assert cells["rate in"] == "0.6667"
    assert cells["rate out"] == "-"
    assert cells["horowitz_fp32 [uJ]"] == "7.2e-06"


def test_a_table_can_be_had_in_parts():
    report = profile(TwoLayers(), two_steps_of_spikes(), time_axis=0)
    parts = [report.table(part).columns for part in ("size", "operations", "energy")]
    assert parts[2] == ("layer", "horowitz_fp32 [uJ]", "horowitz_int [uJ]", "lemaire [uJ]")
    assert report.table().columns == ("layer", *(title for part in parts for title in part[1:]))
    with pytest.raises(ValueError, match=r"a table has the parts size, operations, energy, got 'cost'\."):
        report.table("cost")  # type: ignore[arg-type]


def test_no_title_says_energy_without_a_table():
    titles = profile(TwoLayers(), two_steps_of_spikes(), time_axis=0).table("energy").columns[1:]
    assert all(any(t.name in title for t in TABLES) and "[uJ]" in title for title in titles)


def test_two_tables_of_one_name_are_refused():
    with pytest.raises(ValueError, match=r"tables must have different names, got horowitz_fp32, horowitz_fp32\."):
        profile(TwoLayers(), two_steps_of_spikes(), time_axis=0, tables=[HOROWITZ_FP32, HOROWITZ_FP32])


@pytest.mark.parametrize("name", SMALL)
def test_a_graph_does_what_its_module_does(name: str):
    model, x = small_model(name)
    graph = lower(model, x)
    ours, lowered = profile(model, x), profile_graph(graph, x.numpy())
    assert lowered.total.peak_arena_bytes == plan_of(graph).arena_bytes > ours.total.peak_arena_bytes
    assert [n.spikes for n in ours.neurons] == [n.spikes for n in lowered.neurons]
    assert [n.membrane_bytes for n in ours.neurons] == [n.membrane_bytes for n in lowered.neurons]
    for module, node in zip(ours.synapses, lowered.synapses, strict=True):
        for field in SAME_IN_MODULE_AND_GRAPH:
            assert getattr(module, field) == getattr(node, field), (module.name, field)
        assert module.input_bits <= node.input_bits
        assert module.neurobench.dense == node.neurobench.dense
        if module.weight_bits == 1:
            assert module.neurobench == node.neurobench
        if module.weight_bits == 1 and module.spiking_input:
            assert ours.energy_pj(module) == lowered.energy_pj(node)


@pytest.mark.parametrize("seed", range(8))
def test_every_random_graph_with_neurons_has_a_profile(seed: int):
    graph = random_graph(seed)
    x = random_input(graph, 2, seed)
    if not graph.of_type(ir.Lif):
        with pytest.raises(ValueError, match=r"the graph has no Lif node; a profile needs a spiking network\."):
            profile_graph(graph, x)
        return
    report = profile_graph(graph, x)
    document = json.loads(report.to_json())
    assert len(document["layers"]) == len(report.layers)
    named = [n for n in graph.nodes if isinstance(n, ir.Conv | ir.Linear | ir.Lif)]
    assert [layer.name for layer in report.layers if not isinstance(layer, ChannelLayer)] == [n.name for n in named]


def test_a_graph_needs_samples():
    model, x = small_model("qsnn_vgg_s")
    with pytest.raises(ValueError, match=r"x must hold at least one sample, got none\."):
        profile_graph(lower(model, x), x[:0].numpy())


def test_a_batch_norm_that_follows_no_synapses_has_a_row_of_its_own():
    class NormAfterSum(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b = Conv2d(2, 3, 1, Binary()), Conv2d(2, 3, 1, Binary())
            self.norm, self.lif = BatchNorm2d(3), LIF(1)

        def forward(self, x):
            return self.lif(self.norm(self.a(x) + self.b(x)))

    model = NormAfterSum().eval()
    report = profile(model, torch.ones(1, 1, 2, 4, 4), time_axis=0)
    assert report.layers[2] == ChannelLayer("norm", parameters=6, channels=3, packed_bytes=3 * 5)
    assert report.total.parameters == sum(p.numel() for p in model.parameters())


def test_a_layer_used_twice_is_one_row_with_twice_the_steps():
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.lif = Linear(4, 4, Uniform(8)), LIF(2)

        def forward(self, x):
            return self.linear(self.lif(self.linear(x)))

    report = profile(Twice(), torch.ones(2, 1, 4), time_axis=0)
    assert [layer.name for layer in report.layers] == ["linear", "lif"]
    assert report.synapses[0].steps == 4


def test_float_weights_have_no_integer_energy_and_no_total_of_it():
    model = create_model("qsnn_vgg_s", widths=(4, 4), image_size=8, weight_bits=32, membrane_bits=32)
    report = profile(model, images(3, 8, 1))
    assert report.total.energy_pj["horowitz_int"] is None
    assert report.total.energy_pj["lemaire"] is None
    assert report.total.energy_pj["horowitz_fp32"] is not None
    assert report.table("energy").footer[0][2] == "-"


def test_the_baseline_replaces_spikes_and_their_pooled_sums_and_keeps_pixels():
    model, x = small_model("qsnn_vgg_s")
    report = profile(model, x)
    first, last = report.synapses[0], report.synapses[-1]
    assert (first.input_bits, first.spiking_input, last.spiking_input) == (8, False, False)
    assert report.baseline.activation_bits == 2
    assert report.baseline.macs == report.total.macs_per_step
    hidden = sum(layer.macs_per_step * 2 * 1 for layer in report.synapses[1:-1])
    assert last.input_bits == 4  # pooled spikes of one step; three steps of 0 to 15 are 46 values
    assert report.baseline.bops == first.macs_per_step * 64 + hidden + last.macs_per_step * 8 * 6


@pytest.mark.parametrize(("time_steps", "bits"), [(1, 1), (2, 2), (3, 2), (4, 3), (7, 3), (8, 4)])
def test_t_steps_of_spikes_match_activations_of_the_bits_that_count_to_t(time_steps: int, bits: int):
    model = nn.Sequential(Linear(2, 2, Binary()), LIF(time_steps))
    assert profile(model, torch.ones(1, 1, 2), time_axis=0).baseline.activation_bits == bits


def test_the_arena_holds_what_lives_at_once():
    spikes, values = 1, 32
    chain = [
        Buffer(100, 0, (), False),  # the caller's
        Buffer(64, values, (0,), False),  # synapses: never stored, the neurons take them at once
        Buffer(64, spikes, (1,), True),  # 8 bytes
        Buffer(32, values, (2,), False),  # 128 bytes, beside the 8 that it reads
    ]
    assert peak_bytes(chain) == 8 + 128


def test_a_residual_value_waits_in_the_arena():
    residual = [
        Buffer(16, 0, (), False),
        Buffer(16, 1, (0,), True),  # spikes, 2 bytes, read by both branches
        Buffer(16, 32, (1,), False),  # the shortcut waits: 64 bytes
        Buffer(16, 32, (1,), False),  # the other branch goes into the sum
        Buffer(16, 32, (2, 3), True),  # the sum goes into the neurons
        Buffer(16, 1, (4,), True),
    ]
    assert peak_bytes(residual) == 2 + 64 + 2


def test_a_value_that_two_operations_read_is_stored():
    x, current = Buffer(4, 0, (), False), Buffer(4, 32, (0,), False)
    shared = [x, current, Buffer(4, 1, (1,), True), Buffer(4, 32, (1, 2), True)]
    assert peak_bytes(shared) == 16 + 1 + 16


def test_a_layer_is_immutable():
    layer = profile(TwoLayers(), two_steps_of_spikes(), time_axis=0).synapses[0]
    assert isinstance(layer, SynapseLayer)
    with pytest.raises(dataclasses.FrozenInstanceError):
        layer.steps = 3.0  # type: ignore[misc]
