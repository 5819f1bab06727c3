"""Every model of the catalogue: its size as published, its shapes, and that it learns."""

from __future__ import annotations

import inspect
import itertools
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikelet.graph.file.artifact import dumps
from spikelet.lowering import LoweringError, lower
from spikelet.models import catalogue, create_model, list_models, qsnn_vgg_s
from spikelet.neurons import LIF, FullMembrane, QuantizedMembrane
from spikelet.nn import Conv2d, Linear
from spikelet.profiling import profile
from spikelet.quant import Binary, FullPrecision, LearnedStep, ReScaW, Uniform
from spikelet.train.losses import step_cross_entropy
from tests.support.catalogue import DISTINCT, MEMORYLESS, MODELS, model_input, small_model, steps_of

every_model = pytest.mark.parametrize("name", MODELS)
every_network = pytest.mark.parametrize("name", DISTINCT)


def synapses(model: nn.Module) -> list[Conv2d | Linear]:
    """Convolutions and linear layers in order."""
    return [m for m in model.modules() if isinstance(m, Conv2d | Linear)]


def published_megabytes(model: nn.Module) -> float:
    """papers/qsnn.md: (bits of weights + 64 bits a batch-norm channel) / 8e6."""
    weights = sum(m.weight.numel() * m.quantizer.bits for m in synapses(model))
    channels = sum(m.num_features for m in model.modules() if isinstance(m, nn.BatchNorm2d))
    return (weights + 64 * channels) / 8e6


# --- sizes ------------------------------------------------------------------------------------------


def test_resnet19_has_the_published_12_56_million_weights():
    weights = sum(m.weight.numel() for m in synapses(create_model("qsnn_resnet19", num_classes=10)))
    assert round(weights / 1e6, 2) == 12.56


def test_resnet19_has_the_published_size():
    model = create_model("qsnn_resnet19", num_classes=10)
    weights = sum(m.weight.numel() * m.quantizer.bits for m in synapses(model)) / 8e6
    assert round(weights, 3) == 1.577
    assert round(published_megabytes(model), 2) == 1.62


def test_full_precision_resnet19_has_the_published_size():
    model = create_model("qsnn_resnet19", weight_bits=32, membrane_bits=32)
    peak = 128 * 32 * 32 * 32 / 8e6  # neurons of the largest layer, 32 bits
    assert round(published_megabytes(model) + peak, 2) == 50.80


def test_resnet19_has_the_published_stages():
    shapes = [tuple(m.weight.shape) for m in synapses(create_model("qsnn_resnet19"))]
    assert shapes[0] == (128, 3, 3, 3)
    assert shapes[-1] == (10, 512)
    assert [s[0] for s in shapes if s[2:] == (3, 3)] == [128] * 7 + [256] * 6 + [512] * 4
    assert [s for s in shapes if s[2:] == (1, 1)] == [(256, 128, 1, 1), (512, 256, 1, 1)]


def test_vggsnn_has_the_published_layers():
    shapes = [tuple(m.weight.shape) for m in synapses(create_model("qsnn_vggsnn"))]
    widths = [2, 64, 128, 256, 256, 512, 512, 512, 512]
    assert shapes[:-1] == [(o, i, 3, 3) for i, o in itertools.pairwise(widths)]
    assert shapes[-1] == (10, 512 * 3 * 3)


def test_vgg_s_has_1_15_million_parameters():
    total = sum(p.numel() for p in create_model("qsnn_vgg_s").parameters())
    assert total == pytest.approx(1.15e6, abs=5e3)


@every_model
def test_first_and_last_layer_keep_8_bits_and_the_others_have_what_was_asked(name: str):
    method = {"qpsnn": ReScaW(3), "qsd": LearnedStep(3)}.get(name.partition("_")[0], Uniform(3))
    for bits, asked in ((1, ReScaW(1) if name.startswith("qpsnn") else Binary()), (3, method)):
        first, *others = synapses(small_model(name, weight_bits=bits, membrane_bits=4))
        ends = 2 if name.startswith("bestformer") else 1  # one head a stream
        hidden, last = others[:-ends], others[-ends:]
        assert first.quantizer == Uniform(8)
        assert all(m.quantizer == Uniform(8, per_channel=False) for m in last)
        assert hidden
        assert all(m.quantizer.spec == asked for m in hidden)


@pytest.mark.parametrize("name", [name for name in MODELS if name not in MEMORYLESS])
@pytest.mark.parametrize("bits", [2, 4, 8, 32])
def test_every_neuron_has_the_membrane_that_was_asked_for(name: str, bits: int):
    lifs = [m for m in small_model(name, membrane_bits=bits, time_steps=5).modules() if isinstance(m, LIF)]
    kind = FullMembrane if bits == 32 else QuantizedMembrane
    assert all(isinstance(m.membrane, kind) and m.membrane.bits == bits and m.time_steps == 5 for m in lifs)
    assert lifs


# --- behaviour --------------------------------------------------------------------------------------


