"""Functions of weights become layers that hold these weights, and refuse weights that are drawn."""

from __future__ import annotations

from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError
from spikelet.nn import Linear

pytest.importorskip("snntorch", reason="needs snnTorch")
from snntorch import utils

from tests.interop.networks.network import Code
from tests.interop.networks.tutorials import leaky

T = 4


def converted(weights: Any, **options: Any) -> Any:
    """A layer of a mask, made by `weights(net)` at every step, and one that is a module."""

    def run(net: Any, x: Tensor) -> Tensor:
        utils.reset(net)
        return torch.stack([net.fc2(net.lif(F.linear(x.flatten(1), weights(net), net.fc.bias))) for _ in range(T)])

    torch.manual_seed(0)
    net = Code(run, fc=nn.Linear(192, 24), lif=leaky(init_hidden=True), fc2=nn.Linear(24, 10))
    return spikelet.from_snntorch(net.eval(), time_steps=T, round_leak=True, **options)


def images() -> Tensor:
    return torch.randint(0, 256, (3, 3, 8, 8), dtype=torch.uint8)


def masked(net: Any) -> Tensor:
    return net.fc.weight * (torch.arange(192) % 3 > 0).float()


def test_one_layer_stands_for_a_call_at_every_step() -> None:
    model = converted(masked, scale=1.0)
    plain = masked(model.net).detach().clone()
    model(images())
    layers = [m for name, m in model.net.named_children() if name.startswith("written_")]
    assert len(layers) == 1
    assert isinstance(layers[0], Linear)
    assert torch.equal(layers[0].weight, plain)


def test_it_trains_the_layer() -> None:
    model = converted(masked).train()
    model(images()).square().sum().backward()
    assert model.net.written_0.weight.grad.abs().sum() > 0


def test_its_weights_are_loaded_into_a_network_that_has_run() -> None:
    model, other = converted(masked), converted(masked)
    x = images()
    with torch.no_grad():
        model(x)
        model.net.written_0.weight.mul_(1.5)
        other(x)
        other.load_state_dict(model.state_dict())
        assert torch.equal(model(x), other(x))


def test_a_step_with_other_weights_has_another_layer() -> None:
    calls = iter(range(10**6))
    with pytest.raises(ConversionError, match=r"net\.lif: "):
        converted(lambda net: net.fc.weight * (1 + next(calls) % T), scale=1.0)(images())


def test_drawn_weights_are_refused() -> None:
    with pytest.raises(ConversionError, match=r"calls linear of weights of its own, and draws .*\(rand\).* if self"):
        converted(lambda net: net.fc.weight * (torch.rand(24, 192) > 0.5))(images())


def test_a_mean_of_the_image_needs_an_image_that_is_scaled() -> None:
    with pytest.raises(ConversionError, match=r"the image is read by written_0, .* first=\(\)"):
        converted(masked, mean=0.5, std=0.5)(images())
    assert converted(masked, mean=0.5, std=0.5, first=())(images()).shape == (T, 3, 10)
