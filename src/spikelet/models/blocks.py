"""The sequences that Q-SNN's networks are made of.

convolution -> batch norm -> LIF               a layer
the same twice, plus a shortcut before the     a residual block (add, then fire)
second LIF
r + (LIF -> convolution -> batch norm)(r)      a membrane shortcut (fire, then add)

A map is halved by a convolution of stride 2, by averages of 2 x 2 before one of stride 1, or by the largest of 2 x 2
behind it.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole, whole
from spikelet.neurons import LIF, LIFParams, Triangle, membrane_of
from spikelet.nn import BatchNorm2d, Conv2d, MaxPool2d, SumPool2d
from spikelet.quant import FullPrecision, Quantizer, Uniform, quantizer_of


@dataclasses.dataclass(frozen=True)
class Precision:
    """How a network spends its bits; the first and the last layer keep 8 bits, or 32.

    time_steps: T.
    weight_bits: of the hidden weights, 1 to 8, or 32 for full precision.
    membrane_bits: 2 to 8, or 32 for full precision.
    quantize: from bits to the quantizer of hidden weights.

    Raises:
        SpikeletError: one of the numbers is no whole one.
    """

    time_steps: int
    weight_bits: int
    membrane_bits: int
    quantize: Callable[[int], Quantizer] = quantizer_of

    def __post_init__(self) -> None:
        object.__setattr__(self, "time_steps", whole(self.time_steps, "time_steps", 1, 1024, SpikeletError))
        for name in ("weight_bits", "membrane_bits"):
            bits = getattr(self, name)
            if not is_whole(bits):
                raise SpikeletError(f"{name} must be a whole number of bits, got {shown(bits)}.")
            object.__setattr__(self, name, int(bits))

    def hidden(self) -> Quantizer:
        """The quantizer of every layer but the first and the last."""
        return self.quantize(self.weight_bits)

    def first(self) -> Quantizer:
        """The quantizer of the layer that reads pixels."""
        return FullPrecision() if self.weight_bits == 32 else Uniform(8)

    def last(self) -> Quantizer:
        """The quantizer of the classifier: one scale for all classes, so that integer logits compare."""
        return FullPrecision() if self.weight_bits == 32 else Uniform(8, per_channel=False)

    def neuron(self) -> LIF:
        """Q-SNN's LIF: leak 1/2, threshold 1, hard reset, triangular surrogate, k-bit membrane."""
        return LIF(self.time_steps, LIFParams(surrogate=Triangle(1.0)), membrane_of(self.membrane_bits))


def halved(size: int, times: int) -> int:
    """Side of a map after so many convolutions of stride 2: odd sides round up."""
    for _ in range(times):
        size = (size + 1) // 2
    return size


class Shortcut(nn.Module):
    """r -> r + body(r): the membrane current passes by, the body sees it through its spikes."""

    def __init__(self, body: nn.Module) -> None:
        super().__init__()
        self.body = body

    def forward(self, r: Tensor) -> Tensor:
        """Currents [T or 1, B, C, H, W] -> currents [T, B, C, H, W]."""
        return r + self.body(r)


def averages(size: int) -> list[SumPool2d]:
    """The modules that average size x size windows: one, or an empty list where size is 1."""
    return [SumPool2d(size)] if size > 1 else []


def fire_conv(c_in: int, c_out: int, precision: Precision, stride: int = 1, pool: int = 1) -> nn.Sequential:
    """LIF, 3x3 convolution, batch norm, from currents to currents; the convolution reads averages of pool x pool."""
    conv = Conv2d(c_in, c_out, 3, precision.hidden(), stride=stride, padding=1)
    return nn.Sequential(precision.neuron(), *averages(pool), conv, BatchNorm2d(c_out))


def fire_conv_max(c_in: int, c_out: int, precision: Precision) -> nn.Sequential:
    """LIF, 3x3 convolution, 2 x 2 max pooling, batch norm, from currents to currents of half the side."""
    conv = Conv2d(c_in, c_out, 3, precision.hidden(), padding=1)
    return nn.Sequential(precision.neuron(), conv, MaxPool2d(2), BatchNorm2d(c_out))


def spiking_conv(c_in: int, c_out: int, precision: Precision, quantizer: Quantizer, stride: int = 1) -> nn.Sequential:
    """3x3 convolution, batch norm, LIF."""
    return nn.Sequential(
        Conv2d(c_in, c_out, 3, quantizer, stride=stride, padding=1), BatchNorm2d(c_out), precision.neuron()
    )


class ResidualBlock(nn.Module):
    """s -> LIF(BN(conv(LIF(BN(conv s)))) + shortcut(s)); the shortcut is s, or BN of a strided 1x1 convolution."""

    def __init__(self, c_in: int, c_out: int, stride: int, precision: Precision) -> None:
        super().__init__()
        self.first = spiking_conv(c_in, c_out, precision, precision.hidden(), stride)
        self.conv = Conv2d(c_out, c_out, 3, precision.hidden(), padding=1)
        self.norm = BatchNorm2d(c_out)
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            self.shortcut = nn.Sequential(Conv2d(c_in, c_out, 1, precision.hidden(), stride=stride), BatchNorm2d(c_out))
        self.neuron = precision.neuron()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] -> spikes [T, B, C', H', W']."""
        return self.neuron(self.norm(self.conv(self.first(s))) + self.shortcut(s))
