"""Each layer of another library gives, time first, what it gave one step at a time."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.quant import Uniform

pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikingjelly.activation_based import functional, layer, neuron

T = 3
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "BatchNorm1d": (lambda: nn.BatchNorm1d(6), (6,)),
    "BatchNorm1d of sequences": (lambda: layer.BatchNorm1d(6), (6, 5)),
    "Conv1d": (lambda: nn.Conv1d(6, 4, 3, 2, 1, groups=2), (6, 9)),
    "dilated Conv1d": (lambda: layer.Conv1d(6, 4, 3, padding="same", dilation=2), (6, 9)),
    "dilated Conv2d": (lambda: nn.Conv2d(6, 4, 3, padding=2, dilation=2), (6, 7, 8)),
    "ConvTranspose2d": (lambda: nn.ConvTranspose2d(6, 4, 3), (6, 5, 4)),
    "strided ConvTranspose2d": (lambda: layer.ConvTranspose2d(6, 4, 3, 2, 1, output_padding=1), (6, 5, 4)),
    "Upsample": (lambda: nn.Upsample(scale_factor=2), (6, 5, 4)),
    "Upsample to a size": (lambda: nn.Upsample(size=(10, 6)), (6, 5, 4)),
    "Upsample to a size by means": (lambda: nn.Upsample(size=(10, 8), mode="bilinear"), (6, 5, 4)),
    "Unflatten": (lambda: nn.Unflatten(1, (2, 3)), (6, 4)),
    "MaxPool2d in ceil mode": (lambda: nn.MaxPool2d(3, 2, ceil_mode=True), (6, 6, 8)),
    "padded MaxPool2d in ceil mode": (lambda: layer.MaxPool2d(2, 2, 1, ceil_mode=True), (6, 7, 4)),
    "overlapping AvgPool2d": (lambda: nn.AvgPool2d(2, 1), (6, 5, 4)),
    "padded AvgPool2d": (lambda: layer.AvgPool2d(4, 2, 1), (6, 6, 8)),
    "VotingLayer": (lambda: layer.VotingLayer(3), (12,)),
    "VotingLayer with a rest": (lambda: layer.VotingLayer(5), (12,)),
    "ConvTranspose2d of one position": (lambda: nn.ConvTranspose2d(6, 4, 2, 2, bias=False), (6, 5, 4)),
}
every = pytest.mark.parametrize(("make", "sample"), LAYERS.values(), ids=list(LAYERS))


def converted(module: nn.Module) -> nn.Module:
    """The layer; a network needs one that reads the image."""
    net = nn.Sequential(nn.Conv2d(1, 6, 1), module)
    return spikelet.from_spikingjelly(net, time_steps=T).net[1]  # type: ignore[index]


@every
@pytest.mark.parametrize("training", [True, False])
def test_every_step_is_as_it_was(make: Callable[[], nn.Module], sample: tuple[int, ...], training: bool) -> None:
    theirs = make().train()
    x = (torch.rand(T, 4, *sample) < 0.4).float()
    theirs(x.flatten(0, 1))  # statistics of a norm
    ours = converted(theirs).train(training)
    expected = theirs.train(training)(x.flatten(0, 1)).unflatten(0, (T, 4))
    assert torch.allclose(ours(x), expected, atol=2.0**-11)
    assert (expected != 0).float().mean() > 0.3


class Decoder(nn.Module):
    """Images to images and to classes by way of every layer that is not of two dimensions."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = layer.Conv2d(1, 6, 3, 2, 1), neuron.IFNode(0.1)
        self.up, self.second = layer.ConvTranspose2d(6, 4, 2, 2), neuron.IFNode(0.1)
        self.along, self.norm, self.third = layer.Conv1d(4, 4, 3, padding=1), layer.BatchNorm1d(4), neuron.IFNode(0.5)
        self.fc, self.vectors, self.fourth = layer.Linear(4 * 64, 8), layer.BatchNorm1d(8), neuron.IFNode(0.25)
        self.out, self.votes = layer.Linear(8, 15), layer.VotingLayer(3)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        s = self.second(self.up(self.first(self.stem(x)))).flatten(3)
        s = self.third(self.norm(self.along(s)))
        return self.votes(self.out(self.fourth(self.vectors(self.fc(s.flatten(2))))))


class Pools(nn.Module):
    """Pools whose windows overlap, reach into padding and beyond the map, before weights that take their divisors."""

    def __init__(self) -> None:
        super().__init__()
        self.stem, self.first = layer.Conv2d(1, 6, 3, 1, 1), neuron.IFNode(0.1)
        self.average, self.conv, self.second = layer.AvgPool2d(3, 2, 1), layer.Conv2d(6, 4, 3), neuron.IFNode(0.1)
        self.largest, self.larger = (
            layer.MaxPool2d(3, 2, ceil_mode=True),
            layer.SeqToANNContainer(nn.Upsample(scale_factor=2)),
        )
        self.fc, self.third = layer.Linear(4 * 36, 8), neuron.IFNode(0.1)
        functional.set_step_mode(self, "m")

    def forward(self, x: Tensor) -> Tensor:
        s = self.largest(self.second(self.conv(self.average(self.first(self.stem(x))))))
        return self.third(self.fc(self.larger(s).flatten(2)))


def test_a_network_of_all_pools_goes_from_its_original_to_integers() -> None:
    torch.manual_seed(0)
    net, x = Pools().eval(), torch.randint(0, 256, (8, 1, 16, 16), dtype=torch.uint8)
    model, labels = spikelet.from_spikingjelly(net, time_steps=T), torch.zeros(8, dtype=torch.long)
    report = model.compare([(x, labels)])
    assert report.different < 0.005 * report.compared
    assert all(0.003 < s.original / s.compared < 0.98 for s in report.layers)
    assert model.factors["conv"] == 16 / 9

    weighted = [m for m in model.modules() if hasattr(m, "quantizer")]
    for m in weighted:
        m.quantizer = Uniform(4, per_channel=m is not weighted[-1])
    graph = spikelet.lower(model, x)
    assert spikelet.verify(graph, model, [(x, labels)], spikelet.Program).mismatches == 0


def test_a_network_of_all_of_them_goes_from_its_original_to_integers() -> None:
    net = Decoder()
    x = torch.randint(0, 256, (8, 1, 8, 8), dtype=torch.uint8)
    for _ in range(5):  # statistics
        net((x.float() / 255).expand(T, -1, -1, -1, -1))
        functional.reset_net(net)
    model, labels = spikelet.from_spikingjelly(net.eval(), time_steps=T), torch.zeros(8, dtype=torch.long)
    report = model.compare([(x, labels)])
    assert report.different < 0.005 * report.compared
    assert all(0.003 < s.original / s.compared < 0.98 for s in report.layers)

    weighted = [m for m in model.modules() if hasattr(m, "quantizer")]
    for m in weighted:
        m.quantizer = Uniform(4, per_channel=m is not weighted[-1])
    graph = spikelet.lower(model, x)
    for backend in (spikelet.Reference, spikelet.Program):
        assert spikelet.verify(graph, model, [(x, labels)], backend).mismatches == 0
