"""QP-SNN's networks are the published ones, and say so where an option has no meaning."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from spikelet.models import create_model
from spikelet.models.qpsnn import GAMMAS, BasicBlock, SewBlock, rescaled
from spikelet.models.qpsnn_pruning import RESNET20, VGG16, VGGSNN, kept_widths, resnet20_widths
from spikelet.neurons import LIF, FullMembrane, Hard
from spikelet.nn import ChannelMap, Conv2d, Linear, MaxPool2d, SumPool2d
from spikelet.quant import AmplifiedGradient, FullPrecision, MaskedGradient, ReScaW, Uniform
from tests.support.catalogue import small_model

QPSNN = ("qpsnn_vgg16", "qpsnn_vgg_s", "qpsnn_vggsnn", "qpsnn_resnet20", "qpsnn_resnet18")


def abstract(name: str, **options: object) -> nn.Module:
    """A model of full size without memory for its weights."""
    with torch.device("meta"):
        return create_model(name, **options)


def synapses(model: nn.Module) -> list[Conv2d | Linear]:
    return [m for m in model.modules() if isinstance(m, Conv2d | Linear)]


def outputs(model: nn.Module) -> list[int]:
    return [m.out_channels for m in model.modules() if isinstance(m, Conv2d)]


def test_vgg16_has_the_published_layers():
    model = abstract("qpsnn_vgg16")
    assert outputs(model) == list(VGG16)
    assert model.classifier.weight.shape == (10, 512)
    kinds = [type(m) for m in model.features]
    assert [i for i, kind in enumerate(kinds) if kind is MaxPool2d] == [2, 5, 9, 13]
    assert isinstance(model.pool, SumPool2d)
    assert [m.bias is not None for m in synapses(model)] == [True, *(12 * [False]), True]
    assert abstract("qpsnn_vgg16", num_classes=200, image_size=64).classifier.weight.shape == (200, 2048)


def test_vggsnn_has_the_published_layers():
    model = abstract("qpsnn_vggsnn")
    assert outputs(model) == list(VGGSNN)
    assert model.classifier.weight.shape == (10, 4608)
    assert [i for i, m in enumerate(model.features) if isinstance(m, MaxPool2d)] == [2, 5, 8]


def test_resnet20_has_the_published_blocks_and_shortcuts_without_parameters():
    model = abstract("qpsnn_resnet20")
    assert outputs(model) == [64, *(6 * [128]), *(6 * [256]), *(6 * [512])]
    blocks = [m for m in model.modules() if isinstance(m, BasicBlock)]
    assert [b.first[0].stride[0] for b in blocks] == [1, 1, 1, 2, 1, 1, 2, 1, 1]
    shortcuts = [b.shortcut for b in blocks]
    assert [type(s) for s in shortcuts] == [ChannelMap, nn.Identity, nn.Identity] * 3
    assert [s.stride for s in shortcuts if isinstance(s, ChannelMap)] == [1, 2, 2]
    assert sum(p.numel() for s in shortcuts for p in s.parameters()) == 0
    assert round(sum(p.numel() for p in model.parameters()) / 1e6, 2) == 17.05


def test_resnet20s_shortcut_is_strided_and_padded_with_zeros():
    maps = [m for m in create_model("qpsnn_resnet20").modules() if isinstance(m, ChannelMap)]
    assert maps[0].source.tolist() == [-1] * 32 + list(range(64)) + [-1] * 32
    assert maps[1].source.tolist() == [-1] * 64 + list(range(128)) + [-1] * 64


def test_resnet18_is_the_sew_network():
    model = abstract("qpsnn_resnet18")
    blocks = [m for m in model.modules() if isinstance(m, SewBlock)]
    assert [b.first[0].out_channels for b in blocks] == [64, 64, 128, 128, 256, 256, 512, 512]
    assert [isinstance(b.shortcut, nn.Identity) for b in blocks] == [True, True, False, True, False, True, False, True]
    stem = synapses(model)[0]
    assert (stem.kernel_size, stem.stride, stem.padding) == ((7, 7), (2, 2), (3, 3))
    assert sum(p.numel() for p in model.parameters()) == 11_689_512  # torchvision's ResNet18


def test_sew_blocks_add_spikes_to_spikes():
    block, s = small_model("qpsnn_resnet18").features[2].eval(), (torch.rand(3, 2, 8, 4, 4) < 0.5).float()
    y = block(s)
    assert set(y.unique().tolist()) <= {0.0, 1.0, 2.0}
    assert torch.equal(y - s, block.second(block.first(s)))


@pytest.mark.parametrize("name", QPSNN)
def test_neurons_are_the_papers(name: str):
    lifs = [m for m in small_model(name).modules() if isinstance(m, LIF)]
    assert all(m.params.leak == 0.5 and m.params.threshold == 1 and m.params.reset == Hard() for m in lifs)
    assert all(isinstance(m.membrane, FullMembrane) for m in lifs)


@pytest.mark.parametrize("name", QPSNN)
def test_weights_start_as_published(name: str):
    model = create_model(name)
    for m in synapses(model):
        deviation = 0.01
        if isinstance(m, Conv2d):
            deviation = math.sqrt(2 / (m.kernel_size[0] ** 2 * m.out_channels))
        assert m.weight.std().item() == pytest.approx(deviation, rel=0.1)
        assert m.bias is None or not m.bias.any()


# --- pruning ----------------------------------------------------------------------------------------


def test_the_published_settings_of_vgg16_by_hand():
    # 64 * 0.55 = 35.2, 512 * 0.49 = 250.88; 64 * 0.51 = 32.64, 512 * 0.2 = 102.4
    a = [35, 35, 70, 70, 140, 140, 140, 250, 250, 250, 250, 250, 512]
    b = [32, 32, 65, 65, 130, 130, 130, 102, 102, 102, 102, 102, 512]
    assert outputs(abstract("qpsnn_vgg16", pruning="A")) == a
    assert outputs(abstract("qpsnn_vgg16", pruning="B")) == b
    assert outputs(abstract("qpsnn_vgg16", pruning="B", num_classes=100))[7] == 512 * 22 // 100
    assert outputs(abstract("qpsnn_vgg16", pruning="B", num_classes=200, image_size=64))[7] == 512 * 38 // 100


def test_the_published_settings_of_resnet20_by_hand():
    assert resnet20_widths("A") == (57, (89, 179, 512), (89, 51, 51, 102, 102, 102, 204, 204, 204))
    assert resnet20_widths("B") == (57, (83, 166, 512), (83, 32, 32, 64, 64, 64, 128, 128, 128))
    maps = [m for m in create_model("qpsnn_resnet20", pruning="A").modules() if isinstance(m, ChannelMap)]
    assert [(len(m.source), int((m.source < 0).sum())) for m in maps] == [(89, 32), (179, 90), (512, 333)]


def test_the_published_settings_of_vggsnn_by_hand():
    assert outputs(abstract("qpsnn_vggsnn", pruning="C")) == [11, 23, 46, 17, 35, 35, 35, 512]


def test_ratios_of_ones_own_may_stop_early():
    assert outputs(abstract("qpsnn_vggsnn", pruning=[0.5, 0.25])) == [32, 96, *VGGSNN[2:]]
    assert kept_widths(RESNET20, []) == RESNET20


def test_a_stage_whose_outputs_shrink_below_its_inputs_has_channels_cut_off():
    model = create_model("qpsnn_resnet20", pruning=[0, 0.75])  # 64 channels of the stem onto 32
    assert model.features[1].shortcut.source.tolist() == list(range(16, 48))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("qpsnn_vgg16", {"pruning": "C"}, "pruning must be A, B, a list of ratios or None, got 'C'"),
        ("qpsnn_resnet20", {"pruning": "a"}, "pruning must be A, B, a list of ratios or None, got 'a'"),
        ("qpsnn_vgg16", {"pruning": "A", "num_classes": 7}, "pruning 'A' is published for 10, 100, 200 classes, got 7"),
        ("qpsnn_vggsnn", {"pruning": [0.1] * 9}, "pruning must give at most 8 ratios, one a layer, got 9"),
        ("qpsnn_vggsnn", {"pruning": [0.1, 1.0]}, r"pruning: ratios must lie in \[0, 1\), got 1.0 for layer 1"),
        ("qpsnn_vggsnn", {"pruning": [-0.1]}, r"pruning: ratios must lie in \[0, 1\), got -0.1 for layer 0"),
        ("qpsnn_vggsnn", {"pruning": [0.99]}, "pruning: a ratio of 0.99 leaves none of the 64 channels of layer 0"),
        ("qpsnn_vgg16", {"image_size": 31}, "image_size must be at least 32, one pixel after pooling, got 31"),
        ("qpsnn_vggsnn", {"image_size": 15}, "image_size must be at least 16, one pixel after pooling, got 15"),
        ("qpsnn_resnet20", {"rescaling": "median"}, "rescaling must be one of mean, max, .* got 'median'"),
        ("qpsnn_resnet18", {"rescaling": "mean-"}, "rescaling must be one of .*, or one with -masked, got 'mean-'"),
        ("qpsnn_resnet20", {"weight_bits": 9}, "weight_bits must be 1 to 8, or 32 for full precision, got 9"),
    ],
)
def test_an_option_without_meaning_is_refused(name: str, options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        abstract(name, **options)


# --- weights ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gamma", GAMMAS)
def test_rescaling_chooses_gamma_and_gradient(gamma: str):
    assert rescaled(4, gamma) == ReScaW(4, GAMMAS[gamma], AmplifiedGradient())
    assert rescaled(4, f"{gamma}-masked") == ReScaW(4, GAMMAS[gamma], MaskedGradient())
    assert rescaled(32, gamma) == FullPrecision()


@pytest.mark.parametrize("name", QPSNN)
def test_first_and_last_layer_have_8_bits_and_the_others_rescaled_weights(name: str):
    first, *hidden, last = synapses(small_model(name, weight_bits=2, rescaling="max-masked"))
    assert first.quantizer == Uniform(8)
    assert last.quantizer == Uniform(8, per_channel=False)
    assert all(m.quantizer == rescaled(2, "max-masked") for m in hidden)
    assert all(m.quantizer == FullPrecision() for m in synapses(small_model(name, weight_bits=32)))
