"""QP-SNN's networks (Wei et al., "QP-SNN: Quantized and Pruned Spiking Neural Networks", ICLR 2025, arXiv:2502.05905).

Hidden weights of 1 to 8 bits on the odd grid (quant/rescaled.py), neurons of leak 1/2 and hard reset with membranes of
full precision, which the paper leaves as they are. All take uint8 images [B, C, H, W] or frames [T, B, C, H, W] and
return logits [T, B, K]; the prediction is their mean over time.

    qpsnn_vgg16      64-64-M-128-128-M-256x3-M-512x3-M-512x3-AP-FC       CIFAR at T = 4; TinyImageNet, image_size=64
    qpsnn_resnet20   stem 64; three basic blocks each of 128, 256, 512   CIFAR at T = 2
    qpsnn_vggsnn     64-128-M-256-256-M-512-512-M-512-512-AP-FC          DVS-CIFAR10: 10 frames of 48 x 48
    qpsnn_resnet18   SEW-ResNet18, spikes added to spikes                ImageNet at T = 4
    qpsnn_vgg_s      ours, for training on a CPU: two convolutions a width, pooling between widths

`pruning` builds the network that is left: a published setting by its letter, or a ratio for each layer in the order of
models/qpsnn_pruning.py. `rescaling` is gamma: "mean" (the paper's), "max", "percentile", "wide" (the supplement's), or
"none" for its plain baseline; with "-masked" behind it the gradient is that of the paper's equations, not of its code.

    qpsnn_vgg16(weight_bits=4, pruning="B")        0.74 MB by the paper's formula

Differences from the authors' code: the first convolution and the classifier, 32 bits in the paper's tables, have 8 bits
so that the network becomes integers (weight_bits=32 gives float weights throughout); pixels enter as u/256 without
mean subtraction; average pooling divides by a power of two; ties fire; power-of-two scales (quant/rescaled.py).
SEW-ResNet18 and the classifiers read sums and averages of spikes, which are small integers.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from functools import partial

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole
from spikelet.models.blocks import Precision, halved, spiking_conv
from spikelet.models.builder import Task, builder
from spikelet.models.qpsnn_pruning import Pruning, resnet20_widths, vgg16_widths, vgg_s_widths, vggsnn_widths
from spikelet.models.qsnn import SpikingClassifier
from spikelet.nn import BatchNorm2d, ChannelMap, Conv2d, Linear, MaxPool2d, SumPool2d
from spikelet.quant import (
    AmplifiedGradient,
    FullPrecision,
    Gamma,
    MaskedGradient,
    MaxAbs,
    MeanAbs,
    Percentile,
    Quantizer,
    ReScaW,
    Unit,
    WideMeanAbs,
)

GAMMAS: dict[str, Gamma] = {
    "mean": MeanAbs(),
    "max": MaxAbs(),
    "percentile": Percentile(),
    "wide": WideMeanAbs(),
    "none": Unit(),
}


def rescaled(bits: int, rescaling: str = "mean") -> Quantizer:
    """The quantizer of `weight_bits=` and `rescaling=`: ReScaW, or FullPrecision for 32 bits.

    Raises:
        SpikeletError: no such rescaling, or bits not 1 to 8 or 32.
    """
    gamma, dash, gradient = rescaling.partition("-") if isinstance(rescaling, str) else ("", "", "")
    if gamma not in GAMMAS or (dash and gradient != "masked"):
        raise SpikeletError(
            f"rescaling must be one of {', '.join(GAMMAS)}, or one with -masked, got {shown(rescaling)}."
        )
    if bits == 32:
        return FullPrecision()
    if not is_whole(bits) or bits not in range(1, 9):
        raise SpikeletError(f"weight_bits must be 1 to 8, or 32 for full precision, got {bits}.")
    return ReScaW(bits, GAMMAS[gamma], MaskedGradient() if dash else AmplifiedGradient())


def _rescaled(p: Precision, rescaling: str) -> Precision:
    return dataclasses.replace(p, quantize=partial(rescaled, rescaling=rescaling))


def _initialised(model: SpikingClassifier) -> SpikingClassifier:
    """Convolutions normal with deviation sqrt(2 / (kernel^2 outputs)), the classifier 0.01, biases 0."""
    for module in model.modules():
        if isinstance(module, Conv2d):
            nn.init.normal_(module.weight, 0, math.sqrt(2 / (math.prod(module.kernel_size) * module.out_channels)))
        elif isinstance(module, Linear):
            nn.init.normal_(module.weight, 0, 0.01)
        if isinstance(module, Conv2d | Linear) and module.bias is not None:
            nn.init.zeros_(module.bias)
    return model


def _vgg(widths: Sequence[int], pools_after: Sequence[int], task: Task, p: Precision) -> SpikingClassifier:
    """3x3 convolutions, the first with a bias; OR pooling of spikes after some; 2x2 average and classifier."""
    layers: list[nn.Module] = []
    side = task.image_size
    smallest = 2 ** (len(pools_after) + 1)
    if side < smallest:
        raise SpikeletError(f"image_size must be at least {smallest}, one pixel after pooling, got {side}.")
    for i, (inputs, outputs) in enumerate(zip((task.in_channels, *widths), widths, strict=False)):
        conv = Conv2d(inputs, outputs, 3, p.hidden() if i else p.first(), bias=not i, padding=1)
        layers.append(nn.Sequential(conv, BatchNorm2d(outputs), p.neuron()))
        if i in pools_after:
            layers.append(MaxPool2d(2))
            side //= 2
    features = widths[-1] * (side // 2) ** 2
    head = Linear(features, task.num_classes, p.last(), bias=True)
    return _initialised(SpikingClassifier(nn.Sequential(*layers), SumPool2d(2), head))


@builder(Task(), Precision(4, 4, 32))
def qpsnn_vgg16(
    task: Task,
    p: Precision,
    pruning: Pruning = None,
    rescaling: str = "mean",
) -> SpikingClassifier:
    """VGG-16 with one classifier; pruning "A" or "B" by the number of classes: 10, 100 or 200 (TinyImageNet)."""
    p = _rescaled(p, rescaling)
    return _vgg(vgg16_widths(pruning, task.num_classes), (1, 3, 6, 9), task, p)


@builder(Task(in_channels=2, image_size=48), Precision(10, 4, 32))
def qpsnn_vggsnn(
    task: Task,
    p: Precision,
    pruning: Pruning = None,
    rescaling: str = "mean",
) -> SpikingClassifier:
    """VGGSNN for event frames; pruning "A", "B" or "C"."""
    p = _rescaled(p, rescaling)
    return _vgg(vggsnn_widths(pruning), (1, 3, 5), task, p)


@builder(Task(), Precision(2, 4, 32))
def qpsnn_vgg_s(
    task: Task,
    p: Precision,
    widths: Sequence[int] = (32, 64, 96),
    pruning: Pruning = None,
    rescaling: str = "mean",
) -> SpikingClassifier:
    """A small VGG for a CPU, any size of image; `pruning` is a ratio for each convolution."""
    p = _rescaled(p, rescaling)
    return _vgg(vgg_s_widths(widths, pruning), range(1, 2 * len(widths) - 1, 2), task, p)


class BasicBlock(nn.Module):
    """s -> LIF(BN(conv(LIF(BN(conv s)))) + shortcut(s)); a shortcut that changes shape takes every stride-th pixel and
    pads the channels with zeros (nn/channel_map.py)."""

    def __init__(self, c_in: int, hidden: int, c_out: int, stride: int, precision: Precision) -> None:
        super().__init__()
        self.first = spiking_conv(c_in, hidden, precision, precision.hidden(), stride)
        self.conv = Conv2d(hidden, c_out, 3, precision.hidden(), padding=1)
        self.norm = BatchNorm2d(c_out)
        same = stride == 1 and c_in == c_out
        self.shortcut: nn.Module = nn.Identity() if same else ChannelMap.padded(c_in, c_out, stride)
        self.neuron = precision.neuron()

    def forward(self, s: Tensor) -> Tensor:
        """Spikes [T, B, C, H, W] -> spikes [T, B, C', H', W']."""
        return self.neuron(self.norm(self.conv(self.first(s))) + self.shortcut(s))


@builder(Task(), Precision(2, 4, 32))
def qpsnn_resnet20(
    task: Task,
    p: Precision,
    pruning: Pruning = None,
    rescaling: str = "mean",
) -> SpikingClassifier:
    """ResNet-20, wide, with shortcuts without parameters; pruning "A" or "B"."""
    p = _rescaled(p, rescaling)
    stem, outputs, hidden = resnet20_widths(pruning)
    layers: list[nn.Module] = [spiking_conv(task.in_channels, stem, p, p.first())]
    c_in, side = stem, task.image_size
    for block, width in enumerate(hidden):
        stage, stride = block // 3, 2 if block in (3, 6) else 1
        layers.append(BasicBlock(c_in, width, outputs[stage], stride, p))
        c_in, side = outputs[stage], (side + stride - 1) // stride
    classifier = Linear(c_in, task.num_classes, p.last(), bias=True)
    return _initialised(SpikingClassifier(nn.Sequential(*layers), SumPool2d(side), classifier))


class SewBlock(nn.Module):
    """s -> LIF(BN(conv(LIF(BN(conv s))))) + shortcut(s): fires, then adds. The shortcut is s, or LIF(BN(1x1 conv))."""

    def __init__(self, c_in: int, c_out: int, stride: int, precision: Precision) -> None:
        super().__init__()
        self.first = spiking_conv(c_in, c_out, precision, precision.hidden(), stride)
        self.second = spiking_conv(c_out, c_out, precision, precision.hidden())
        self.shortcut: nn.Module = nn.Identity()
        if stride != 1 or c_in != c_out:
            conv = Conv2d(c_in, c_out, 1, precision.hidden(), stride=stride)
            self.shortcut = nn.Sequential(conv, BatchNorm2d(c_out), precision.neuron())

    def forward(self, s: Tensor) -> Tensor:
        """Sums of spikes [T, B, C, H, W] -> sums of spikes [T, B, C', H', W']."""
        return self.second(self.first(s)) + self.shortcut(s)


@builder(Task(num_classes=1000, image_size=224), Precision(4, 8, 32))
def qpsnn_resnet18(
    task: Task,
    p: Precision,
    width: int = 64,
    rescaling: str = "mean",
) -> SpikingClassifier:
    """SEW-ResNet18 as published for ImageNet, without pruning ratios; stages of 1, 2, 4, 8 times `width`."""
    p = _rescaled(p, rescaling)
    stem = Conv2d(task.in_channels, width, 7, p.first(), stride=2, padding=3)
    layers: list[nn.Module] = [nn.Sequential(stem, BatchNorm2d(width), p.neuron()), MaxPool2d(3, 2, 1)]
    c_in, side = width, halved(task.image_size, 2)
    for block in range(8):
        c_out, stride = width << block // 2, 2 if block in (2, 4, 6) else 1
        layers.append(SewBlock(c_in, c_out, stride, p))
        c_in = c_out
    classifier = Linear(c_in, task.num_classes, p.last(), bias=True)
    return _initialised(SpikingClassifier(nn.Sequential(*layers), SumPool2d(halved(side, 3)), classifier))
