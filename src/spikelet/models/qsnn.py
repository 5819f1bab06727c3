"""Q-SNN's networks (Wei et al., "Q-SNNs: Quantized Spiking Neural Networks", ACM MM 2024, arXiv:2406.13672).

Hidden weights 1 bit, membranes 2, 4 or 8 bits, first and last layer 8 bits; weight_bits=32 and
membrane_bits=32 give the full-precision baseline. All take uint8 images [B, C, H, W] or frames
[T, B, C, H, W] and return logits [T, B, K]; the prediction is their mean over time.

    qsnn_resnet19   12.56 M parameters at 10 classes: stem 128, [3, 3, 2] blocks of 128, 256, 512
    qsnn_vggsnn     64-128-AP-256-256-AP-512-512-AP-512-512-AP-FC on event frames (48 x 48, 2 polarities)
    qsnn_vgg_s      ours, for microcontrollers and for training on a CPU
    qsnn_vgg_s_avg  the same, maps halved by averages instead of strides
    qsnn_vgg_s_max  spikes at full resolution too, maps halved by the largest current: three times the work

Differences from the authors' code: static membrane steps and power-of-two 8-bit scales (see
neurons/membrane.py, quant/uniform.py); pixels enter as u/256 without mean subtraction, so that they are
integers; the VGGSNN's hidden convolutions are quantized (in the released code they stay 32 bits);
average pooling divides by a power of two.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.models.blocks import (
    Precision,
    ResidualBlock,
    Shortcut,
    averages,
    fire_conv,
    fire_conv_max,
    halved,
    spiking_conv,
)
from spikelet.models.builder import Task, builder
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, SumPool2d

IMAGES, EVENTS = Task(), Task(in_channels=2, image_size=48)


class SpikingClassifier(nn.Module):
    """Encode, features, pooling, one linear classifier.

    Shapes: uint8 [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].
    """

    def __init__(self, features: nn.Sequential, pool: nn.Module, classifier: Linear) -> None:
        super().__init__()
        self.encode = Encode()
        self.features = features
        self.pool = pool
        self.classifier = classifier

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every time step."""
        return self.classifier(self.pool(self.features(self.encode(x))).flatten(2))


@builder(IMAGES, Precision(2, 1, 2))
def qsnn_resnet19(task: Task, p: Precision, width: int = 128) -> SpikingClassifier:
    """ResNet-19 as published for CIFAR: three stages of widths 1, 2, 4 times `width`."""
    layers: list[nn.Module] = [spiking_conv(task.in_channels, width, p, p.first())]
    c_in = width
    for stage, blocks in enumerate((3, 3, 2)):
        for block in range(blocks):
            c_out, stride = width << stage, 2 if stage and not block else 1
            layers.append(ResidualBlock(c_in, c_out, stride, p))
            c_in = c_out
    classifier = Linear(c_in, task.num_classes, p.last())
    return SpikingClassifier(nn.Sequential(*layers), SumPool2d(halved(task.image_size, 2)), classifier)


@builder(EVENTS, Precision(10, 1, 2))
def qsnn_vggsnn(
    task: Task,
    p: Precision,
    widths: Sequence[int] = (64, 128, 256, 256, 512, 512, 512, 512),
) -> SpikingClassifier:
    """VGGSNN as published for event data: eight convolutions, pooling after the 2nd, 4th, 6th and 8th."""
    layers: list[nn.Module] = []
    c_in, size = task.in_channels, task.image_size
    for i, c_out in enumerate(widths):
        layers.append(spiking_conv(c_in, c_out, p, p.hidden() if i else p.first()))
        c_in = c_out
        if i % 2:
            layers.append(SumPool2d(2))
            size //= 2
    if size < 1:
        raise SpikeletError(
            f"image_size must be at least {2 ** (len(widths) // 2)}, one pixel after pooling, got {task.image_size}."
        )
    return SpikingClassifier(nn.Sequential(*layers), nn.Identity(), Linear(c_in * size**2, task.num_classes, p.last()))


