"""The notes' shares of attention's operations and the papers' energy come out of EST's models and profiles."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from torch import nn

from spikelet.compression.passes import recalibrate
from spikelet.models import create_model
from spikelet.profiling import attention_operations, est_energy_of, profile
from spikelet.profiling.papers.est import SAVED, AttentionOperations
from tests.support.catalogue import model_input, small_model


def swin_t() -> AttentionOperations:
    with torch.device("meta"):
        return attention_operations(create_model("est_swin_t"))


def test_swin_ts_attention_has_the_derived_1_527_billion_operations():
    """Golden figures of the design's notes, derived from the released configuration by arithmetic."""
    found = swin_t()
    billions = {name: round(value / 1e9, 3) for name, value in dataclasses.asdict(found).items()}
    assert billions == {"projections": 1.040, "scores": 0.070, "mix": 0.070, "output": 0.347}
    assert round(found.total / 1e9, 3) == 1.527


@pytest.mark.parametrize(
    ("rule", "half", "three_quarters"),
    [("products", 50, 75), ("masked", 4.6, 6.9), ("inputs", 38.6, 58), ("module", 50, 75)],
)
def test_every_counting_rule_gives_its_derived_share(rule: str, half: float, three_quarters: float):
    whole = swin_t()
    assert 100 * SAVED[rule](whole, 0.5) == pytest.approx(half, abs=0.06)
    assert 100 * SAVED[rule](whole, 0.75) == pytest.approx(three_quarters, abs=0.06)


def test_a_network_without_such_attention_is_refused():
    with pytest.raises(ValueError, match="model must have an attention in windows, such as est_cifar's, got none"):
        attention_operations(nn.Identity())


def test_energy_prices_counts_as_spikes_and_stands_beside_the_bounds():
    torch.manual_seed(0)
    model = small_model("est_cifar")
    recalibrate(model, [model_input("est_cifar", 8)])
    report = profile(model.eval(), model_input("est_cifar", 4))
    energy = est_energy_of(report)
    first, *rest = report.synapses
    spikes = sum(layer.unrolled_sops for layer in rest if layer.unrolled_sops is not None)
    multiplied = first.macs_per_step + sum(layer.macs for layer in rest if layer.unrolled_sops is None)
    assert energy.millijoules == pytest.approx((0.9 * spikes + 4.6 * multiplied) / 1e9)
    assert energy.dense_millijoules == pytest.approx(4.6 * sum(layer.macs for layer in report.synapses) / 1e9)
    carrying = sum(layer.macs for layer in rest if layer.unrolled_sops is not None)
    assert energy.spikes_per_synapse == pytest.approx(spikes / carrying)
    assert 0 < energy.spike_rate == energy.spikes_per_synapse
    assert est_energy_of(report, steps=16).spike_rate == energy.spikes_per_synapse / 16
    assert "spikes per synapse and inference, above the break-even bounds of 0.15 to 1.38" in str(energy)


@pytest.mark.parametrize(("spikes", "word"), [(0.1, "below"), (0.15, "within"), (1.38, "within"), (1.4, "above")])
def test_spikes_are_judged_by_the_published_bounds(spikes: float, word: str):
    torch.manual_seed(0)
    energy = est_energy_of(profile(small_model("est_cifar").eval(), model_input("est_cifar", 1)))
    said = str(dataclasses.replace(energy, spikes_per_synapse=spikes, steps=4))
    assert f"{word} the break-even bounds" in said
    assert f"mean rate {25 * spikes:.3g} %" in said
