"""Modules that stand for parts of a network's code, in networks whose code goes through the modules that they have."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet


class Fires(nn.Module):
    """A neuron written out."""

    def forward(self, x: Tensor) -> Tensor:
        membrane, out = torch.zeros_like(x[0]), []
        for current in x:
            membrane = 0.5 * membrane + current
            spikes = (membrane >= 0.25).float()
            membrane = membrane - 0.25 * spikes
            out.append(spikes)
        return torch.stack(out)


class Block(nn.Sequential):
    """One of a user's own."""


class ByParts(nn.Sequential):
    """Its layers in slices, by number and in a loop."""

    def forward(self, input: Any) -> Tensor:
        x = self[0](input)
        for layer in self[1:-1]:
            x = layer(x)
        return self[-1](x)


class Named(nn.Module):
    """Layers of the names that a conversion gives, run in their order."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.neurons_0, self.written_0, self.neurons_1, self.last = layers

    def forward(self, x: Tensor) -> Tensor:
        return one_by_one(self, x)


def one_by_one(net: Any, x: Tensor) -> Tensor:
    for module in net.children():
        x = module(x)
    return x


def iterated(net: Any, x: Tensor) -> Tensor:
    for module in net:
        x = module(x)
    return x


@pytest.mark.parametrize("kind", [nn.Sequential, Block, ByParts, Named])
@pytest.mark.parametrize("forward", [None, one_by_one, iterated, lambda net, x: net[-1](net[:-1](x))])
def test_a_network_s_code_goes_through_its_own_modules_alone(kind: Any, forward: Callable[..., Tensor] | None) -> None:
    if kind is Named and forward not in (None, one_by_one):
        pytest.skip("a network that is no Sequential has no order of its own")
    torch.manual_seed(0)
    net = kind(nn.Linear(6, 8), Fires(), nn.Linear(8, 4), Fires())
    model = spikelet.from_spikingjelly(net, time_steps=3, time_axis=0, scale=1.0, forward=forward)
    x, labels = torch.randint(0, 2, (3, 5, 6), dtype=torch.uint8), torch.zeros(5, dtype=torch.long)
    report = model.compare([(x, labels)])
    assert (report.different, len(report.layers)) == (0, 2)
    assert all(layer.original > 0 for layer in report.layers)
    assert type(net) is kind is type(model.net)