@builder(IMAGES, Precision(2, 1, 2))
def qsnn_vgg_s(
    task: Task,
    p: Precision,
    widths: Sequence[int] = (64, 128, 256),
    pool_size: int | None = None,
    blocks: Sequence[int] | None = None,
) -> SpikingClassifier:
    """A small VGG: each width is a 3x3 convolution of stride 2 and one of stride 1 with a membrane shortcut.

    The shortcut costs no multiplication and no weight, and lets a 1-bit network learn in few epochs. Default widths:
    1.15 M parameters, 38 M multiply-accumulates a step at 32 x 32.

    pool_size: side of the windows that are averaged before the classifier. None averages the whole map. 1 averages
        nothing: the classifier sees where a spike fell, and has that many times the 8-bit weights.
    blocks: how many convolutions of stride 1 with a shortcut each width has. None is one each.
    """
    deep = (1,) * len(widths) if blocks is None else tuple(blocks)
    if len(deep) != len(widths):
        raise SpikeletError(f"blocks must hold a number for each of the {len(widths)} widths, got {list(deep)}.")
    features = _vgg_s_features((task.in_channels, *widths), p, deep, stride=2)
    return _vgg_s(features, widths[-1], halved(task.image_size, len(widths)), pool_size, task.num_classes, p)


@builder(IMAGES, Precision(2, 1, 2))
def qsnn_vgg_s_avg(
    task: Task,
    p: Precision,
    widths: Sequence[int] = (64, 128, 256),
    pool_size: int | None = None,
) -> SpikingClassifier:
    """qsnn_vgg_s with 2 x 2 average pooling instead of stride 2; the same options.

    The first layer's currents are averaged, and the spikes that a later convolution reads. Odd last rows and columns
    are dropped; for even sizes the number of weights equals qsnn_vgg_s. The first layer costs four times the
    multiply-accumulates, and convolutions that read averages multiply instead of adding spikes.
    """
    side = _side_left(task.image_size, len(widths), widths)
    features = _vgg_s_features((task.in_channels, *widths), p, (1,) * len(widths), pool=2)
    return _vgg_s(features, widths[-1], side, pool_size, task.num_classes, p)


@builder(IMAGES, Precision(2, 1, 2))
def qsnn_vgg_s_max(
    task: Task,
    p: Precision,
    widths: Sequence[int] = (32, 64, 192, 256),
    pool_size: int | None = None,
) -> SpikingClassifier:
    """The small net with spikes at full resolution: two 3x3 convolutions a width; the options of qsnn_vgg_s.

    The first convolution's currents pass 2 x 2 max pooling; the second has a membrane shortcut. Default widths: 1.53 M
    hidden weights, 116 M multiply-accumulates a step at 32 x 32. All convolutions but the first add spikes. Odd last
    rows and columns are dropped.
    """
    side = _side_left(task.image_size, len(widths) - 1, widths)
    stem = Conv2d(task.in_channels, widths[0], 3, p.first(), padding=1)
    layers: list[nn.Module] = [nn.Sequential(stem, BatchNorm2d(widths[0]))]
    for before, width in itertools.pairwise(widths):
        layers += [fire_conv_max(before, width, p), Shortcut(fire_conv(width, width, p))]
    return _vgg_s(nn.Sequential(*layers, p.neuron()), widths[-1], side, pool_size, task.num_classes, p)


def _side_left(image_size: int, halvings: int, widths: Sequence[int]) -> int:
    """Side of the last map where each halving drops an odd last row."""
    if image_size >> halvings < 1:
        raise SpikeletError(f"image_size must be at least {1 << halvings} for {len(widths)} widths, got {image_size}.")
    return image_size >> halvings


def _vgg_s_features(
    channels: tuple[int, ...], p: Precision, blocks: Sequence[int], stride: int = 1, pool: int = 1
) -> nn.Sequential:
    """Pixels to spikes; every width halves the map, at a stride or by averages, and has so many blocks."""
    c_in, *widths = channels
    stem = Conv2d(c_in, widths[0], 3, p.first(), stride=stride, padding=1)
    layers: list[nn.Module] = [nn.Sequential(stem, BatchNorm2d(widths[0]), *averages(pool))]
    for before, width, deep in zip((0, *widths), widths, blocks, strict=False):
        if before:
            layers.append(fire_conv(before, width, p, stride, pool))
        layers += [Shortcut(fire_conv(width, width, p)) for _ in range(deep)]
    return nn.Sequential(*layers, p.neuron())


def _vgg_s(
    features: nn.Sequential, channels: int, side: int, pool_size: int | None, num_classes: int, p: Precision
) -> SpikingClassifier:
    """`features`, whose maps are [channels, side, side], then averages and a classifier."""
    window = side if pool_size is None else pool_size
    if not 1 <= window <= side:
        raise SpikeletError(
            f"pool_size must be 1 to {side}, the side of the last map, or None for it, got {pool_size}."
        )
    last = Linear(channels * (side // window) ** 2, num_classes, p.last())
    return SpikingClassifier(features, nn.Sequential(*averages(window)), last)
