"""Learned steps: codes by their definition, LSQ's gradients, and safe before any training step."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from spikelet.base.errors import LoweringError, SpikeletError
from spikelet.lowering import lower
from spikelet.neurons import LIF
from spikelet.nn import Conv2d, Encode, Linear
from spikelet.quant import LayerQuantizer, LearnedStep

every_width = pytest.mark.parametrize("bits", range(2, 9))


def layer_of(weight: torch.Tensor, bits: int, per_channel: bool = True) -> LayerQuantizer:
    return LearnedStep(bits, per_channel).for_layer(weight)


@every_width
def test_codes_are_the_nearest_steps_clipped_to_the_full_grid(bits: int):
    torch.manual_seed(bits)
    weight = torch.randn(6, 5, 3, 3) * torch.logspace(-3, 2, 6).view(-1, 1, 1, 1)
    quantizer = layer_of(weight, bits)
    step = torch.exp2(quantizer.log2_step.detach().double()).view(-1, 1, 1, 1)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    expected = torch.floor((weight.double() / step).clamp(low, high) + 0.5)
    coded = quantizer.encode(weight)
    assert torch.equal(coded.codes.double(), expected)
    assert coded.grid == "full"
    assert bool((coded.scale.log2() == coded.scale.log2().round()).all())
    assert bool(((coded.scale.double() / step).log2().abs() <= 0.5).all())
    assert torch.equal(quantizer(weight), coded.codes * coded.scale)


def test_halves_round_up_and_both_ends_are_reached():
    weight = torch.tensor([[-9.0, -8.0, -1.5, -0.5, 0.5, 1.5, 7.0, 9.0]])
    quantizer = layer_of(weight, 4)
    quantizer.log2_step.data.zero_()
    assert quantizer.encode(weight).codes.tolist() == [[-8, -8, -1, 0, 1, 2, 7, 7]]


def test_the_first_step_is_twice_the_mean_magnitude_over_the_root_of_the_largest_code():
    weight = torch.tensor([[1.0, -3.0], [0.0, 0.0], [0.25, 0.75]])
    assert torch.exp2(layer_of(weight, 4).log2_step).tolist() == pytest.approx([4 / 7**0.5, 1.0, 1 / 7**0.5])
    whole = layer_of(weight, 4, per_channel=False)
    assert torch.exp2(whole.log2_step).tolist() == pytest.approx([2 * 5 / 6 / 7**0.5])


@pytest.mark.parametrize("per_channel", [True, False])
@every_width
def test_gradients_are_those_of_the_published_formula(bits: int, per_channel: bool):
    """Against autograd through a straight-through rounding, as LSQ's pseudocode has it."""
    torch.manual_seed(bits)
    weight = torch.randn(4, 7, dtype=torch.float64).requires_grad_()
    quantizer = layer_of(weight, bits, per_channel)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    told = torch.randn(4, 7, dtype=torch.float64)
    quantizer(weight).backward(told)

    other = weight.detach().clone().requires_grad_()
    log2_step = quantizer.log2_step.detach().clone().requires_grad_()
    scaling = 1 / math.sqrt((7 if per_channel else 28) * high)
    raw = torch.exp2(log2_step)
    step = (raw * scaling + (raw - raw * scaling).detach()).view(-1, 1)
    clipped = (other / step).clamp(low, high)
    rounded = clipped + (torch.floor(clipped + 0.5) - clipped).detach()
    (rounded * step).backward(told)
    assert torch.allclose(weight.grad, other.grad)
    assert torch.allclose(quantizer.log2_step.grad, log2_step.grad)


@every_width
@pytest.mark.parametrize("size", [1e-45, 1e-38, 1e-20, 1.0, 1e20, 3e38])
def test_values_and_gradients_are_finite_at_any_size_of_weights(bits: int, size: float):
    weight = torch.tensor([[1.0, -1.0, 0.5, 0.0], [0.0, 0.0, 0.0, 0.0], [1.0, 1.0, 1.0, 1.0]]) * size
    weight.requires_grad_()
    quantizer = layer_of(weight, bits)
    value = quantizer(weight)
    value.sum().backward()
    for tensor in (value, weight.grad, quantizer.log2_step, quantizer.log2_step.grad):
        assert bool(torch.isfinite(tensor).all())


def test_an_evaluation_before_any_training_step_has_the_weights_steps():
    layer = Conv2d(3, 4, 3, LearnedStep(4), padding=1).eval()
    error = (layer.quantizer(layer.weight) - layer.weight).abs().amax()
    assert float(error.detach()) < float(layer.weight.detach().abs().amax())


def test_a_layer_that_is_given_the_quantizer_again_takes_its_steps_anew():
    layer = Linear(8, 4, LearnedStep(4))
    before = layer.quantizer.log2_step.detach().clone()
    with torch.no_grad():
        layer.weight.mul_(4)
    layer.quantizer = LearnedStep(4)
    assert torch.allclose(layer.quantizer.log2_step, before + 2)


def test_steps_train_are_saved_and_are_loaded():
    layer = Linear(8, 4, LearnedStep(2))
    optimizer = torch.optim.SGD(layer.parameters(), lr=0.5)
    layer(torch.randn(1, 3, 8)).square().sum().backward()
    optimizer.step()
    other = Linear(8, 4, LearnedStep(2))
    other.load_state_dict(layer.state_dict())
    assert torch.equal(other.quantizer(other.weight), layer.quantizer(layer.weight))


def test_steps_that_diverged_are_refused_when_lowered():
    model = nn.Sequential(Encode(), nn.Flatten(2), LIF(2), Linear(4, 2, LearnedStep(4))).eval()
    model[3].quantizer.log2_step.data[0] = math.nan
    with pytest.raises(LoweringError, match=r"3: its quantizer's steps must be finite numbers, got NaN or infinity"):
        lower(model, torch.zeros(1, 1, 2, 2, dtype=torch.uint8))


def test_per_channel_is_true_or_false():
    with pytest.raises(SpikeletError, match=r"LearnedStep\.per_channel must be True or False, got 'no'"):
        LearnedStep(4, "no")  # type: ignore[arg-type]


@pytest.mark.parametrize("bits", [0, 1, 9, 32, 4.0, True, "4"])
def test_bits_out_of_range_are_refused(bits: object):
    with pytest.raises(ValueError, match=r"LearnedStep\.bits must be 2 to 8, got "):
        LearnedStep(bits)  # type: ignore[arg-type]
