"""Hooks that torch calls for all modules: a conversion swaps modules, and refuses such hooks by name."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import nn

import spikelet
from spikelet.base.errors import ConversionError

pytest.importorskip("snntorch", reason="needs snnTorch")
import snntorch as snn

T = 4


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(8, 8), snn.Leaky(0.5, init_hidden=True, threshold=0.25), nn.Linear(8, 3)).eval()


OF_ALL_MODULES = {
    "register_module_forward_hook": "a forward hook",
    "register_module_forward_pre_hook": "a forward pre-hook",
    "register_module_full_backward_hook": "a backward hook",
    "register_module_full_backward_pre_hook": "a backward pre-hook",
}


def doubles(module: nn.Module, inputs: Any, *outputs: Any) -> Any:
    """A hook that changes what every linear layer gives."""
    return 2 * outputs[0] if isinstance(module, nn.Linear) and outputs else None


@pytest.mark.parametrize("how", OF_ALL_MODULES)
def test_hooks_of_all_modules_are_refused_by_every_conversion(how: str) -> None:
    net = network()
    analog = nn.Sequential(nn.Linear(8, 8), spikelet.neurons.QCFS(4), nn.Linear(8, 3)).eval()
    x = torch.randint(0, 2, (2, 8), dtype=torch.uint8)
    before = spikelet.from_snntorch(net, time_steps=T, scale=1.0)
    words = rf"{OF_ALL_MODULES[how]} of all modules, doubles \(torch\.nn\.modules\.module\.{how}\).* Remove it, handle"
    handle = getattr(nn.modules.module, how)(doubles)
    try:
        with pytest.raises(ConversionError, match=words):
            spikelet.from_snntorch(net, time_steps=T, scale=1.0)
        with pytest.raises(ConversionError, match=words):
            before(x)  # its first pass
        with pytest.raises(ConversionError, match=words):
            spikelet.convert(analog, x, time_steps=T)
    finally:
        handle.remove()
    assert torch.equal(before.eval()(x), spikelet.from_snntorch(net, time_steps=T, scale=1.0).eval()(x))


def test_a_hook_of_all_modules_may_be_registered_again() -> None:
    model = spikelet.from_snntorch(network(), time_steps=T, scale=1.0).eval()
    x, seen = torch.randint(0, 2, (2, 8), dtype=torch.uint8), []
    without = model(x)
    handle = nn.modules.module.register_module_forward_hook(lambda module, i, o: seen.append(type(module)))
    try:
        assert torch.equal(model(x), without)
    finally:
        handle.remove()
    assert seen
