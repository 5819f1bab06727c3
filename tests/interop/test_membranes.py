"""The membranes that a converted snnTorch neuron hands back are theirs, and those that it is given must be zero."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.interop import ConversionError

pytest.importorskip("snntorch", reason="needs snnTorch")
import snntorch as snn

T = 4


class Net(nn.Module):
    """A convolution and its neurons; its forward is given at conversion."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.lif1 = nn.Conv2d(1, 6, 3), snn.Leaky(beta=0.5, threshold=0.25)


def image(batch: int = 4) -> Tensor:
    return torch.randint(0, 256, (batch, 1, 8, 8), dtype=torch.uint8)


def test_a_membrane_is_what_theirs_is() -> None:
    net, x = Net(), image(8)
    model = spikelet.from_snntorch(net, time_steps=T, forward=lambda net, x: net.lif1(net.conv(x))[1])
    mem, expected = net.lif1.reset_mem(), []
    for _ in range(T):
        _, mem = net.lif1(net.conv(x.float() / 255), mem)
        expected.append(mem)
    assert model(x).shape == (T, 8, 6, 6, 6)
    assert ((model(x) - torch.stack(expected)).abs() < 0.01).float().mean() > 0.99  # a charge may cross the threshold


def test_a_membrane_that_is_given_must_be_zero() -> None:
    model = spikelet.from_snntorch(Net(), time_steps=T, forward=lambda net, x: net.lif1(net.conv(x), torch.ones(1)))
    with pytest.raises(ConversionError, match="starts from a membrane of zero"):
        model(image())
    model = spikelet.from_snntorch(Net(), time_steps=T, forward=lambda net, x: net.lif1(net.conv(x), torch.zeros(1)))
    assert model(image()).shape == (T, 4, 6, 6, 6)
