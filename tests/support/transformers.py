"""Two-block spiking transformers of spikelet's own layers, small, with random weights that make them fire.

    bestformer    binary maps q k^T, reversible streams, two heads          BESTformer (arXiv:2501.05904)
    qsd           neurons of 4 levels, RepConv, k^T v, LayerScale            QSD-Transformer (arXiv:2501.13492)
    spikformer    sums of spikes, q k^T v                                    Spikformer (arXiv:2209.15425)
    est           windows, relative bias, 16 levels, fewer tokens            EST and MST (arXiv:2210.01208)

Maps are [T, B, C, H, W], tokens their positions; head g is the channels g C/h .. (g + 1) C/h - 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikelet.neurons import LIF, Hard, LIFParams, Neuron, Soft
from spikelet.nn import (
    AddConstant,
    Average,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    Encode,
    Linear,
    MaxPool2d,
    Requantize,
    RunningSum,
    Saturate,
    Scale,
    SumPool2d,
    merged,
    shift_mask,
    windows,
)
from spikelet.quant import Binary, Uniform

SIDE, CLASSES = 8, 10


def heads_of(x: Tensor, heads: int) -> Tensor:
    """[T, B, C, H, W] or [T, B, C, N] -> [T, B, h, C/h, N]."""
    return x.flatten(3).unflatten(2, (heads, -1))


def map_of(y: Tensor, like: Tensor) -> Tensor:
    """[T, B, h, C/h, N] -> [T, B, C, H, W] of the map `like`."""
    return y.flatten(2, 3).unflatten(3, like.shape[3:])


def stem(channels: int) -> nn.Sequential:
    """Bytes [B, 3, 8, 8] to currents [1, B, C, 8, 8]."""
    return nn.Sequential(Encode(), Conv2d(3, channels, 3, Uniform(8), padding=1), BatchNorm2d(channels))


# --- BESTformer -------------------------------------------------------------------------------------


def halved(time_steps: int, threshold: float = 1.0, reset: Hard | Soft = Hard()) -> LIF:  # noqa: B008
    """leak 1/2 and gain 1/2: tau 2 with a scaled input."""
    return LIF(time_steps, LIFParams(0.5, threshold, scale_input=True, reset=reset))


def binary(c_in: int, c_out: int) -> nn.Sequential:
    """A binary 1 x 1 convolution and its batch norm."""
    return nn.Sequential(Conv2d(c_in, c_out, 1, Binary()), BatchNorm2d(c_out))


class BinaryMapAttention(nn.Module):
    """A = lif(q k^T) of 0 and 1; y = 0.125 lambda[t, head] A v."""

    def __init__(self, time_steps: int, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first = halved(time_steps)
        self.q, self.k, self.v = (nn.Sequential(*binary(channels, channels), halved(time_steps, 0.5)) for _ in range(3))
        self.map = halved(time_steps, reset=Soft())
        self.scale = Scale(0.125 * torch.linspace(2, 4, time_steps * heads).view(time_steps, heads))
        self.last = halved(time_steps, 0.5)
        self.project = binary(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        s = self.first(x)
        q, k, v = (heads_of(f(s), self.heads) for f in (self.q, self.k, self.v))
        mix = self.map(q.transpose(-2, -1) @ k)
        y = map_of(v @ mix.transpose(-2, -1), s)
        return self.project(self.last(self.scale(y)))


class BinaryMLP(nn.Module):
    """LIF, convolution, twice."""

    def __init__(self, time_steps: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            halved(time_steps), *binary(channels, 2 * channels), halved(time_steps), *binary(2 * channels, channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Bestformer(nn.Module):
    """Reversible streams (x0, x1) and a head on each."""

    def __init__(self, time_steps: int, channels: int = 32, heads: int = 2, blocks: int = 2) -> None:
        super().__init__()
        self.stem = stem(channels)
        self.pool = nn.Sequential(halved(time_steps), MaxPool2d(3, 2, 1), *binary(channels, channels))
        self.attentions = nn.ModuleList(BinaryMapAttention(time_steps, channels, heads) for _ in range(blocks))
        self.mlps = nn.ModuleList(BinaryMLP(time_steps, channels) for _ in range(blocks))
        self.average = Average(8)
        self.saturate = Saturate()
        self.heads = nn.ModuleList(
            nn.Sequential(SumPool2d(SIDE // 2), nn.Flatten(2), Requantize(8), Linear(channels, CLASSES, one_scale()))
            for _ in range(2)
        )

    def forward(self, x: Tensor) -> Tensor:
        x1 = self.pool(self.stem(x))
        x0 = x1
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            x2 = self.saturate(attention(x1) + self.average(x0, x1))
            x3 = self.saturate(mlp(x2) + self.average(x1, x2))
            x0, x1 = x2, x3
        return (self.heads[0](x0) + self.heads[1](x1)) / 2


# --- QSD-Transformer --------------------------------------------------------------------------------


def one_scale(bits: int = 8) -> Uniform:
    """The quantizer of a classifier: all logits share a scale."""
    return Uniform(bits, per_channel=False)


class RepConv(nn.Sequential):
    """1 x 1, depthwise 3 x 3 and 1 x 1 without a neuron between: eight bits are."""

    def __init__(self, channels: int) -> None:
        super().__init__(
            Conv2d(channels, channels, 1, Uniform(4)),
            BatchNorm2d(channels),
            Requantize(8),
            Conv2d(channels, channels, 3, Uniform(4), padding=1, groups=channels),
            Requantize(8),
            Conv2d(channels, channels, 1, Uniform(4)),
            BatchNorm2d(channels),
            BatchNorm2d(channels),
        )


class SepConv(nn.Sequential):
    """1 x 1, a neuron, depthwise 7 x 7, eight bits, 1 x 1."""

    def __init__(self, time_steps: int, channels: int) -> None:
        super().__init__(
            levels(time_steps),
            Conv2d(channels, 2 * channels, 1, Uniform(4)),
            BatchNorm2d(2 * channels),
            levels(time_steps),
            Conv2d(2 * channels, 2 * channels, 7, Uniform(4), padding=3, groups=2 * channels),
            Requantize(8),
            Conv2d(2 * channels, channels, 1, Uniform(4)),
            BatchNorm2d(channels),
        )


def levels(time_steps: int, count: int = 4, top: float = 1.0) -> LIF:
    """A neuron that rounds to 0, top / count .. top."""
    return LIF(time_steps, LIFParams.rounding(count, top))


class LinearAttention(nn.Module):
    """q (k^T v) on counts 0..4, a neuron of 4 levels, RepConvs for every projection."""

    def __init__(self, time_steps: int, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.first = levels(time_steps)
        self.q, self.k, self.v = (nn.Sequential(RepConv(channels), levels(time_steps)) for _ in range(3))
        self.last = levels(time_steps)
        self.project = RepConv(channels)

    def forward(self, x: Tensor) -> Tensor:
        s = self.first(x)
        q, k, v = (heads_of(f(s), self.heads) for f in (self.q, self.k, self.v))
        mixed = 0.0625 * ((v @ k.transpose(-2, -1)) @ q)
        return self.project(self.last(map_of(mixed, s)))


class TokenMLP(nn.Module):
    """Conv1d of kernel 1 over tokens."""

    def __init__(self, time_steps: int, channels: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            levels(time_steps),
            Conv1d(channels, 2 * channels, 1, Uniform(4), bias=True),
            BatchNorm1d(2 * channels),
            levels(time_steps),
            Conv1d(2 * channels, channels, 1, Uniform(4), bias=True),
            BatchNorm1d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.flatten(3)).unflatten(3, x.shape[3:])


class QSD(nn.Module):
    """A convolution block and two transformer blocks on a saturating stream."""

    def __init__(self, time_steps: int, channels: int = 32, heads: int = 4, blocks: int = 2) -> None:
        super().__init__()
        self.stem = stem(channels)
        self.separable = SepConv(time_steps, channels)
        self.down = nn.Sequential(levels(time_steps), Conv2d(channels, channels, 3, Uniform(4), stride=2, padding=1))
        self.norm = BatchNorm2d(channels)
        self.attentions = nn.ModuleList(LinearAttention(time_steps, channels, heads) for _ in range(blocks))
        self.mlps = nn.ModuleList(TokenMLP(time_steps, channels) for _ in range(blocks))
        self.scales = nn.ModuleList(Scale(torch.linspace(0.3, 0.7, channels)) for _ in range(2 * blocks))
        self.saturate = Saturate()
        self.head = nn.Sequential(
            SumPool2d(SIDE // 2), levels(time_steps), nn.Flatten(2), Linear(channels, CLASSES, one_scale(4), bias=True)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = self.norm(self.down(self.saturate(x + self.separable(x))))
        for i, (attention, mlp) in enumerate(zip(self.attentions, self.mlps, strict=True)):
            x = self.saturate(x + self.scales[2 * i](attention(x)))
            x = self.saturate(x + self.scales[2 * i + 1](mlp(x)))
        return self.head(x).mean(0)


# --- Spikformer -------------------------------------------------------------------------------------


class SpikeAttention(nn.Module):
    """(q k^T) v 0.125 on spikes."""

    def __init__(self, time_steps: int, channels: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v = (self._spikes(time_steps, channels, channels) for _ in range(3))
        self.mix = LIF(time_steps, LIFParams(0.5, 0.5))
        self.project = self._spikes(time_steps, channels, channels)

    @staticmethod
    def _spikes(time_steps: int, c_in: int, c_out: int) -> nn.Sequential:
        return nn.Sequential(Conv2d(c_in, c_out, 1, Uniform(4)), BatchNorm2d(c_out), LIF(time_steps))

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = (heads_of(f(x), self.heads) for f in (self.q, self.k, self.v))
        scores = q.transpose(-2, -1) @ k
        y = v @ scores.transpose(-2, -1) * 0.125
        return self.project(self.mix(map_of(y, x)))


class Spikformer(nn.Module):
    """Sums of spikes for residual streams; a position embedding of spikes."""

    def __init__(self, time_steps: int, channels: int = 48, heads: int = 4, blocks: int = 2) -> None:
        super().__init__()
        self.stem = nn.Sequential(*stem(channels), LIF(time_steps), MaxPool2d(2))
        self.position = nn.Sequential(
            Conv2d(channels, channels, 3, Uniform(4), padding=1), BatchNorm2d(channels), LIF(time_steps)
        )
        self.attentions = nn.ModuleList(SpikeAttention(time_steps, channels, heads) for _ in range(blocks))
        self.mlps = nn.ModuleList(
            nn.Sequential(
                *SpikeAttention._spikes(time_steps, channels, 2 * channels),
                *SpikeAttention._spikes(time_steps, 2 * channels, channels),
            )
            for _ in range(blocks)
        )
        self.head = Linear(channels, CLASSES, one_scale())

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        x = x + self.position(x)
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            x = x + attention(x)
            x = x + mlp(x)
        return self.head(x.flatten(3).mean(3)).mean(0)


# --- EST --------------------------------------------------------------------------------------------


class WindowAttention(nn.Module):
    """Attention within windows, on counts 0..16: relative bias, a mask where windows are shifted, and every other token
    only for keys and values where `partial`; scores are averaged over the steps so far."""

    def __init__(self, time_steps: int, channels: int, heads: int, size: int, shift: int, partial: bool) -> None:
        super().__init__()
        self.heads, self.size, self.shift, self.step = heads, size, shift, 2 if partial else 1
        tokens = size * size
        self.first = levels(time_steps, 16, 2.0)
        self.q, self.k, self.v = (
            nn.Sequential(
                Conv2d(channels, channels, 1, Uniform(4), bias=True), BatchNorm2d(channels), levels(time_steps, 16)
            )
            for _ in range(3)
        )
        self.scale = Scale(1 / math.sqrt(channels // heads))
        self.bias = AddConstant(heads, 1, tokens, tokens // self.step, std=0.2)
        self.sum = RunningSum()
        self.over_steps = Scale([[1 / (t + 1)] for t in range(time_steps)], learn=False)
        mask = shift_mask(size, shift, (SIDE, SIDE))[:, :, :: self.step].float()
        self.register_buffer("mask", mask)
        self.scores = levels(time_steps, 16, 2.0)
        self.mean = Scale(4 / tokens)
        self.last = levels(time_steps, 16)
        self.project = nn.Sequential(Conv2d(channels, channels, 1, Uniform(4)), BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        s = self.first(x)
        q, k, v = (
            windows(f(s), self.size, self.shift).unflatten(2, (self.heads, -1)).transpose(3, 4)
            for f in (self.q, self.k, self.v)
        )  # [T, B, h, G, d, M]
        k, v = k[..., :: self.step], v[..., :: self.step]
        scores = self.bias(self.scale(q.transpose(-2, -1) @ k))
        scores = self.scores(self.over_steps(self.sum(scores)) * self.mask)  # [T, B, h, G, M, M']
        y = v @ scores.transpose(-2, -1)
        y = merged(y.transpose(3, 4).flatten(2, 3), self.size, (SIDE, SIDE), self.shift)
        return self.project(self.last(self.mean(y)))


class EST(nn.Module):
    """Two blocks of windows, the second shifted; patch merging; a head on a pooled stream."""

    def __init__(self, time_steps: int, channels: int = 32, heads: int = 2, size: int = 4) -> None:
        super().__init__()
        self.stem = stem(channels)
        self.attentions = nn.ModuleList(
            WindowAttention(time_steps, channels, heads, size, shift, shift > 0) for shift in (0, size // 2)
        )
        self.mlps = nn.ModuleList(
            nn.Sequential(
                levels(time_steps, 16, 2.0),
                *(Conv2d(channels, 2 * channels, 1, Uniform(4)), BatchNorm2d(2 * channels), levels(time_steps, 16)),
                *(Conv2d(2 * channels, channels, 1, Uniform(4)), BatchNorm2d(channels)),
            )
            for _ in range(2)
        )
        self.merging = nn.Sequential(
            BatchNorm2d(4 * channels), Requantize(8), Conv2d(4 * channels, 2 * channels, 1, Uniform(4))
        )
        self.norm = BatchNorm2d(2 * channels)
        self.saturate = Saturate()
        self.head = nn.Sequential(
            SumPool2d(SIDE // 2), nn.Flatten(2), Requantize(8), Linear(2 * channels, CLASSES, one_scale())
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        for attention, mlp in zip(self.attentions, self.mlps, strict=True):
            x = self.saturate(x + attention(x))
            x = self.saturate(x + mlp(x))
        quarters = [x[..., i::2, j::2] for i in (0, 1) for j in (0, 1)]
        return self.head(self.norm(self.merging(torch.cat(quarters, 2)))).mean(0)


# --- all of them ------------------------------------------------------------------------------------

TRANSFORMERS: dict[str, Callable[[int], nn.Module]] = {
    "bestformer": Bestformer,
    "qsd": QSD,
    "spikformer": Spikformer,
    "est": EST,
}


def images(batch: int, seed: int = 0) -> Tensor:
    """Random bytes [B, 3, 8, 8]."""
    return torch.randint(0, 256, (batch, 3, SIDE, SIDE), generator=torch.Generator().manual_seed(seed)).byte()


@torch.no_grad()
def transformer(name: str, time_steps: int, seed: int = 0) -> nn.Module:
    """The network in evaluation mode, its batch norms at random gains and offsets and at the statistics of random
    images, so that all of its neurons fire."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = TRANSFORMERS[name](time_steps)
        norms = [m for m in model.modules() if isinstance(m, BatchNorm1d | BatchNorm2d)]
        for norm in norms:
            norm.momentum = 1.0  # statistics are those of the batch below
            norm.weight.uniform_(0.6, 1.4)
            norm.bias.uniform_(-0.2, 0.5)
        model(images(8, seed=100 + seed))
    return model.eval()


@torch.no_grad()
def firing(model: nn.Module, x: Tensor) -> dict[str, float]:
    """Mean output of every neuron that runs on `x`: the share of its levels that it gives."""
    rates: dict[str, float] = {}
    neurons = {name: m for name, m in model.named_modules() if isinstance(m, Neuron)}
    hooks = [
        m.register_forward_hook(lambda m, args, y, name=name: rates.update({name: y.mean().item()}))
        for name, m in neurons.items()
    ]
    model(x)
    for hook in hooks:
        hook.remove()
    return rates