def options() -> list[Any]:
    """Every network at a few precisions."""
    bits = [(1, 2), (1, 8), (4, 4), (32, 32)]
    return [pytest.param(name, w, u, id=f"{name}-{w}w-{u}u") for name in DISTINCT for w, u in bits]


@pytest.mark.parametrize(("name", "weight_bits", "membrane_bits"), options())
def test_forward_and_backward(name: str, weight_bits: int, membrane_bits: int):
    model = small_model(name, num_classes=7, weight_bits=weight_bits, membrane_bits=membrane_bits)
    for x in (model_input(name, 4), model_input(name, 4, frames=3)):
        logits = model(x)
        assert logits.shape == (steps_of(name), 4, 7)
        model.zero_grad()
        logits.square().sum().backward()
        for parameter_name, parameter in model.named_parameters():
            if not parameter.requires_grad:
                continue
            assert parameter.grad is not None, parameter_name
            assert torch.isfinite(parameter.grad).all(), parameter_name


@every_network
def test_one_batch_is_learned_by_heart(name: str):
    model, x, y = small_model(name, num_classes=2, weight_bits=8), model_input(name, 8), torch.arange(8) % 2
    x = torch.where(y.view(-1, 1, 1, 1) == 0, x // 4, 255 - x // 4)  # dark and bright: depth makes a narrow net slow
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-2)
    losses = []
    for _ in range(16):
        loss = step_cross_entropy(model(x), y, 0.0)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert min(losses[-4:]) < 0.75 * losses[0]


@every_network
def test_an_evaluated_sample_does_not_depend_on_its_batch(name: str):
    model, x = small_model(name), model_input(name, 6)
    model(x)  # gives the batch norms statistics
    model.eval()
    with torch.no_grad():
        logits = model(x)
        order = torch.randperm(6)
        assert torch.equal(model(x[order]), logits[:, order])
        assert torch.equal(torch.cat([model(part) for part in x.split([1, 2, 3])], dim=1), logits)


@every_network
def test_a_seed_decides_the_weights(name: str):
    def state(seed: int) -> dict[str, Tensor]:
        torch.manual_seed(seed)
        return small_model(name).state_dict()

    first, second, other = state(1), state(1), state(2)
    assert all(torch.equal(first[k], second[k]) for k in first)
    assert any(not torch.equal(first[k], other[k]) for k in first)


@every_model
def test_a_full_precision_model_is_refused_by_lowering(name: str):
    model = small_model(name, weight_bits=32, membrane_bits=32)
    assert all(isinstance(m.quantizer, FullPrecision) for m in synapses(model))
    with pytest.raises(LoweringError, match=r"full-precision weights have no integer codes\. Build the model with"):
        lower(model, model_input(name, 1))


# --- the catalogue ----------------------------------------------------------------------------------


def test_models_are_listed_by_pattern():
    assert list_models() == sorted(MODELS)
    assert list_models("qsnn_vgg*") == ["qsnn_vgg_s", "qsnn_vgg_s_avg", "qsnn_vgg_s_max", "qsnn_vggsnn"]
    assert list_models("nothing*") == []


def test_an_unknown_model_is_refused_and_told_which_there_are():
    with pytest.raises(ValueError, match=r"no model named 'resnet50'\. There are: bestformer_2_128, best"):
        create_model("resnet50")


def test_an_unknown_option_is_refused_and_told_which_there_are():
    with pytest.raises(TypeError, match=r"qsnn_vgg_s has no option 'wdiths'\. It takes: num_classes, time_steps, "):
        create_model("qsnn_vgg_s", wdiths=(1, 2))


def test_an_image_that_pooling_would_use_up_is_refused():
    with pytest.raises(ValueError, match="image_size must be at least 16, one pixel after pooling, got 15"):
        create_model("qsnn_vggsnn", image_size=15)


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"weight_bits": 16}, "weight_bits must be 1 to 8, or 32"),
        ({"membrane_bits": 1}, "membrane_bits must be 2 to 8, or 32"),
        ({"time_steps": 0}, "time_steps must be a whole number from 1 to 1024"),
        ({"pool_size": 5}, "pool_size must be 1 to 4, the side of the last map, or None for it, got 5"),
        ({"blocks": [1, 2]}, r"blocks must hold a number for each of the 3 widths, got \[1, 2\]"),
        ({"blocks": [1, 1, 0]}, r"blocks\[2\] must be a whole number from 1 to 1024, got 0"),
    ],
)
def test_options_out_of_range_are_refused(option: dict[str, object], message: str):
    with pytest.raises(ValueError, match=message):
        create_model("qsnn_vgg_s", **option)


@pytest.mark.parametrize(("pool_size", "inputs"), [(None, 256), (4, 256), (2, 1024), (1, 4096)])
def test_a_smaller_pool_shows_the_classifier_more_positions(pool_size: int | None, inputs: int):
    model = create_model("qsnn_vgg_s", pool_size=pool_size)
    assert model.classifier.in_features == inputs
    assert model.eval()(torch.zeros(1, 3, 32, 32, dtype=torch.uint8)).shape == (2, 1, 10)


