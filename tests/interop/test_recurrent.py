"""Recurrent and Lapicque neurons of both libraries give the spikes that they gave, in loops and at once."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.interop import ConversionError
from spikelet.nn import Conv2d, Linear, Recurrent
from spikelet.quant import Uniform

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
import snntorch as snn
from spikingjelly.activation_based import functional, layer, neuron

T = 6


def on_a_grid(net: nn.Module) -> nn.Module:
    """`net` with weights of 64ths, so that currents lie on the grid 2^-12."""
    with torch.no_grad():
        for p in net.parameters():
            if p.dim():
                p.copy_((p * 64).round() / 64)
    return net.eval()


class Loop(nn.Module):
    """A recurrent layer of F = 12 features, its spikes and membrane handed through."""

    def __init__(self, **options: Any) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(16, 12), nn.Linear(12, 5)
        self.lif = snn.RLeaky(beta=0.5, threshold=0.25, linear_features=12, **options)

    def forward(self, x: Tensor) -> Tensor:
        (spk, mem), out = self.lif.init_rleaky(), []
        for _ in range(T):
            spk, mem = self.lif(self.fc1(x), spk, mem)
            out.append(self.fc2(spk))
        return torch.stack(out)


class Maps(nn.Module):
    """Convolutional feedback, states hidden."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(1, 3, 3, padding=1), nn.Linear(48, 5)
        self.lif = snn.RLeaky(beta=0.75, threshold=0.25, conv2d_channels=3, kernel_size=3, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.fc(self.lif(self.conv(x)).view(len(x), -1)) for _ in range(T)])


class ToThemselves(Maps):
    """V of each channel of maps, on the spikes of each neuron's own."""

    def __init__(self) -> None:
        super().__init__()
        fed_back = torch.tensor([-0.25, 0.0, 0.125]).view(3, 1, 1)
        self.lif = snn.RLeaky(beta=0.5, threshold=0.25, all_to_all=False, V=fed_back, init_hidden=True)


class Lapicque(Loop):
    """A leak of 1/2, a gain of 1/2."""

    def __init__(self) -> None:
        super().__init__()
        self.lif = snn.Lapicque(beta=float(torch.exp(torch.tensor(-0.5))), threshold=0.25)

    def forward(self, x: Tensor) -> Tensor:
        mem, out = self.lif.init_lapicque(), []
        for _ in range(T):
            spk, mem = self.lif(self.fc1(x), mem)
            out.append(self.fc2(spk))
        return torch.stack(out)


NETS = {
    "RLeaky": (lambda: Loop(), (16,)),
    "RLeaky of maps": (Maps, (1, 4, 4)),
    "RLeaky of maps, each to itself": (ToThemselves, (1, 4, 4)),
    "Lapicque": (Lapicque, (16,)),
}


def assert_lowers(model: Any, x: Tensor) -> None:
    for m in model.modules():
        if isinstance(m, Conv2d | Linear):
            m.quantizer = Uniform(8, per_channel=False)
    labels = torch.zeros(len(x), dtype=torch.long)
    graph = spikelet.lower(model, x)
    for backend in (spikelet.Reference, spikelet.Program):
        result = spikelet.verify(graph, model, [(x, labels)], backend)
        assert result.mismatches == 0, str(result)
        assert not result.not_compared
    assert model.compare([(x, labels)], program=spikelet.Program(graph)).compared > 0


@pytest.mark.parametrize("name", NETS)
def test_snntorch_s_loop_gives_what_it_gave(name: str) -> None:
    make, sample = NETS[name]
    torch.manual_seed(0)
    net = on_a_grid(make())
    x = torch.randint(0, 3, (8, *sample), dtype=torch.uint8)
    model = spikelet.from_snntorch(net, time_steps=T, scale=1.0, round_leak=True)
    report = model.compare([(x, torch.zeros(8, dtype=torch.long))])
    (spikes,) = report.layers
    assert 0.05 < spikes.original / spikes.compared < 0.95
    assert spikes.different is not None
    assert spikes.different <= (0.01 * spikes.compared if name == "Lapicque" else 0)  # its 1 / C is 0.49999
    assert_lowers(model, x)


