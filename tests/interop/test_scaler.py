"""A layer's own number goes into the weights that read it, so that ann2snn's networks lower at 8 bits too."""

from __future__ import annotations

import pytest
import torch

import spikelet
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Uniform

pytest.importorskip("snntorch", reason="needs snnTorch")
pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikelet.interop.scaler import Scaler
from tests.interop.networks.loops import from_an_ordinary_one

T = 4


def test_numbers_behind_neurons_are_in_weights_and_eight_bits_lower() -> None:
    model = spikelet.from_spikingjelly(from_an_ordinary_one(1), time_steps=T).eval()
    before = model.net.get_submodule("4").weight.detach().clone()
    x = torch.randint(0, 256, (2, 3, 8, 8), dtype=torch.uint8)
    model(x)
    scalers = {name: m for name, m in model.net.named_modules() if isinstance(m, Scaler)}
    assert {name for name, m in scalers.items() if m.in_weights} == {"spiking_0.scaler1", "spiking_1.scaler1"}
    held = before * scalers["spiking_0.scaler1"].gain
    assert torch.allclose(model.net.get_submodule("4").weight, held)
    for module in model.modules():
        if isinstance(module, Conv2d | Linear):
            module.quantizer = Uniform(8)
    graph = spikelet.lower(model, x)
    assert spikelet.verify(graph, model, [(x, torch.tensor([0, 1]))]).mismatches == 0
