"""Predicted bytes and operations, against networks that were really built, lowered and packed."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikelet.compression import find_channels
from spikelet.compression.passes import recalibrate
from spikelet.fitting.cost import CostModel
from spikelet.fitting.plan import Plan, Subject
from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.profiling import profile
from spikelet.quant import Uniform
from tests.fitting.subjects import random_plan, small_subject


@pytest.fixture(scope="module", params=["qsnn_vgg_s", "qsnn_vgg_s_max"])
def costs(request: pytest.FixtureRequest) -> CostModel:
    subject = small_subject(name=request.param)
    report = profile(subject.model, torch.randint(0, 256, (8, 1, 12, 12), dtype=torch.uint8))
    return CostModel(subject, report, fixed_bytes=0)


@pytest.mark.parametrize("seed", range(20))
def test_a_plan_needs_no_more_bytes_than_predicted_and_hardly_fewer(costs: CostModel, seed: int):
    subject = costs.subject
    plan = random_plan(subject, costs, seed)
    model = subject.build(plan)
    recalibrate(model, [torch.randint(0, 256, (16, 1, 12, 12), dtype=torch.uint8)])
    true = profile(model, subject.example).total.packed_bytes
    predicted = costs.of(plan).size
    channels = sum(m.num_features for m in model.modules() if isinstance(m, torch.nn.BatchNorm2d))
    assert true <= predicted <= true + 2 * channels + 7 * 10  # 16-bit offsets where 32 were allowed; 10 logits
    assert len(dumps(lower(model, subject.example))) > true  # the file has its text on top


def bias_before_norm() -> nn.Module:
    """As networks of other libraries have it."""
    return nn.Sequential(
        Encode(), Conv2d(1, 8, 3, Uniform(8), bias=True), BatchNorm2d(8), LIF(2),
        Conv2d(8, 4, 3, Uniform(8), groups=4), BatchNorm2d(4), LIF(2), nn.Flatten(2), Linear(256, 10, Uniform(8)),
    ).eval()  # fmt: skip


@pytest.mark.parametrize("ratio", [0.0, 0.5])
def test_a_bias_before_a_norm_and_groups_of_one_output_are_counted(ratio: float):
    model, example = bias_before_norm(), torch.randint(0, 256, (2, 1, 12, 12), dtype=torch.uint8)
    channels = find_channels(model, example)
    orders = {g.name: g.units for g in channels.groups}
    subject = Subject(model, example, channels, orders, first_and_last=("1", "8"))
    costs = CostModel(subject, profile(model, example), fixed_bytes=0)
    plan = Plan(ratios=dict.fromkeys(orders, ratio))
    built = subject.build(plan)
    true = profile(built, example).total
    assert true.packed_bytes <= costs.of(plan).size <= true.packed_bytes + 2 * 2 * 12 + 7 * 10
    weights = {n: built.get_parameter(f"{n}.weight").numel() for n in ("1", "4", "8")}
    full = {n: model.get_parameter(f"{n}.weight").numel() for n in weights}
    sops = sum(s.paper_sops * weights[n] / full[n] for n, s in costs.synapses.items())
    assert costs.of(plan).sops == pytest.approx(sops)


@pytest.mark.parametrize("seed", range(10))
def test_predicted_weights_are_those_of_the_built_network(costs: CostModel, seed: int):
    subject = costs.subject
    plan = random_plan(subject, costs, seed)
    small = subject.build(plan)
    built = {n: small.get_parameter(f"{n}.weight").numel() for n in costs.weighted}
    full = {n: m.weight.numel() for n, m in costs.weighted.items()}
    zero = CostModel(subject, profile(subject.model, subject.example), 0)
    sops = sum(s.paper_sops * built[n] / full[n] for n, s in zero.synapses.items())
    assert zero.of(plan).sops == pytest.approx(sops)
