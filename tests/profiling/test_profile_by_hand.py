"""A network small enough to count by hand, every figure of it."""

from __future__ import annotations

import pytest

from spikelet.profiling import profile
from spikelet.profiling.layers import NeuroBenchCounts, NeuronLayer, SynapseLayer
from spikelet.profiling.report import Report
from tests.profiling.networks import TwoLayers, two_steps_of_spikes


@pytest.fixture
def report() -> Report:
    return profile(TwoLayers(), two_steps_of_spikes(), time_axis=0)


# Step 1: currents (1 - 1, 1) = (0, 1), spikes (0, 1), membranes (0, 0).
# Step 2: currents (-1, 1), charges (-1, 1), spikes (0, 1), membranes (-1, 0).


def test_the_first_synapses_are_as_counted_by_hand(report: Report):
    layer = report.layers[0]
    assert isinstance(layer, SynapseLayer)
    assert (layer.name, layer.kind, layer.parameters, layer.weight_bits) == ("first", "linear", 6, 2)
    assert layer.packed_bytes == 2  # 6 codes of 2 bits
    assert (layer.macs_per_step, layer.steps, layer.macs) == (6, 2, 12)
    assert layer.spiking_input
    assert layer.input_rate == pytest.approx(4 / 6)
    assert layer.paper_sops == pytest.approx(8)
    assert layer.paper_macs == 0
    # columns of w1 hold 2, 1, 1 weights; inputs spike 1, 1, 2 times
    assert layer.neurobench == NeuroBenchCounts(effective_acs=5, effective_macs=0, dense=12)
    assert layer.bops == 12 * 2 * 1
    assert layer.ns_ace == pytest.approx(16)
    assert layer.spikes_per_synapse == pytest.approx(4 / 3)


def test_the_neurons_are_as_counted_by_hand(report: Report):
    layer = report.layers[1]
    assert isinstance(layer, NeuronLayer)
    assert (layer.name, layer.neurons, layer.time_steps, layer.membrane_bits) == ("neurons", 2, 2, 2)
    assert layer.parameters == 1  # the membrane's step
    assert layer.spikes == 2
    assert layer.output_rate == 0.5
    assert layer.membrane_updates == 3  # both at the first step, one that changed
    assert layer.membrane_bytes == 1


def test_the_second_synapses_are_as_counted_by_hand(report: Report):
    layer = report.layers[2]
    assert isinstance(layer, SynapseLayer)
    assert (layer.parameters, layer.weight_bits, layer.packed_bytes) == (4, 8, 4)
    assert (layer.macs, layer.input_rate, layer.paper_sops) == (8, 0.5, 4)
    assert layer.neurobench == NeuroBenchCounts(effective_acs=4, effective_macs=0, dense=8)
    assert layer.bops == 64


def test_the_total_adds_up(report: Report):
    total = report.total
    assert (total.parameters, total.packed_bytes, total.membrane_bytes, total.neurons) == (11, 6, 1, 2)
    assert (total.macs_per_step, total.macs) == (10, 20)
    assert total.paper_sops == pytest.approx(12)
    assert total.neurobench == NeuroBenchCounts(9, 0, 20)
    assert total.output_rate == 0.5
    assert total.spikes_per_synapse == pytest.approx(1.2)
    assert total.peak_arena_bytes == 1 + 2 * 2 * 4  # 4 spikes in a byte, 2 steps of 2 values


def test_the_papers_energy_is_nine_tenths_of_a_picojoule_a_spike_and_synapse(report: Report):
    assert report.total.energy_pj["horowitz_fp32"] == pytest.approx(12 * 0.9)


def test_the_integer_energy_is_one_int32_addition_a_spike_and_synapse(report: Report):
    assert report.total.energy_pj["horowitz_int"] == pytest.approx(12 * 0.1)


def test_the_memory_table_prices_every_access(report: Report):
    bit = 10 / 64  # pJ a bit, memory below 8 kB
    synapses = 4 * 0.1 + 4 * 0.1 + 2 * 1 * bit + 4 * (8 * bit + 2 * 32 * bit)
    neurons = 4 * (3.1 + 0.1 + 0.1 + 2 * 2 * bit + 32 * bit) + 2 * (0.1 + 1 * bit)
    assert report.energy_pj(report.layers[2])["lemaire"] == pytest.approx(synapses)
    assert report.energy_pj(report.layers[1])["lemaire"] == pytest.approx(neurons)


def test_the_network_without_spikes_runs_once_at_two_bits(report: Report):
    assert (report.baseline.activation_bits, report.baseline.macs) == (2, 10)
    assert report.baseline.bops == 6 * 2 * 2 + 4 * 8 * 2
    assert report.baseline.energy_pj["horowitz_fp32"] == pytest.approx(10 * 4.6)
    assert report.baseline.energy_pj["horowitz_int"] == pytest.approx(10 * 0.3)


def test_inputs_that_are_no_spikes_are_multiplied():
    report = profile(TwoLayers(), two_steps_of_spikes() * 0.75, time_axis=0)
    layer = report.synapses[0]
    assert not layer.spiking_input
    assert (layer.input_bits, layer.paper_sops, layer.paper_macs) == (2, 0, 12)  # 0.75 is 3 quarters
    assert layer.neurobench == NeuroBenchCounts(0, 5, 12)
    assert layer.spikes_per_synapse is None
    assert report.energy_pj(layer)["horowitz_fp32"] == pytest.approx(12 * 4.6)
    assert report.energy_pj(layer)["horowitz_int"] == pytest.approx(12 * (0.1 + 0.2))
    bit = 10 / 64
    reads = 12 * (3.1 + 0.1 + 2 * bit) + 2 * (6 * 0.1 + 3 * 2 * bit + 2 * 32 * bit)
    assert report.energy_pj(layer)["lemaire"] == pytest.approx(reads)
