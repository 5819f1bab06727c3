"""QSD-Transformer: low-bit spike-driven transformers (Qiu et al., ICLR 2025, arXiv:2501.13492).

Weights of 4 bits with learned steps (quant/learned_step.py); neurons that give a count 0..D in one step (IE-LIF),
D = 4, which is the count of D binary steps (LIFParams.rounding); attention linear in tokens.

    qsd_transformer_t   E = 48,  96, 192, 256     8.34 M parameters at 1,000 classes
    qsd_transformer_s       64, 128, 256, 360    15.12 M      published as "1.8 MB" (32-bit equivalents), 77.5 %
    qsd_transformer_m       96, 192, 384, 480    31.34 M
    qsd_transformer_l      128, 256, 512, 640    55.36 M      80.3 %
    qsd_transformer_cifar   ours, for 32 x 32 images, small enough to be trained on a CPU

    E0/2: conv 7 x 7 / 2, ConvBlock; E0: / 2, ConvBlock; E1: / 2, two ConvBlocks; E2: / 2, six TransformerBlocks;
    E3: two TransformerBlocks; mean over the map, neuron, classifier

    ConvBlock          x += SepConv(x)     SN, 1 x 1 to 2C, BN, SN, depthwise 7 x 7, 1 x 1 to C, BN
                       x += [SN, 3 x 3 to 4C, BN, SN, 3 x 3 to C, BN](x)
    TransformerBlock   x += l1 * SDSA(x);  x += l2 * [SN, 1 x 1 to 4C, BN, SN, 1 x 1 to C, BN](x)
    SDSA               q, k, v = SN(BN(RepConv(SN x)));  BN(RepConv(SN(1/4 q k^T v)))

SN rounds a current to 0, 1/D .. 1, halves up. (Theirs behind the attention doubles its output: a factor that the batch
norm takes up.) All take uint8 images [B, C, H, W] or frames [T, B, C, H, W] and return logits [T, B, K].
`forward_features` gives the maps of the four stages, of side 1/2, 1/4, 1/8 and 1/16 (1/2, 1/2, 1/4 and 1/8 in our small
model).

Own options: widths, E; depths, blocks of the last two stages; heads; strides, of the five convolutions that change the
side; levels, D, a power of two; neuron, "rounding" (IE-LIF), or "halved" or "whole" (transformer_parts.py: leaky, with
memory and binary spikes, levels=1, the plain ones of the paper's comparison); layer_scale, what l1 and l2 begin with;
attention_gain, the 1/4 above; norm_gain, what batch norms' gains begin with; head_top, the mean for which the
classifier's neurons give D.

Attention over N tokens with d channels a head sums up to D^3 N d, which must stay below 2^31, and below 2^24 to be
evaluated and lowered in float32; above, in float64 (`model.double()`).

Differences from the authors' code: RepConv as in nn/repconv.py, which leaves out a constant that has no effect; 8-bit
integers between convolutions that no neuron parts; streams in 16 bits with a unit of 2^-8; learned steps as in
quant/learned_step.py; first layer and classifier have 8 bits (theirs 4); pixels are u/256; a mean over 14 x 14
multiplies by 1/196 in 15 bits. D, hard-wired to 4 there, is an option, and so is a number of classes.

Our small model starts where a short training gets going: layer scale at 0.1, not at 1e-6, which takes 300 epochs to
grow; batch norms with gains of 1/2, so that half of all currents, not a third, lie where a neuron has a gradient (at 1
the first layer's gradient is 400 times the last one's); 1/8 q k^T v, of which 1/4 gives nothing but D at first; and
steps of the classifier's neurons half as large, for a mean over tokens is smaller than a current.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import make_plain, one_of, positive
from spikelet.base.strict_json import shown
from spikelet.models import transformer_parts
from spikelet.models.blocks import Precision
from spikelet.models.builder import Task, builder
from spikelet.models.transformer_parts import require_heads, token_mean
from spikelet.neurons import LIF, LIFParams, Neuron, membrane_of
from spikelet.nn import (
    BatchNorm2d,
    Conv2d,
    Encode,
    Linear,
    Product,
    RepConv,
    Requantize,
    Saturate,
    Scale,
    SelfAttention,
)
from spikelet.quant import LearnedStep, Quantizer, Uniform, quantizer_of

NEURONS = ("rounding", *transformer_parts.NEURONS)
POWERS = tuple(2.0**-k for k in range(13))


def learned(bits: int) -> Quantizer:
    """The quantizer of `weight_bits=`: 1 binary, 2 to 8 with learned steps, 32 full precision."""
    quantizer = quantizer_of(bits)  # which checks them
    return LearnedStep(quantizer.bits) if isinstance(quantizer, Uniform) else quantizer


@dataclasses.dataclass(frozen=True)
class Shape:
    """The sizes of a network, and its neurons; the options of all models.

    widths: E0 to E3; E0 is even.
    depths: transformer blocks of width E2 and of width E3.
    heads: of every attention; divides E2 and E3.
    strides: of the five convolutions that change the side. The first has a 7 x 7 kernel where it has a stride, else
        3 x 3.
    levels: D, a power of two up to 128.
    neuron: one of NEURONS.
    layer_scale: what the scales of a branch begin with, above 0.
    attention_gain: of the neuron behind q k^T v, a power of two; it is in its threshold.
    norm_gain: what the gains of all batch norms begin with, above 0.
    head_top: the mean current at which the classifier's neurons give D, a power of two.

    Raises:
        SpikeletError: one of them is out of range; names it.
    """

    widths: Sequence[int]
    depths: Sequence[int] = (6, 2)
    heads: int = 8
    strides: Sequence[int] = (2, 2, 2, 2, 1)
    levels: int = 4
    neuron: str = "rounding"
    layer_scale: float = 1e-6
    attention_gain: float = 0.25
    norm_gain: float = 1.0
    head_top: float = 1.0

    def __post_init__(self) -> None:
        make_plain(self)
        for name, count in (("widths", 4), ("depths", 2), ("strides", 5)):
            _require_whole(name, getattr(self, name), count)
        if self.widths[0] % 2:
            raise SpikeletError(f"qsd_transformer.widths must begin with an even number, got {shown(self.widths)}.")
        for width in self.widths[2:]:
            require_heads(width, self.heads, "qsd_transformer")
        one_of("qsd_transformer", NEURONS, neuron=self.neuron)
        if type(self.levels) is not int or not 1 <= self.levels <= 128 or self.levels & (self.levels - 1):
            raise SpikeletError(
                f"qsd_transformer.levels must be a power of two from 1 to 128, got {shown(self.levels)}."
            )
        if self.neuron != "rounding" and self.levels != 1:
            raise SpikeletError(
                f"qsd_transformer.neuron={self.neuron!r} gives binary spikes: levels=1, got {self.levels}."
            )
        positive("qsd_transformer", layer_scale=self.layer_scale, norm_gain=self.norm_gain)
        for name in ("attention_gain", "head_top"):
            if type(value := getattr(self, name)) not in (int, float) or value not in POWERS:
                raise SpikeletError(
                    f"qsd_transformer.{name} must be a power of two from 2^-12 to 1, got {shown(value)}."
                )

    @property
    def stem_kernel(self) -> int:
        """Side of the first kernel."""
        return 3 if self.strides[0] == 1 else 7

    def side(self, image_size: int, stages: int = 4) -> int:
        """The side of the last map, or of the one behind so many of the four widths."""
        for stride in self.strides[: stages + 1]:
            image_size = -(-image_size // stride)
        return image_size


def _require_whole(name: str, values: Sequence[int], count: int) -> None:
    if not isinstance(values, list | tuple) or len(values) != count or any(type(v) is not int or v < 1 for v in values):
        raise SpikeletError(f"qsd_transformer.{name} must be {count} whole numbers from 1, got {shown(values)}.")


def _require_whole_products(shape: Shape, image_size: int) -> None:
    """Raises SpikeletError where a sum of attention, D^3 N d, leaves 32 bits: no such network is one of integers."""
    for stages in (3, 4):
        tokens, channels = shape.side(image_size, stages) ** 2, shape.widths[stages - 1] // shape.heads
        largest = shape.levels**3 * tokens * channels
        if largest >= 2**31:
            raise SpikeletError(
                f"qsd_transformer.levels={shape.levels} lets attention over {tokens} tokens and {channels} channels a "
                f"head reach {largest:,}, beyond 32-bit integers. Use fewer levels, more heads, or larger strides."
            )


class Fire:
    """Makes the network's neurons.

    Args:
        p: time steps and bits.
        shape: levels and kind.
    """

    def __init__(self, p: Precision, shape: Shape) -> None:
        self.p, self.levels, self.kind = p, shape.levels, shape.neuron

    def __call__(self, top: float = 1.0) -> Neuron:
        """A neuron whose largest count stands for a current of `top`."""
        if self.kind != "rounding":
            return transformer_parts.Fire(self.p, self.kind)(gain=1 / top)
        return LIF(self.p.time_steps, LIFParams.rounding(self.levels, top), membrane_of(self.p.membrane_bits))


def conv(c_in: int, c_out: int, kernel: int, p: Precision, *, stride: int = 1, bias: bool = False) -> Conv2d:
    """A quantized convolution whose padding keeps the side at stride 1."""
    return Conv2d(c_in, c_out, kernel, p.hidden(), stride=stride, padding=kernel // 2, bias=bias)


class ConvBlock(nn.Module):
    """Two residual branches of convolutions. See the module's equations."""

    def __init__(self, channels: int, p: Precision, fire: Fire) -> None:
        super().__init__()
        c = channels
        depthwise = Conv2d(2 * c, 2 * c, 7, p.hidden(), padding=3, groups=2 * c)
        self.separable = nn.Sequential(
            *(fire(), conv(c, 2 * c, 1, p), BatchNorm2d(2 * c)),
            *(fire(), depthwise, Requantize(8), conv(2 * c, c, 1, p), BatchNorm2d(c)),
        )
        self.mlp = nn.Sequential(
            *(fire(), conv(c, 4 * c, 3, p), BatchNorm2d(4 * c)),
            *(fire(), conv(4 * c, c, 3, p), BatchNorm2d(c)),
        )
        self.saturate = Saturate()

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, C, H, W] -> the same."""
        x = self.saturate(x + self.separable(x))
        return self.saturate(x + self.mlp(x))


class TransformerBlock(nn.Module):
    """Attention and a perceptron over tokens, each with a scale by channel. See the module's equations."""

    def __init__(self, channels: int, shape: Shape, p: Precision, fire: Fire) -> None:
        super().__init__()
        c = channels

        def projection() -> list[nn.Module]:
            return [RepConv(c, p.hidden()), BatchNorm2d(c)]

        self.attention = SelfAttention(
            c // shape.heads,
            fire(),
            *(nn.Sequential(*projection(), fire()) for _ in range(3)),
            mix=Product(),
            behind=nn.Sequential(fire(1 / shape.attention_gain), *projection()),
        )
        self.mlp = nn.Sequential(
            *(fire(), conv(c, 4 * c, 1, p, bias=True), BatchNorm2d(4 * c)),
            *(fire(), conv(4 * c, c, 1, p, bias=True), BatchNorm2d(c)),
        )
        self.scales = nn.ModuleList(Scale(torch.full((c,), shape.layer_scale)) for _ in range(2))
        self.saturate = Saturate()

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, C, H, W] -> the same."""
        x = self.saturate(x + self.scales[0](self.attention(x)))
        return self.saturate(x + self.scales[1](self.mlp(x)))


class QSDTransformer(nn.Module):
    """See the module's equations.

    Shapes: uint8 [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].
    """

    def __init__(self, task: Task, p: Precision, shape: Shape) -> None:
        super().__init__()
        _require_whole_products(shape, task.image_size)
        fire = Fire(p, shape)
        e0, e1, e2, e3 = shape.widths
        s, kernel = shape.strides, shape.stem_kernel
        first = Conv2d(task.in_channels, e0 // 2, kernel, p.first(), stride=s[0], padding=kernel // 2, bias=True)

        def down(c_in: int, c_out: int, stride: int) -> list[nn.Module]:
            return [fire(), conv(c_in, c_out, 3, p, stride=stride, bias=True), BatchNorm2d(c_out)]

        def blocks(channels: int, count: int) -> list[nn.Module]:
            return [TransformerBlock(channels, shape, p, fire) for _ in range(count)]

        self.encode = Encode()
        self.stages = nn.ModuleList(
            (
                nn.Sequential(first, BatchNorm2d(e0 // 2), ConvBlock(e0 // 2, p, fire)),
                nn.Sequential(*down(e0 // 2, e0, s[1]), ConvBlock(e0, p, fire)),
                nn.Sequential(*down(e0, e1, s[2]), ConvBlock(e1, p, fire), ConvBlock(e1, p, fire)),
                nn.Sequential(
                    *(*down(e1, e2, s[3]), *blocks(e2, shape.depths[0])),
                    *(*down(e2, e3, s[4]), *blocks(e3, shape.depths[1])),
                ),
            )
        )
        side = shape.side(task.image_size)
        self.head = nn.Sequential(
            *token_mean(side), fire(shape.head_top), nn.Flatten(2), Linear(e3, task.num_classes, p.last(), bias=True)
        )
        for norm in self.modules():
            if isinstance(norm, BatchNorm2d):
                nn.init.constant_(norm.weight, shape.norm_gain)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """Currents [T, B, C, H, W] of the four stages."""
        x = self.encode(x)
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every time step."""
        return self.head(self.forward_features(x)[-1])


