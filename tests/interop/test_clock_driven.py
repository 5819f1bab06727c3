"""Networks of clock_driven, SpikingJelly's package before activation_based, whose classes are written out here."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet

pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikingjelly.activation_based import layer, neuron, surrogate

T = 4


def old(name: str, **said: Any) -> type[nn.Module]:
    """A class of that package."""
    return type(name, (nn.Module,), {"__module__": "spikingjelly.clock_driven.neuron", **said})


def lif(self: Any, x: Tensor) -> Tensor:
    """All time steps, by the neuron that replaced it."""
    node = neuron.LIFNode(self.tau, self.decay_input, self.v_threshold, self.v_reset, step_mode="m")
    return node.to(x)(x)


CONSTANTS = {"tau": 2.0, "decay_input": True, "v_threshold": 0.25, "v_reset": 0.0}
MANY, ONE = old("MultiStepLIFNode", **CONSTANTS, forward=lif), old("LIFNode", **CONSTANTS)


def lif_node(cls: type[nn.Module]) -> nn.Module:
    made = cls()
    made.surrogate_function = surrogate.ATan()
    return made


class Net(nn.Module):
    """Frames [T, B, 2, 8, 8], all steps at once."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = layer.SeqToANNContainer(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4))
        self.lif, self.fc = lif_node(MANY), layer.SeqToANNContainer(nn.Flatten(), nn.Linear(144, 5))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.lif(self.conv(x))).mean(0)


def test_a_multi_step_neuron_gives_what_it_gave() -> None:
    torch.manual_seed(0)
    x = torch.randint(0, 3, (T, 3, 2, 8, 8), dtype=torch.uint8)
    model = spikelet.from_spikingjelly(Net().eval(), time_steps=T, time_axis=0, scale=1.0)
    report = model.compare([(x, torch.zeros(3, dtype=torch.long))])
    assert report.different <= 0.001 * report.compared
    assert 0.05 < sum(s.original for s in report.layers) / report.compared < 0.95


def test_a_neuron_without_the_word_sees_one_step() -> None:
    net = nn.Sequential(nn.Flatten(), nn.Linear(16, 5), lif_node(ONE))
    model = spikelet.from_spikingjelly(net, time_steps=T)
    assert model.original.per_step
    assert model(torch.randint(0, 256, (2, 1, 4, 4), dtype=torch.uint8)).shape == (T, 2, 5)


def test_both_kinds_outside_of_containers_are_refused() -> None:
    net = nn.Sequential(nn.Flatten(), lif_node(ONE), lif_node(MANY))
    with pytest.raises(spikelet.SpikeletError, match=r"one step_mode, got {'1': 's', '2': 'm'}"):
        spikelet.from_spikingjelly(net, time_steps=T)