@pytest.mark.parametrize("mode", ["s", "m"])
def test_spikingjelly_s_recurrent_container_gives_what_it_gave(mode: str) -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Linear(16, 12),
        neuron.IFNode(v_threshold=0.25),
        layer.LinearRecurrentContainer(neuron.LIFNode(tau=2.0, v_threshold=0.25, v_reset=None), 12, 12),
        layer.Linear(12, 5, bias=False),
        neuron.IFNode(v_threshold=0.5),
    )
    on_a_grid(net)
    for module in net:
        module.step_mode = mode
    x = torch.randint(0, 3, (8, 16), dtype=torch.uint8)
    model = spikelet.from_spikingjelly(net, time_steps=T, scale=1.0)
    assert any(isinstance(m, Recurrent) for m in model.modules())
    theirs = copy.deepcopy(net)
    frames = x.float().expand(T, 8, 16)
    expected = theirs(frames) if mode == "m" else torch.stack([theirs(frame) for frame in frames])
    functional.reset_net(theirs)
    assert torch.equal(model(x), expected)
    assert 0.05 < expected.mean() < 0.95
    assert_lowers(model, x)


def test_a_container_of_more_than_a_neuron_is_refused() -> None:
    inner = nn.Sequential(nn.Linear(4, 4), neuron.LIFNode())
    net = nn.Sequential(layer.Linear(4, 4), layer.LinearRecurrentContainer(inner, 4, 4))
    with pytest.raises(ConversionError, match="1: LinearRecurrentContainer has a counterpart around one neuron"):
        spikelet.from_spikingjelly(net, time_steps=T)


def test_the_membrane_of_a_recurrent_neuron_is_refused_where_it_is_used() -> None:
    class Read(Loop):
        def forward(self, x: Tensor) -> Tensor:
            (spk, mem), out = self.lif.init_rleaky(), []
            for _ in range(T):
                spk, mem = self.lif(self.fc1(x), spk, mem)
                out.append(mem)
            return torch.stack(out)

    model = spikelet.from_snntorch(Read(), time_steps=T)
    with pytest.raises(ConversionError, match="lif: the network returns or computes with the membrane of a recurrent"):
        model(torch.zeros(2, 16, dtype=torch.uint8))


def test_spikes_that_were_changed_are_not_its_own() -> None:
    class Changed(Loop):
        def forward(self, x: Tensor) -> Tensor:
            (spk, mem), out = self.lif.init_rleaky(), []
            for _ in range(T):
                spk, mem = self.lif(self.fc1(x), spk * 0.5 if out else spk, mem)
                out.append(self.fc2(spk))
            return torch.stack(out)

    model = spikelet.from_snntorch(Changed(), time_steps=T)
    with pytest.raises(ConversionError, match=r"net\.lif: at step 1 of the loop is given another state than its own"):
        model(torch.zeros(2, 16, dtype=torch.uint8))


@pytest.mark.parametrize(
    "neuron",
    [
        lambda: snn.RLeaky(0.5, all_to_all=False, V=1.25, threshold=1.0, init_hidden=True),
        lambda: snn.RLeaky(0.5, all_to_all=False, V=0.5, reset_mechanism="zero", init_hidden=True),
        lambda: snn.RSynaptic(0.5, 0.5, all_to_all=False, V=0.5, init_hidden=True),
    ],
    ids=["V above the threshold", "zero", "RSynaptic"],
)
def test_a_neuron_that_feeds_back_to_itself_as_no_lif_does_is_refused(neuron: Callable[[], nn.Module]) -> None:
    with pytest.raises(ConversionError, match=r"all_to_all=False multiplies .*, got V = [\d.]+, threshold = 1 and"):
        spikelet.from_snntorch(nn.Sequential(nn.Linear(4, 4), neuron()), time_steps=2)
