"""BESTformer's and QSD-Transformer's sizes come out of our models, and their formulas out of our profiles.

Neither paper's tables could be read: the golden figures were derived from released code, one training log, abstracts
and figures, by arithmetic, before these models were written.
"""

from __future__ import annotations

import functools
from collections import Counter

import pytest
import torch
from torch import Tensor, nn

from spikelet.compression.passes import recalibrate
from spikelet.models import create_model
from spikelet.nn import Product, RepConv
from spikelet.profiling import (
    HOROWITZ_FP32,
    bestformer_megabytes,
    bestformer_ns_ace,
    bestformer_s_ace,
    profile,
    qsd_folded_megabytes,
    qsd_megabytes,
    qsd_millijoules_of,
    qsd_parameters,
)
from spikelet.profiling.fan_out import dense_macs
from spikelet.profiling.report import Report
from tests.support.catalogue import model_input, small_model


@functools.cache
def abstract(name: str, **options: int) -> nn.Module:
    """A model without values."""
    with torch.device("meta"):
        return create_model(name, **options)


def small_report(name: str, **options: int) -> Report:
    torch.manual_seed(0)
    model, x = small_model(name, **options), model_input(name, 8)
    recalibrate(model, [x])
    return profile(model.eval(), x)


# --- sizes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "classes", "megabytes", "folded", "full"),
    [
        ("bestformer_4_384", 10, 1.315, 1.180, 37.26),
        ("bestformer_4_384", 100, 1.593, 1.319, 37.54),
        ("bestformer_8_512", 1000, 8.05, 5.69, 120.7),
    ],
)
def test_bestformers_sizes_are_those_of_its_released_code(
    name: str, classes: int, megabytes: float, folded: float, full: float
):
    model = abstract(name, num_classes=classes)
    assert bestformer_megabytes(model) == pytest.approx(megabytes, abs=0.005)
    assert bestformer_megabytes(model, folded=True) == pytest.approx(folded, abs=0.005)
    assert bestformer_megabytes(abstract(name, num_classes=classes, weight_bits=32)) == pytest.approx(full, abs=0.02)


def test_the_printed_number_of_parameters_gives_bestformers_size_to_the_byte():
    # 9,314,884 is in the authors' log; 9,275,904 of them are in hidden convolutions
    assert bestformer_megabytes(abstract("bestformer_4_384")) == (9_275_904 + 32 * (9_314_884 - 9_275_904)) / 8e6
    assert bestformer_megabytes(abstract("bestformer_4_384", weight_bits=32)) == 4 * 9_314_884 / 1e6


def test_a_model_without_heads_has_no_size_by_bestformers_formula():
    with pytest.raises(ValueError, match=r"model must have two convolutions and .* got 1 convolutions and 0 linear"):
        bestformer_megabytes(nn.Sequential(nn.Conv2d(2, 3, 1)))


QSD = {  # millions of parameters; "MB" as printed, and by the formula; MB at 4 bits with folded batch norms
    "qsd_transformer_s": (15.12, "1.8", 1.89, 7.86),
    "qsd_transformer_m": (31.34, "3.9", 3.92, 16.10),
    "qsd_transformer_l": (55.36, "6.8", 6.92, 28.25),
}


@pytest.mark.parametrize("name", QSD)
def test_qsds_published_megabytes_are_a_quarter_of_its_bytes(name: str):
    millions, printed, formula, folded = QSD[name]
    model = abstract(name)
    parameters = qsd_parameters(model)
    assert parameters == pytest.approx(millions * 1e6, abs=5e3)
    assert qsd_megabytes(parameters, 4) == pytest.approx(formula, abs=0.005)
    assert qsd_megabytes(parameters, 4) == pytest.approx(float(printed), abs=0.12)
    assert qsd_megabytes(parameters, 32) == pytest.approx(millions, abs=0.005)  # "55.4 MB"
    assert qsd_folded_megabytes(model, 4) == pytest.approx(folded, abs=0.005)
    assert 4 * qsd_megabytes(parameters, 4) < qsd_folded_megabytes(model, 4) < 4.4 * qsd_megabytes(parameters, 4)


