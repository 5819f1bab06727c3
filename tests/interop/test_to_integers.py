"""From another library to a packed file: converted, quantized, lowered, verified, saved, loaded, run."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError
from spikelet.graph import ir
from spikelet.graph.file.artifact import dumps
from spikelet.interop.converted import Converted
from spikelet.neurons import LIF, LIFParams, QuantizedMembrane
from spikelet.neurons.constants import LEAK_BITS
from spikelet.nn import BatchNorm2d, Conv2d, Linear
from spikelet.quant import Binary, Quantizer, Uniform

T = 4


def spikingjelly_network() -> Converted:
    """Convolution, norm, two kinds of reset, residual sum, average over 3 x 3."""
    pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
    from spikingjelly.activation_based import layer, neuron

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.stem = nn.Sequential(layer.Conv2d(3, 8, 3, padding=1), layer.BatchNorm2d(8), neuron.IFNode())
            self.conv, self.norm = layer.Conv2d(8, 8, 3, padding=1, bias=False), layer.BatchNorm2d(8)
            self.neuron = neuron.LIFNode(tau=2.0, v_reset=None)
            self.head = nn.Sequential(layer.AvgPool2d(3), layer.Flatten(), layer.Linear(8 * 9, 10, bias=False))

        def forward(self, x: Tensor) -> Tensor:
            s = self.stem(x)
            return self.head(self.neuron(self.norm(self.conv(s))) + s).mean(0)

    net = Net()
    for m in net.modules():
        if hasattr(m, "step_mode"):
            m.step_mode = "m"
    return spikelet.from_spikingjelly(net, time_steps=T, mean=(0.5, 0.4, 0.3), std=(0.2, 0.25, 0.3))


def snntorch_network() -> Converted:
    """Convolution, norm, residual sum, and every reset that snnTorch has, thresholds off the grid."""
    snn = pytest.importorskip("snntorch", reason="needs snnTorch")

    class Residual(nn.Module):
        def __init__(self, **leaky: object) -> None:
            super().__init__()
            self.conv, self.norm = nn.Conv2d(8, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8)
            self.leaky = snn.Leaky(init_hidden=True, **leaky)

        def forward(self, s: Tensor) -> Tensor:
            return self.leaky(self.norm(self.conv(s)) + s)

    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        snn.Leaky(beta=0.5, init_hidden=True),
        Residual(beta=0.9, threshold=0.7),
        Residual(beta=0.75, reset_mechanism="zero"),
        Residual(beta=0.5, reset_mechanism="none", threshold=1.5),
        nn.MaxPool2d(3),
        nn.Flatten(),
        nn.Linear(72, 10),
        snn.Leaky(beta=0.5, threshold=0.25, init_hidden=True, output=True),
    )
    return spikelet.from_snntorch(net, time_steps=T, round_leak=True)


def quantized(model: Converted, weights: Quantizer, membrane_bits: int) -> Converted:
    """`model` with quantizers set by hand, 8 bits where it reads the image and gives the classes, made to fire."""
    layers = [m for m in model.modules() if isinstance(m, Conv2d | Linear)]
    for m in layers:
        m.quantizer = weights
        if m is layers[-1]:
            m.quantizer = Uniform(8, per_channel=False)
        elif m.weight.shape[1] == 3:
            m.quantizer = Uniform(8)
    with torch.no_grad():
        layers[-1].weight.mul_(4)
    for m in model.modules():
        if isinstance(m, LIF) and membrane_bits < 32:
            m.membrane = QuantizedMembrane(membrane_bits)
        if isinstance(m, BatchNorm2d) and m.bias.requires_grad:
            m.momentum = 0.5
            nn.init.constant_(m.bias, 0.4)
    return model


def images(batch: int) -> Tensor:
    return torch.randint(0, 256, (batch, 3, 9, 9), dtype=torch.uint8)


@pytest.mark.parametrize(("weights", "membrane_bits"), [(Uniform(8), 32), (Binary(), 4), (Uniform(4), 2)])
@pytest.mark.parametrize("make", [spikingjelly_network, snntorch_network])
def test_a_converted_network_becomes_a_file_that_gives_its_spikes(
    make: Callable[[], Converted], weights: Quantizer, membrane_bits: int, tmp_path: Path
) -> None:
    model = quantized(make(), weights, membrane_bits)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.05)
    for _ in range(3):  # it trains
        output = model(images(16))
        loss = (output.mean(0) if output.dim() == 3 else output).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x = images(12)
    x[0], x[1] = 0, 255
    graph = spikelet.lower(model, x)
    for backend in (spikelet.Program, spikelet.Reference):
        verification = spikelet.verify(graph, model, [(x, torch.zeros(12, dtype=torch.long))], backend)
        assert verification.mismatches == 0
        assert verification.spikes == 12 * T * sum(
            int(np.prod(s.shape[2:])) for s in spikelet.Reference(graph).spikes(x.numpy()).values()
        )
    rates = [s.mean() for s in spikelet.Reference(graph).spikes(x.numpy()).values()]
    assert all(0.005 < rate < 0.9 for rate in rates), rates

    spikelet.save(graph, tmp_path / "model.safetensors")
    loaded = spikelet.load(tmp_path / "model.safetensors")
    assert dumps(loaded) == dumps(graph)
    assert np.array_equal(spikelet.Program(loaded)(x.numpy()), spikelet.Reference(graph)(x.numpy()))


def test_the_graph_states_a_late_reset_as_a_number() -> None:
    graph = spikelet.lower(quantized(snntorch_network().eval(), Uniform(8), 32), images(1))
    leak = round(0.9 * 2**LEAK_BITS) / 2**LEAK_BITS
    half = 0.5 if LIFParams(leak).charge_rounding == "half" else 0.0
    late = int(4096 * torch.tensor(0.7).item() / leak + half)
    stated = [(n.reset, n.threshold) for n in graph.of_type(ir.Lif)]
    assert stated == [
        (8192, 4097),
        (late, 2868),
        ("hard", 4097),
        (0, 6145),
        (2048, 1025),
    ]


def test_a_neuron_s_spikes_are_found_under_its_name() -> None:
    graph = spikelet.lower(quantized(snntorch_network().eval(), Uniform(8), 32), images(1))
    assert [n.name for n in graph.of_type(ir.Lif)] == [
        "net.2", "net.3.leaky", "net.4.leaky", "net.5.leaky", "net.9.lif",
    ]  # fmt: skip


@pytest.mark.parametrize("convert", [spikelet.from_spikingjelly, spikelet.from_snntorch])
def test_what_is_no_module_is_refused(convert: Any):
    with pytest.raises(ConversionError, match=r"net must be a torch\.nn\.Module, got int"):
        convert(3, time_steps=2)


def test_a_conversion_of_a_network_in_evaluation_is_on_the_grid_at_once() -> None:
    pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
    from spikingjelly.activation_based import layer, neuron

    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv, self.lif = layer.Conv2d(3, 8, 3, step_mode="m"), neuron.LIFNode(tau=3.0, step_mode="m")
            self.fc = layer.Linear(392, 10, step_mode="m")

        def forward(self, x: Tensor) -> Tensor:
            return self.fc((self.lif(8 * self.conv(x)) * 0.3).flatten(2)).mean(0)

    torch.manual_seed(0)
    x = images(8)
    model = spikelet.from_spikingjelly(Net().eval(), time_steps=T, round_leak=True)
    assert not any(module.training for module in model.modules())
    at_once = model(x)
    assert torch.equal(at_once, model.eval()(x))
    of_8_bits = quantized(model, Uniform(8), 32)
    graph = spikelet.lower(of_8_bits, x)
    assert spikelet.verify(graph, of_8_bits, [(x, torch.zeros(8, dtype=torch.long))]).mismatches == 0
