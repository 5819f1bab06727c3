"""The tables are what their sources say, and can't be built wrong."""

from __future__ import annotations

import dataclasses
import math

import pytest

from spikelet.profiling import HOROWITZ_FP32, HOROWITZ_INT, LEMAIRE, TABLES
from spikelet.profiling.energy import Cost, FloatOperations, IntegerOperations, OperationsAndMemory, Sram
from spikelet.profiling.layers import NeuroBenchCounts, NeuronLayer, SynapseLayer


def layer(**fields) -> SynapseLayer:
    """A 1x1 convolution of 4 channels on 8x8 spikes, 1-bit weights, half of the inputs spiking, 2 steps."""
    values = {
        "name": "conv", "kind": "conv", "parameters": 16, "norm_channels": 0, "weights": 16, "weight_bits": 1,
        "packed_bytes": 2, "in_shape": (4, 8, 8), "out_shape": (4, 8, 8), "kernel": (1, 1), "steps": 2.0,
        "spiking_input": True, "input_bits": 1, "input_events": 256.0, "macs_per_step": 1024,
        "neurobench": NeuroBenchCounts(1024.0, 0.0, 2048.0),
    }  # fmt: skip
    return SynapseLayer(**{**values, **fields})


def test_the_fp32_table_gives_the_published_energy_of_a_spikformer():
    # Spikformer-4-384 on CIFAR-10: 0.005312266 G MACs and 0.2458512465 G accumulates are 0.24570 mJ. Its first
    # convolution, 3 to 48 channels at 32 x 32, sees the image 4 times; its head's 10 biases count.
    first = layer(spiking_input=False, steps=4.0, macs_per_step=27 * 48 * 32 * 32)
    head = layer(spiking_input=False, steps=1.0, macs_per_step=384 * 10 + 10)
    assert first.paper_macs + head.paper_macs == 5_312_266
    adds = layer(steps=1.0, macs_per_step=1_000_000_000, input_events=0.2458512465 * 256)
    energy = sum(HOROWITZ_FP32.synapses_pj(one) for one in (first, head, adds))
    assert f"{energy * 1e-9:.5f}" == "0.24570"


def test_constants_are_those_of_the_45_nm_table():
    assert (HOROWITZ_FP32.mac.pj, HOROWITZ_FP32.ac.pj) == (4.6, 0.9)
    assert (HOROWITZ_INT.add.pj, HOROWITZ_INT.multiply_int8.pj, HOROWITZ_INT.multiply_int32.pj) == (0.1, 0.2, 3.1)
    assert (LEMAIRE.add.pj, LEMAIRE.multiply.pj) == (0.1, 3.1)
    assert [pj for _, pj in LEMAIRE.sram.points] == [10, 20, 100]


def test_every_constant_names_its_source():
    for table in TABLES:
        assert table.constants()
        assert all("Horowitz" in constant.source for constant in table.constants().values())


def test_names_and_units_stand_in_every_title():
    assert [table.title for table in TABLES] == ["horowitz_fp32 [uJ]", "horowitz_int [uJ]", "lemaire [uJ]"]


def test_a_factor_of_one_bit_needs_no_multiplication():
    dense = layer(spiking_input=False, input_bits=8)
    wider, widest = (dataclasses.replace(dense, weight_bits=4, input_bits=bits) for bits in (8, 9))
    assert HOROWITZ_INT.synapses_pj(dense) == pytest.approx(2048 * 0.1)
    assert HOROWITZ_INT.synapses_pj(wider) == pytest.approx(2048 * 0.3)
    assert HOROWITZ_INT.synapses_pj(widest) == pytest.approx(2048 * 3.2)
    assert LEMAIRE.synapses_pj(dataclasses.replace(dense, weight_bits=2)) > LEMAIRE.synapses_pj(dense) + 2048 * 3.1


def test_integer_tables_say_nothing_about_float_weights():
    floats = layer(weight_bits=32)
    assert HOROWITZ_INT.synapses_pj(floats) is None
    assert LEMAIRE.synapses_pj(floats) is None
    assert HOROWITZ_FP32.synapses_pj(floats) == pytest.approx(1024 * 0.9)


