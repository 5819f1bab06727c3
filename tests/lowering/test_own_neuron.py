"""A new neuron is one class: it trains, lowers, runs as integers, is profiled, pruned and saved as it stands."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn

import spikelet
from spikelet.compression import Prune
from spikelet.neurons import Triangle
from spikelet.neurons.neuron import IntegerNeuron, Neuron
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear
from spikelet.quant import Uniform
from spikelet.quant.grid import floor_to_grid

T = 3


class Refractory(Neuron):
    """It keeps half of its charge, fires from 1/2 on, and a spike sets it back by 1."""

    spike = Triangle()

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        h = 0.5 * v + x
        return h if self.training else floor_to_grid(h)

    def fire(self, h: Tensor) -> Tensor:
        return self.spike(h - 0.5)

    def reset(self, h: Tensor, s: Tensor) -> Tensor:
        return h - s

    def lowered(self) -> IntegerNeuron:
        unit = 1 << IntegerNeuron.fraction_bits
        return IntegerNeuron(leak=1, gain=2, leak_bits=1, threshold=unit // 2, reset=unit)


class Net(nn.Module):
    """A convolution and a classifier around the new neuron."""

    def __init__(self) -> None:
        super().__init__()
        self.encode, self.conv, self.norm = Encode(), Conv2d(1, 6, 3, Uniform(4), padding=1), BatchNorm2d(6)
        self.neuron, self.fc = Refractory(T), Linear(6 * 36, 5, Uniform(8, per_channel=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.neuron(self.norm(self.conv(self.encode(x)))).flatten(2))


def trained() -> tuple[Net, Tensor, Tensor]:
    """A network after some steps, images and labels."""
    torch.manual_seed(0)
    net, x, y = Net(), torch.randint(0, 256, (16, 1, 6, 6), dtype=torch.uint8), torch.arange(16) % 5
    optimizer = torch.optim.Adam(net.parameters(), lr=0.02)
    for _ in range(8):
        loss = nn.functional.cross_entropy(net(x).mean(0), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return net.eval(), x, y


def assert_exact(net: nn.Module, x: Tensor, y: Tensor) -> spikelet.IntGraph:
    """Lowers, and finds neither a spike nor a logit that differs, in the reference and natively."""
    graph = spikelet.lower(net, x[:1])
    for backend in (spikelet.Reference, spikelet.Program):
        found = spikelet.verify(graph, net, [(x, y)], backend)
        assert found.mismatches == 0, str(found)
        assert found.spikes > 0
    return graph


def test_a_new_neuron_is_one_class(tmp_path: Path):
    net, x, y = trained()
    graph = assert_exact(net, x, y)
    spikes = spikelet.Reference(graph).spikes(x.numpy())["neuron"]
    assert 0.02 < spikes.mean() < 0.9
    spikelet.save(graph, tmp_path / "own.safetensors")
    loaded = spikelet.Program(spikelet.load(tmp_path / "own.safetensors"))
    assert (loaded(x.numpy()) == spikelet.Program(graph)(x.numpy())).all()
    assert spikelet.profile(net, x).total.spikes == spikes.sum() / len(x)
    small, report = spikelet.compress(net, [Prune(0.5)], x)
    assert (report.before["neuron"].channels, report.after["neuron"].channels) == (6, 3)
    assert_exact(small, x, y)
