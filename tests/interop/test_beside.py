"""A user's Sequential that gets modules beside its own (interop/beside.py): its code sees those that it was made of."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from tests.interop.networks.habits import Learned
from tests.interop.networks.network import COUNTS
from tests.interop.test_neurons_in_code import T, exact


class Plain(nn.Sequential):
    """No code of its own."""


class ByParts(nn.Sequential):
    """Its layers in slices, by number and in a loop."""

    def forward(self, input: Any) -> Tensor:
        assert len(self) == 5
        for layer in self[1:-2]:
            input = layer(input if layer is not self[1] else self[0](input))
        return self[-1](self[3](input))


@pytest.mark.parametrize("cls", [nn.Sequential, Plain, ByParts])
def test_neurons_in_the_code_of_a_sequential_s_modules_are_called_in_place(cls: type[nn.Sequential]) -> None:
    torch.manual_seed(0)
    net = cls(nn.Flatten(2), nn.Linear(128, 24), Learned(), nn.Linear(24, 10), Learned()).eval()
    model = spikelet.from_snntorch(net, time_steps=T, round_leak=True, **COUNTS)
    exact(model, 2)
    assert type(net) is cls
    assert isinstance(model.net, cls)
    assert len(model.net) == 5