def test_a_convolutions_events_pay_for_their_addresses():
    bit = 10 / 64
    expected = 1024 * 0.1 + 1024 * 0.1 + 2 * 256 * 3.2 + 256 * 8 * bit + 1024 * (bit + 2 * 32 * bit)
    assert LEMAIRE.synapses_pj(layer()) == pytest.approx(expected)


def test_a_dense_convolution_pays_for_every_read():
    bit = 10 / 64
    dense = layer(spiking_input=False, input_bits=8, weight_bits=8)
    expected = 2048 * (3.2 + 8 * bit + 8 * bit) + 2 * ((256 + 256 + 4) * 0.1 + 256 * 32 * bit)
    assert LEMAIRE.synapses_pj(dense) == pytest.approx(expected)


def test_neurons_without_a_leak_pay_for_no_multiplication():
    neurons = NeuronLayer("n", 0, 0, (10,), 4, 8, True, 3.0, None)
    without = dataclasses.replace(neurons, leaky=False)
    assert LEMAIRE.neurons_pj(neurons) - LEMAIRE.neurons_pj(without) == pytest.approx(40 * 3.2)
    assert HOROWITZ_FP32.neurons_pj(neurons) == HOROWITZ_INT.neurons_pj(neurons) == 0


@pytest.mark.parametrize(
    ("size_bytes", "pj"),
    [(0, 10), (1, 10), (8192, 10), (20480, 15), (32768, 20), (540672, 60), (1048576, 100), (2064384, 180)],
)
def test_a_memory_costs_by_its_size(size_bytes: int, pj: float):
    assert LEMAIRE.sram.access_pj(64, size_bytes) == pytest.approx(pj)
    assert LEMAIRE.sram.access_pj(8, size_bytes) == pytest.approx(pj / 8)


@pytest.mark.parametrize("pj", [0.0, -1.0, math.nan, math.inf])
def test_a_cost_that_is_no_positive_number_is_refused(pj: float):
    with pytest.raises(ValueError, match=r"Cost\.pj must be a positive number of picojoules, got"):
        Cost(pj, "somewhere")


def test_a_constant_without_a_source_is_refused():
    with pytest.raises(ValueError, match=r"Cost\.source must say where 1\.0 pJ comes from, got ' '\."):
        Cost(1.0, " ")
    with pytest.raises(ValueError, match=r"Sram\.source must say where the points come from, got ''\."):
        Sram(((1, 1.0), (2, 2.0)), "")


@pytest.mark.parametrize(
    "points", [((8, 10.0), (8, 20.0)), ((8, 10.0), (16, 10.0)), ((0, 1.0), (8, 2.0)), ((8, 1.0), (9, math.inf))]
)
def test_a_memory_whose_points_do_not_rise_is_refused(points: tuple):
    with pytest.raises(ValueError, match=r"Sram\.points must rise in bytes and in pJ, got"):
        Sram(points, "somewhere")


def test_a_memory_needs_two_points():
    with pytest.raises(ValueError, match=r"Sram.points needs at least two \(bytes, pJ\), got \(\(8, 1.0\),\)."):
        Sram(((8, 1.0),), "somewhere")


def test_tables_against_arithmetic_are_refused():
    one, two = Cost(1.0, "somewhere"), Cost(2.0, "somewhere")
    with pytest.raises(ValueError, match=r"t: a MAC costs more than its addition, got 1\.0 <= 2\.0 pJ\."):
        FloatOperations("t", mac=one, ac=two)
    with pytest.raises(ValueError, match=r"t: costs must rise from add to multiply_int8 to multiply_int32, got"):
        IntegerOperations("t", add=two, multiply_int8=one, multiply_int32=two)
    with pytest.raises(ValueError, match=r"t: a multiplication costs more than an addition, got 1\.0 pJ\."):
        OperationsAndMemory("t", add=two, multiply=one, sram=LEMAIRE.sram)
    with pytest.raises(ValueError, match=r"the name of an energy table must be an identifier, got 'my table'\."):
        FloatOperations("my table", mac=two, ac=one)