def test_steps_of_quantizers_are_no_parameters_of_qsd():
    model = create_model("qsd_transformer_cifar")
    steps = sum(p.numel() for name, p in model.named_parameters() if "quantizer" in name)
    assert qsd_parameters(model) == sum(p.numel() for p in model.parameters()) - steps < qsd_parameters(model) + steps


# --- operations -------------------------------------------------------------------------------------


def macs_of(model: nn.Module, x: Tensor) -> Counter[str]:
    """Dense MACs of one image: of all synapses, of RepConvs, of the first layer, and of attention's products."""
    macs: Counter[str] = Counter()
    inside = {m for block in model.modules() if isinstance(block, RepConv) for m in block.modules()}
    first = next(m for m in model.modules() if isinstance(m, nn.Conv2d))

    def see(module: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, Product):
            _, _, heads, d, tokens = args[0].shape
            macs["attention"] += 2 * heads * tokens * d * min(d, tokens)
            return
        shape = output.shape[2:] if isinstance(module, nn.Linear) else output.shape[-3:]
        made = dense_macs(tuple(module.weight.shape), tuple(shape))
        macs["all"] += made
        macs["repconv"] += made * (module in inside)
        macs["first"] += made * (module is first)

    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear | Product):
            module.register_forward_hook(see)
    model(x)
    return macs


@pytest.mark.parametrize(
    ("name", "billions", "first"),
    [("qsd_transformer_s", 6.47, 0.06), ("qsd_transformer_m", 14.0, 0.09), ("qsd_transformer_l", 24.8, 0.12)],
)
def test_a_qsd_transformer_multiplies_as_often_as_published(name: str, billions: float, first: float):
    with torch.device("meta"):
        macs = macs_of(create_model(name), torch.zeros(1, 3, 224, 224, dtype=torch.uint8))
    assert (macs["all"] + macs["attention"]) / 1e9 == pytest.approx(billions, rel=0.005)
    assert macs["first"] / 1e9 == pytest.approx(first, abs=0.005)
    if name == "qsd_transformer_s":
        assert macs["repconv"] / 1e9 == pytest.approx(1.04, abs=0.005)
        assert macs["attention"] / 1e9 == pytest.approx(0.03, abs=0.005)


def test_bestformers_aces_count_the_image_at_every_step():
    report = small_report("bestformer_4_384")
    first, *rest = report.synapses
    assert report.time_steps == 3
    assert first.steps == 1
    others = sum(layer.macs_per_step * 3 * layer.weight_bits * layer.input_bits for layer in rest)
    image = first.macs_per_step * 3 * 8 * 8
    assert bestformer_s_ace(report) == others + image
    assert 0 < bestformer_ns_ace(report) < bestformer_s_ace(report)
    assert bestformer_ns_ace(report) == pytest.approx(report.total.ns_ace + 2 * first.ns_ace)


def test_attention_is_in_bestformers_aces():
    report = small_report("bestformer_4_384")
    products = [layer for layer in report.synapses if layer.kind == "product"]
    assert len(products) == 4  # two blocks
    for layer in products:
        assert (layer.weight_bits, layer.input_bits, layer.spiking_input) == (1, 1, True)
        assert layer.ns_ace == pytest.approx(layer.paper_sops)


def test_qsds_energy_is_an_accumulate_for_every_spike_of_a_count():
    report = small_report("qsd_transformer_cifar")
    first, *rest = report.synapses
    pj = HOROWITZ_FP32.mac.pj * first.macs_per_step
    for layer in rest:
        values = layer.steps * torch.Size(layer.in_shape).numel()
        counts = layer.input_counts
        pj += 0.9 * counts / values * layer.macs if counts is not None else 4.6 * layer.macs
    assert qsd_millijoules_of(report) == pytest.approx(pj / 1e9)
    unspiking = [layer.name for layer in rest if layer.input_counts is None]
    # between convolutions that no neuron parts: SepConv's second 1 x 1, RepConv's last two
    assert unspiking
    assert all("separable.6" in name or name.endswith((".3", ".5")) for name in unspiking)


def test_a_report_without_synapses_has_no_energy():
    empty = Report("none", 1, 1, (), 0, ())
    with pytest.raises(ValueError, match="report must have a layer of weights, got none"):
        qsd_millijoules_of(empty)
