"""Evaluation is exact in float32 and float64, and other types are refused by name."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.lowering import lower
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm1d, Conv1d, Conv2d, Encode, Linear, evaluation_mode
from spikelet.quant import Uniform
from tests.support.exact_network import network, traced


def test_layers_alone_are_exact_under_autocast():
    torch.manual_seed(0)
    x = torch.randint(0, 256, (2, 3, 8, 9)).float() / 256
    for layer, z in (
        (Conv1d(8, 4, 3, Uniform(8)), x),
        (Conv2d(3, 4, 3, Uniform(8)), x.view(2, 1, 3, 8, 9)),
        (Linear(9, 4, Uniform(8)), x),
        (BatchNorm1d(8), x),
    ):
        expected = layer.eval()(z)
        with torch.autocast("cpu", torch.bfloat16):
            made = layer(z)
            assert layer.train()(z).dtype == (torch.float32 if isinstance(layer, BatchNorm1d) else torch.bfloat16)
        assert made.dtype == torch.float32
        assert torch.equal(made, expected)


def test_depthwise_convolutions_train_in_float32_under_autocast():
    torch.manual_seed(0)
    layer, x = Conv2d(6, 6, 3, Uniform(4), groups=6), torch.rand(2, 1, 6, 5, 5)
    expected = layer(x)
    with torch.autocast("cpu", torch.bfloat16):
        made = layer(x.bfloat16().float())
        assert made.dtype == torch.float32
        assert Conv2d(6, 6, 3, Uniform(4), groups=3)(x).dtype == torch.bfloat16
        assert Conv2d(1, 6, 3, Uniform(4))(x[:, :, :1]).dtype == torch.bfloat16
    assert torch.equal(made, layer(x.bfloat16().float()))
    assert torch.allclose(made, expected, atol=0.02)
    made.sum().backward()
    assert layer.weight.grad.dtype == torch.float32


def test_a_double_model_gives_the_same_spikes_in_float64():
    model, x = network()
    expected = traced(model, x)
    made = traced(model.double(), x)
    assert all(y.dtype == torch.float64 for y in made)
    assert all(torch.equal(a, b.double()) for a, b in zip(made, expected, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float8_e4m3fn])
def test_a_model_in_another_precision_is_refused_by_name(dtype: torch.dtype):
    model, _ = network()
    model.head.to(dtype)
    message = rf"head\.weight is {dtype}, in which evaluation is not exact.*model\.double"
    with pytest.raises(SpikeletError, match=message), evaluation_mode(model):
        raise AssertionError
    model.head.float()
    model.neuron.register_buffer("kept", torch.zeros(2, dtype=dtype))
    with pytest.raises(SpikeletError, match=rf"neuron\.kept is {dtype}"), evaluation_mode(model):
        raise AssertionError


@pytest.mark.parametrize("dtype", [torch.float8_e4m3fn, torch.float8_e5m2])
def test_a_type_that_nothing_is_computed_in_is_refused_by_the_first_layer(dtype: torch.dtype):
    with pytest.raises(TypeError, match=rf"Encode gives currents in the type of its model, got {dtype}"):
        Encode().to(dtype)(torch.zeros(1, 1, 2, 2, dtype=torch.uint8))


def test_a_model_without_values_is_refused_by_name():
    with torch.device("meta"):
        model, _ = network()
    with pytest.raises(SpikeletError, match=r"stem\.1\.weight lies on the device meta and has no values"):
        lower(model, torch.zeros(2, 3, 8, 8, dtype=torch.uint8))


@pytest.mark.parametrize(
    "layer",
    [Conv1d(2, 2, 1, Uniform(8)), Conv2d(2, 2, 1, Uniform(8)), Linear(2, 2, Uniform(8)), BatchNorm1d(2), LIF(2)],
    ids=lambda m: type(m).__name__,
)
def test_currents_in_half_precision_are_refused_in_evaluation(layer: nn.Module):
    shape = {Conv1d: (2, 1, 2, 2), Conv2d: (2, 1, 2, 2, 2)}.get(type(layer), (2, 1, 2))
    with pytest.raises((SpikeletError, TypeError), match=rf"{type(layer).__name__} evaluates in float32 or float64"):
        layer.eval()(torch.zeros(shape, dtype=torch.bfloat16))


def test_switches_are_put_back_also_after_an_error():
    model, _ = network()
    torch.set_float32_matmul_precision("high")
    try:
        with pytest.raises(RuntimeError), torch.autocast("cpu", torch.bfloat16), evaluation_mode(model):
            assert torch.get_float32_matmul_precision() == "highest"
            assert not torch.backends.cudnn.allow_tf32 | torch.backends.cudnn.enabled
            assert not torch.is_autocast_enabled("cpu")
            raise RuntimeError
        assert torch.get_float32_matmul_precision() == "high"
        assert torch.backends.cudnn.allow_tf32 & torch.backends.cudnn.enabled
    finally:
        torch.set_float32_matmul_precision("highest")