IMAGENET, FOUR_BITS = Task(1000, 3, 224), Precision(1, 4, 32, learned)


@builder(IMAGENET, FOUR_BITS, Shape((48, 96, 192, 256)))
def qsd_transformer_t(task: Task, p: Precision, shape: Shape) -> QSDTransformer:
    """The smallest configuration of the authors' code, 8.34 M parameters."""
    return QSDTransformer(task, p, shape)


@builder(IMAGENET, FOUR_BITS, Shape((64, 128, 256, 360)))
def qsd_transformer_s(task: Task, p: Precision, shape: Shape) -> QSDTransformer:
    """15.12 M parameters; the paper reports 77.5 % on ImageNet."""
    return QSDTransformer(task, p, shape)


@builder(IMAGENET, FOUR_BITS, Shape((96, 192, 384, 480)))
def qsd_transformer_m(task: Task, p: Precision, shape: Shape) -> QSDTransformer:
    """31.34 M parameters."""
    return QSDTransformer(task, p, shape)


@builder(IMAGENET, FOUR_BITS, Shape((128, 256, 512, 640)))
def qsd_transformer_l(task: Task, p: Precision, shape: Shape) -> QSDTransformer:
    """55.36 M parameters; the paper reports 80.3 % on ImageNet."""
    return QSDTransformer(task, p, shape)


SMALL = Shape(
    (24, 48, 128, 128), (1, 1), 4, (2, 1, 2, 2, 1),
    layer_scale=0.1, attention_gain=0.125, norm_gain=0.5, head_top=0.5,
)  # fmt: skip


@builder(Task(), FOUR_BITS, SMALL)
def qsd_transformer_cifar(task: Task, p: Precision, shape: Shape) -> QSDTransformer:
    """Two transformer blocks of width 128 on 4 x 4 tokens, for 32 x 32 images."""
    return QSDTransformer(task, p, shape)
