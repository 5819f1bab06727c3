"""Networks whose sums are out of range: `check` says so of the conversion itself, and what it says is a way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import OverflowRefused
from spikelet.interop.converted import Converted
from spikelet.neurons import LIF
from spikelet.nn import Conv2d, Linear, Requantize
from spikelet.quant import FullPrecision, Uniform

pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikingjelly.activation_based import functional, layer, neuron

CHANNELS, T = 64, 2


class Block(nn.Module):
    """Neurons before convolutions, and a convolution on the currents that go past them."""

    def __init__(self) -> None:
        super().__init__()
        self.fire = neuron.IFNode()
        self.conv, self.norm = layer.Conv2d(CHANNELS, CHANNELS, 3, 2, 1, bias=False), layer.BatchNorm2d(CHANNELS)
        self.past = nn.Sequential(layer.Conv2d(CHANNELS, CHANNELS, 1, 2, bias=False), layer.BatchNorm2d(CHANNELS))

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(self.fire(x))) + self.past(x)


def converted(frames: bool = False) -> tuple[Converted, Tensor]:
    """Three blocks between a first convolution and a classifier; norms of the statistics of currents as they come."""
    torch.manual_seed(0)
    net = nn.Sequential(
        layer.Conv2d(1, CHANNELS, 3, padding=1, bias=False), layer.BatchNorm2d(CHANNELS), Block(), Block(), Block(),
        neuron.IFNode(), layer.Flatten(), layer.Linear(CHANNELS, 4),
    )  # fmt: skip
    functional.set_step_mode(net, "m")
    for module in net.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = None
    with torch.no_grad():
        net(torch.rand(T, 16, 1, 8, 8))
    functional.reset_net(net)
    options = {"time_axis": 0, "scale": 1 / 255} if frames else {}
    model = spikelet.from_spikingjelly(net.eval(), time_steps=T, **options)  # type: ignore[arg-type]
    lead = (T, 3) if frames else (3,)
    x = torch.randint(0, 256, (*lead, 1, 8, 8), dtype=torch.uint8)
    model(x)
    return model, x


def in_integers(model: nn.Module, x: Tensor, bits: int = 8) -> int:
    """Neurons that fire, of a graph without mismatches."""
    for module in model.modules():
        if isinstance(module, Conv2d | Linear) and isinstance(module.quantizer, FullPrecision):
            module.quantizer = Uniform(bits)
    graph = spikelet.lower(model, x)
    result = spikelet.verify(graph, model, [(x, torch.zeros(3, dtype=torch.long))], spikelet.Program)
    assert result.mismatches == 0
    return sum(int(spikes.sum()) for spikes in spikelet.Program(graph).spikes(x.numpy()).values())


def test_a_shortcut_of_currents_is_found_before_anything_is_quantized() -> None:
    model, x = converted()
    found = spikelet.check(model, x)
    modules = [refusal.module for refusal in found.refusals]
    assert "net.4.past.0" in modules
    assert all(module.endswith("past.0") for module in modules)
    assert all("spikelet.nn.Requantize(8) before it" in refusal.way_out for refusal in found.refusals)
    assert all(isinstance(m.quantizer, FullPrecision) for m in model.modules() if isinstance(m, Conv2d | Linear))
    with pytest.raises(OverflowRefused, match=r"^net\.\d\.past\.0: "):
        in_integers(model, x)


def _before_each(part: Callable[[], nn.Module], model: Converted) -> None:
    for i in (2, 3, 4):
        model.net[i].past.insert(0, part())  # type: ignore[index, union-attr]


def test_each_way_out_of_it_is_one() -> None:
    model, x = converted()
    _before_each(lambda: Requantize(8), model)
    assert spikelet.check(model, x)
    assert in_integers(model, x) > 0
    model, x = converted()
    _before_each(lambda: LIF(T), model)
    assert spikelet.check(model, x)
    assert in_integers(model, x) > 0
    model, x = converted()
    model.double()
    assert spikelet.check(model, x, weight_bits=2)
    assert in_integers(model, x, bits=2) > 0


def test_a_converted_network_says_its_own_time_axis() -> None:
    model, x = converted(frames=True)
    assert {r.module for r in spikelet.check(model, x).refusals} <= {f"net.{i}.past.0" for i in (2, 3, 4)}
