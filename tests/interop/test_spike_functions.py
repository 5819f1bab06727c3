"""A neuron's own spike function, whose forward pass gives the spikes beside the surrogate gradient."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError

snn = pytest.importorskip("snntorch", reason="needs snnTorch")
neuron = pytest.importorskip("spikingjelly.activation_based.neuron", reason="needs SpikingJelly")
surrogate = pytest.importorskip("spikingjelly.activation_based.surrogate", reason="needs SpikingJelly")

T = 3


class Shifted(surrogate.Sigmoid):  # type: ignore[name-defined, misc]
    """Fires above 0.1."""

    def forward(self, x: Tensor) -> Tensor:
        return (x > 0.1).float()


def of_snntorch(function: Callable[[Tensor], Tensor]) -> Any:
    net = nn.Sequential(nn.Linear(8, 4), snn.Leaky(beta=0.5, threshold=0.25, spike_grad=function, init_hidden=True))
    return spikelet.from_snntorch(net.eval(), time_steps=T, scale=1.0)


def of_spikingjelly(function: nn.Module) -> Any:
    net = nn.Sequential(nn.Linear(8, 4), neuron.LIFNode(tau=2.0, v_threshold=0.25, surrogate_function=function))
    return spikelet.from_spikingjelly(net.eval(), time_steps=T, scale=1.0)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: (x > 0.1).float(), r"0 of 0\.000\d+"),
        (torch.relu, r"0\.\d+ of 0\.\d+"),
        (torch.sign, r"-1 of -0\.\d+"),
    ],
    ids=["shifted", "graded", "negative spikes"],
)
def test_one_that_is_no_step_at_zero_is_refused(function: Callable[[Tensor], Tensor], words: str) -> None:
    with pytest.raises(ConversionError, match=rf"^1: its spike function is no step at zero, it gives {words}"):
        of_snntorch(function)


def test_so_is_one_of_spikingjelly() -> None:
    with pytest.raises(ConversionError, match=r"^1: its spike function is no step at zero"):
        of_spikingjelly(Shifted())


@pytest.mark.parametrize(("function", "fires"), [(lambda x: (x >= 0).float(), 1.0), (lambda x: (x > 0).float(), 0.0)])
def test_it_says_whether_a_tie_fires(function: Callable[[Tensor], Tensor], fires: float) -> None:
    model = of_snntorch(function)
    linear = model.net[0]
    with torch.no_grad():
        linear.weight.zero_()
        linear.bias.fill_(0.25)
    assert model(torch.zeros((1, 8), dtype=torch.uint8))[0].unique().tolist() == [fires]
