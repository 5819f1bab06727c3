"""Parameters that left their range: evaluation stays exact or is refused by the layer's name; gradients stay finite."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError, SpikeletError
from spikelet.compression import Prune, compress
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, ATan, QuantizedMembrane, Rectangle, Sigmoid, Triangle
from spikelet.nn import AddConstant, BatchNorm2d, Conv2d, Encode, Linear, Requantize, Scale
from spikelet.quant import Binary, Quantizer, ReScaW, Uniform
from spikelet.runtime import Program

VALUES = [math.nan, math.inf, -math.inf, -3e38, -1e20, -1.0, -1e-6, 0.0, 1e-45, 1e-38, 1e-20, 1e10, 1e20, 3e38]


def network(quantizer: Quantizer | None = None, **between: nn.Module) -> nn.Sequential:
    torch.manual_seed(0)
    model = nn.Sequential()
    model.encode, model.conv = Encode(), Conv2d(1, 4, 3, quantizer or Uniform(8), bias=True)
    model.norm = BatchNorm2d(4)
    for name, module in between.items():
        setattr(model, name, module)
    model.neuron, model.flat = LIF(2, membrane=QuantizedMembrane(4)), nn.Flatten(2)
    model.fc = Linear(64, 3, Uniform(8, per_channel=False))
    return model


def images() -> Tensor:
    return torch.randint(0, 256, (4, 1, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


PLACES = [
    "conv.weight", "conv.bias", "norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "fc.weight",
    "neuron.membrane.log2_step", "scale.gain", "constant.value", "requantize.log2_unit",
]  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
def test_lowering_is_exact_or_names_the_layer(place: str):
    exact = 0
    for value in VALUES:
        model = network(scale=Scale(1.0), constant=AddConstant(4, 1, 1), requantize=Requantize(8))
        tensors = dict([*model.named_parameters(), *model.named_buffers()])
        with torch.no_grad():
            tensors[place].view(-1)[0] = value
        try:
            graph = lower(model, images())
        except SpikeletError as error:
            assert str(error).split(":")[0].split(".")[0].split(" ")[0] in dict(model.named_children()), str(error)
            continue
        result = verify(graph, model, [(images(), torch.zeros(4, dtype=torch.long))], Program)
        assert not sum(result.spike_mismatches.values()) + result.logit_mismatches, f"{place} = {value}"
        exact += 1
    assert exact >= 3


@pytest.mark.parametrize("quantizer", [Uniform(8), Binary(), Binary(standardize=False), ReScaW(2)], ids=repr)
@pytest.mark.parametrize("size", [0.0, 1e-45, 1e-30, 1e-10, 1e10, 1e30, 3e38])
def test_weights_of_any_size_lower_exactly_or_are_refused_by_name(quantizer: Quantizer, size: float):
    model = network(quantizer)
    with torch.no_grad():
        model.conv.weight[1] *= size  # type: ignore[index]
    try:
        graph = lower(model, images())
    except SpikeletError as error:
        assert str(error).startswith(("conv", "norm"))
        assert size > 1
        return
    result = verify(graph, model, [(images(), torch.zeros(4, dtype=torch.long))], Program)
    assert not sum(result.spike_mismatches.values()) + result.logit_mismatches


@pytest.mark.parametrize("place", [place for place in PLACES[:8] if "running" not in place])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_compression_refuses_what_is_no_number_by_its_name(place: str, value: float):
    model = network()
    with torch.no_grad():
        model.get_parameter(place).view(-1)[0] = value
    with pytest.raises(CompressionError, match=rf"^{place} holds NaN or infinity"):
        compress(model, [Prune(0.5)], images())


def test_a_norm_that_diverged_is_named_by_lowering_and_by_compression():
    model = network()
    model.norm.running_var[1] = math.nan  # type: ignore[index]
    for job in (lambda: lower(model, images()), lambda: compress(model, [Prune(0.5)], images())):
        with pytest.raises(SpikeletError, match=r"norm: gain must be finite, got nan"):
            job()


@pytest.mark.parametrize("value", [-1e30, -200.0, -64.5, 64.5, 200.0, 1e30, math.inf, -math.inf])
def test_a_step_that_ran_away_has_a_finite_gradient(value: float):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 4, requires_grad=True)
    membrane, requantize = QuantizedMembrane(4), Requantize(8)
    for layer, step in ((membrane, membrane.log2_step), (requantize, requantize.log2_unit)):
        with torch.no_grad():
            step.fill_(value)
        made = layer(x)
        made.sum().backward()
        assert torch.isfinite(made).all()
        assert step.grad is not None
        assert torch.isfinite(step.grad)
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("kind", [Triangle, Rectangle, ATan, Sigmoid])
def test_surrogates_of_every_size_taken_have_finite_slopes(kind: type):
    for size in (2.0**-20, 1e-3, 1.0, 1e3, 2.0**20):
        x = torch.tensor([0.0, 1e-38, -1e-20, 1.0, -1.0, 1e20, 3e38], requires_grad=True)
        kind(size)(x).sum().backward()
        assert x.grad is not None
        assert torch.isfinite(x.grad).all()
    for size in (1e-300, 1e-45, 2.0**-21, 2.0**21, 1e300, math.nan, "1", None, True, 1j):
        with pytest.raises(ValueError, match=r"must be a number from 2\^-20 to 2\^20, got"):
            kind(size)
