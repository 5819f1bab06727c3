"""Parts of SpikingJelly without a counterpart are refused by name, with a way out."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.interop import ConversionError
from spikelet.interop.layers import AdaptiveMean
from spikelet.neurons.constants import LEAK_BITS

pytest.importorskip("spikingjelly", reason="needs SpikingJelly, installed with --no-deps")
from spikingjelly.activation_based import layer, neuron, surrogate

T = 4


def image(batch: int = 4) -> Tensor:
    return torch.randint(0, 256, (batch, 3, 8, 8), dtype=torch.uint8)


class OwnNode(neuron.LIFNode):
    """A user's neuron: what it changes can't be known."""

    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class OwnPool(nn.MaxPool2d):
    """A user's pool."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) ** 2


REFUSED: dict[str, tuple[Callable[[], nn.Module], str]] = {
    "another neuron": (
        lambda: neuron.EIFNode(),
        r"1: EIFNode has no counterpart here\. .* train with LIFNode.*neurons of spikingjelly: CUBALIFNode, IFN",
    ),
    "another layer": (lambda: layer.SynapseFilter(10.0), "1: SynapseFilter has no counterpart here"),
    "a recurrent container": (
        lambda: layer.ElementWiseRecurrentContainer(neuron.IFNode(), torch.add),
        "1: ElementWiseRecurrentContainer has no counterpart",
    ),
    "time last": (lambda: layer.TLastSeqToANNContainer(nn.Conv2d(4, 4, 1)), "1: TLastSeqToANNContainer has no counter"),
    "a half threshold": (lambda: neuron.HalfThresholdIFNode(), "1: HalfThresholdIFNode has no counterpart"),
    "a subclass of a neuron": (lambda: OwnNode(), "1: OwnNode is a LIFNode with code of its own, which would be lost"),
    "a subclass of a layer": (lambda: OwnPool(2), "1: OwnPool is a MaxPool2d with code of its own"),
    "a leak of thirds": (
        lambda: neuron.LIFNode(tau=3.0),
        rf"1: tau = 3 is a leak of 0.666667.*multiple of 2\^-{LEAK_BITS}. Pass round_leak=True to take the nearest",
    ),
    "a learned leak": (lambda: neuron.ParametricLIFNode(1.7), "1: the learned tau = 1.7 is a leak of 0.411765"),
    "a reset above the threshold": (lambda: neuron.IFNode(1.0, 2.0), "1: its neuron can't become a LIF: .*threshold"),
    "a surrogate instead of spikes": (
        lambda: neuron.IFNode(surrogate_function=surrogate.ATan(spiking=False)),
        r"1: its surrogate_function must be in spiking mode: set_spiking_mode\(True\)",
    ),
    "batch norm without statistics": (
        lambda: nn.BatchNorm2d(4, track_running_stats=False),
        "1: a batch norm without running statistics.*track_running_stats=True",
    ),
    "a torch layer": (
        lambda: nn.Tanh(),
        r"1: Tanh has no counterpart here\. Integers have neurons .*layers of spikingjelly and torch: Adaptive",
    ),
    "another convolution": (lambda: nn.Conv3d(4, 4, 1), "1: Conv3d has no counterpart"),
    "a transposed convolution with groups": (
        lambda: nn.ConvTranspose2d(4, 4, 2, groups=2),
        "1: transposed convolutions must be square, without groups",
    ),
    "an oblong transposed convolution": (
        lambda: nn.ConvTranspose2d(4, 4, (2, 3)),
        "1: transposed convolutions must be square",
    ),
    "a padded transposed convolution": (
        lambda: nn.ConvTranspose2d(4, 4, 2, padding=2),
        "1: ConvTranspose2d takes a stride from 1 on, a padding below kernel_size",
    ),
    "padding that reflects": (
        lambda: nn.Conv2d(4, 4, 3, padding=1, padding_mode="reflect"),
        "1: Conv2d supports zero padding",
    ),
    "an average over 3 x 3": (
        lambda: nn.AvgPool2d(3),
        "1: an average over 3 x 3 values has a divisor other",
    ),
    "averages rounded up": (lambda: nn.AvgPool2d(2, ceil_mode=True), "1: average pooling must be without ceil_mode"),
    "padding that is not counted": (
        lambda: nn.AvgPool2d(2, padding=1, count_include_pad=False),
        "1: average pooling must be .* count its padding as zeros",
    ),
    "a maximum with dilation": (lambda: nn.MaxPool2d(2, dilation=2), "1: max pooling must be without dilation"),
    "a maximum of oblongs in ceil mode": (
        lambda: nn.MaxPool2d((2, 1), ceil_mode=True),
        "1: max pooling must be without ceil_mode where it is oblong",
    ),
}


@pytest.mark.parametrize(("make", "said"), REFUSED.values(), ids=list(REFUSED))
def test_what_has_no_counterpart_is_refused_by_name(make: Callable[[], nn.Module], said: str) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), make())
    before = [(name, id(m)) for name, m in net.named_modules()]
    with pytest.raises(ConversionError, match=said):
        spikelet.from_spikingjelly(net, time_steps=T)
    assert [(name, id(m)) for name, m in net.named_modules()] == before


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16])
def test_a_network_of_another_precision_is_refused(dtype: torch.dtype) -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), neuron.IFNode()).to(dtype)
    with pytest.raises(ConversionError, match=rf"0.weight: conversion takes networks of float32, got {dtype}"):
        spikelet.from_spikingjelly(net, time_steps=T)


def test_two_step_modes_in_one_network_are_refused() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), neuron.IFNode(), neuron.IFNode(step_mode="m"))
    with pytest.raises(
        ConversionError, match=r"one step_mode, got {'1': 's', '2': 'm'}. Call functional.set_step_mode"
    ):
        spikelet.from_spikingjelly(net, time_steps=T)


def test_adaptive_pooling_that_is_not_exact_is_refused_when_the_maps_are_known() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), nn.AdaptiveAvgPool2d((3, 3)), neuron.IFNode())
    model = spikelet.from_spikingjelly(net, time_steps=T)
    with pytest.raises(ConversionError, match="of 8 x 8 maps to 3 x 3 takes windows of different sizes"):
        model(image())
    assert model(image()[:, :, :6, :6]).shape == (T, 4, 4, 3, 3)


@pytest.mark.parametrize(("side", "wanted"), [(8, 4), (2, 4), (4, 4), (1, 7), (8, (2, 4)), (6, 3), (7, 1)])
def test_adaptive_pooling_with_windows_of_one_size_is_theirs(side: int, wanted: int | tuple[int, int]) -> None:
    layer, x = nn.AdaptiveAvgPool2d(wanted), torch.randint(0, 2, (T, 2, 3, side, side)).float()
    made = AdaptiveMean(tuple(wanted) if isinstance(wanted, tuple) else (wanted, wanted))(x)
    assert torch.allclose(made, layer(x.flatten(0, 1)).unflatten(0, (T, 2)))


def test_a_leak_is_rounded_when_asked_and_says_so() -> None:
    net = nn.Sequential(nn.Conv2d(3, 4, 1), neuron.LIFNode(tau=3.0))
    model = spikelet.from_spikingjelly(net, time_steps=T, round_leak=True)
    params = model.net[1].params  # type: ignore[index]
    leak = round(2 / 3 * 2**LEAK_BITS) / 2**LEAK_BITS
    assert (params.leak, params.input_gain) == (leak, 1 - leak)