def test_blocks_are_convolutions_of_one_width():
    model = create_model("qsnn_vgg_s", widths=[4, 8], blocks=[1, 2])
    assert [(m.out_channels, m.in_channels) for m in synapses(model)[:-1]] == [(4, 3), (4, 4), (8, 4), (8, 8), (8, 8)]


def test_averages_have_the_weights_of_strides():
    """So the file has the same size."""
    strides, averages = (
        [tuple(m.weight.shape) for m in synapses(create_model(name))] for name in ("qsnn_vgg_s", "qsnn_vgg_s_avg")
    )
    assert averages == strides


@pytest.mark.parametrize(("name", "widths"), [("qsnn_vgg_s_avg", (4, 8, 8)), ("qsnn_vgg_s_max", (4, 4, 8, 8))])
def test_halving_needs_a_pixel_to_be_left(name: str, widths: tuple[int, ...]):
    assert create_model(name, image_size=8, widths=widths).classifier.in_features == 8
    with pytest.raises(ValueError, match=f"image_size must be at least 8 for {len(widths)} widths, got 7"):
        create_model(name, image_size=7, widths=widths)


def test_the_largest_currents_are_taken_where_spikes_alone_are_read():
    """So no convolution behind the first neuron multiplies, and the file stays within 250 kB."""
    model = create_model("qsnn_vgg_s_max", pool_size=2).eval()
    hidden = [m.weight.numel() for m in synapses(model)[1:-1]]
    assert sum(hidden) == 1_529_856
    with torch.no_grad():
        graph = lower(model, torch.zeros(1, 3, 32, 32, dtype=torch.uint8))
    assert len(dumps(graph)) < 215_000
    report = profile(model, [torch.randint(0, 256, (2, 3, 32, 32), dtype=torch.uint8)])
    assert [layer.spiking_input for layer in report.synapses] == [False, *[True] * 6, False]


# --- options ----------------------------------------------------------------------------------------

DEFAULTS = {  # num_classes, time_steps, weight_bits, membrane_bits, in_channels, image_size
    "qsnn_resnet19": (10, 2, 1, 2, 3, 32),
    "qsnn_vggsnn": (10, 10, 1, 2, 2, 48),
    "qsnn_vgg_s": (10, 2, 1, 2, 3, 32),
    "qsnn_vgg_s_avg": (10, 2, 1, 2, 3, 32),
    "qsnn_vgg_s_max": (10, 2, 1, 2, 3, 32),
    "qpsnn_vgg16": (10, 4, 4, 32, 3, 32),
    "qpsnn_vgg_s": (10, 2, 4, 32, 3, 32),
    "qpsnn_vggsnn": (10, 10, 4, 32, 2, 48),
    "qpsnn_resnet20": (10, 2, 4, 32, 3, 32),
    "qpsnn_resnet18": (1000, 4, 8, 32, 3, 224),
    "bestformer_4_384": (10, 4, 1, 32, 3, 32),
    "bestformer_8_512": (1000, 4, 1, 32, 3, 224),
    "bestformer_2_256": (10, 16, 1, 32, 2, 128),
    "bestformer_2_128": (10, 4, 1, 32, 3, 32),
    "qsd_transformer_cifar": (10, 1, 4, 32, 3, 32),
    **{f"qsd_transformer_{size}": (1000, 1, 4, 32, 3, 224) for size in "tsml"},
    "spikformer_4_384": (10, 4, 32, 32, 3, 32),
    "spikingformer_4_384": (10, 4, 32, 32, 3, 32),
    "est_cifar": (10, 1, 8, 32, 3, 32),
    "est_swin_t": (1000, 1, 8, 32, 3, 224),
    "stream_lif": (6, 128, 4, 32, 6, 1),
}
SHARED = ["num_classes", "time_steps", "weight_bits", "membrane_bits", "in_channels", "image_size"]


@pytest.mark.parametrize("name", list_models())
def test_every_model_takes_the_shared_options_first_with_its_own_defaults(name: str):
    parameters = inspect.signature(catalogue.MODELS[name]).parameters
    assert list(parameters)[:6] == SHARED
    assert tuple(parameters[option].default for option in SHARED) == DEFAULTS[name]
    assert "task" not in parameters
    assert catalogue.MODELS[name].__doc__


def test_options_are_taken_by_position_and_by_name():
    by_position = qsnn_vgg_s(7, 3, 2, 4, 1, 8, (4, 6))
    by_name = qsnn_vgg_s(
        num_classes=7, time_steps=3, weight_bits=2, membrane_bits=4, in_channels=1, image_size=8, widths=(4, 6)
    )
    assert repr(by_position) == repr(by_name)
    assert by_position(torch.zeros(2, 1, 8, 8, dtype=torch.uint8)).shape == (3, 2, 7)
    with pytest.raises(TypeError, match="unexpected keyword argument 'depth'"):
        qsnn_vgg_s(depth=3)


@pytest.mark.parametrize("option", ["num_classes", "in_channels", "image_size"])
def test_a_task_of_nothing_is_refused(option: str):
    with pytest.raises(ValueError, match=f"{option} must be a whole number from 1 to 1048576, got 0"):
        create_model("qsnn_vgg_s", **{option: 0})
