"""Spikformer (Zhou et al., ICLR 2023, arXiv:2209.15425) and Spikingformer (Zhou et al., 2023, arXiv:2304.11954): the
transformers that binary and low-bit ones are measured against.

    spikformer_4_384       9.31 M parameters at 10 classes     spikes added to spikes: x + LIF(BN(W s))
    spikingformer_4_384    9.31 M                              currents added to currents: x + BN(W LIF(x))

    SSA(s)   q, k, v = LIF(BN(W s));  LIF(BN(W LIF'(0.125 q k^T v)))       LIF' has a threshold of 1/2

Both at full precision (weight_bits=32, the published models) or at any other number of bits. All take uint8 images
[B, C, H, W] or frames [T, B, C, H, W] and return logits [T, B, K].

Own options: width, depth, heads, patch (the side of a token in pixels).

Differences from the authors' code: pixels are u/256; sums of spikes are small integers, which the next layer reads;
first layer and classifier have 8 bits where the others are quantized; no drop path; Spikingformer's head reads spikes
of a neuron before the mean, theirs the last currents, and its stream is kept in 16 bits with a unit of 2^-8.
Layers in front of a batch norm have no bias, which the norm would take away (theirs have some, and 9.32 M parameters).
"""

from __future__ import annotations

import itertools

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.models.blocks import Precision
from spikelet.models.builder import Task, builder
from spikelet.models.transformer_parts import (
    Fire,
    Tokenizer,
    mlp,
    pointwise,
    require_depth,
    require_heads,
    side_behind,
    token_mean,
)
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, MaxPool2d, Product, SelfAttention
from spikelet.nn.residual import Residual

ATTENTION_GAIN = 0.125  # of q k^T v: the neuron behind it has a threshold of 1/2


def _mixed(fire: Fire) -> nn.Module:
    return fire(0.5, gain=ATTENTION_GAIN)


def _spikes(c_in: int, c_out: int, fire: Fire) -> list[nn.Module]:
    return [*pointwise(c_in, c_out, fire.p), fire()]


def spikformer_attention(width: int, heads: int, fire: Fire) -> SelfAttention:
    """From spikes, or sums of spikes, to spikes."""
    return SelfAttention(
        width // heads,
        nn.Identity(),
        *(nn.Sequential(*_spikes(width, width, fire)) for _ in range(3)),
        mix=Product(),
        behind=nn.Sequential(_mixed(fire), *_spikes(width, width, fire)),
    )


def spikingformer_attention(width: int, heads: int, fire: Fire) -> SelfAttention:
    """From currents to currents."""
    return SelfAttention(
        width // heads,
        fire(),
        *(nn.Sequential(*_spikes(width, width, fire)) for _ in range(3)),
        mix=Product(),
        behind=nn.Sequential(_mixed(fire), *pointwise(width, width, fire.p)),
    )


class SpikeTokenizer(nn.Module):
    """An image's tokens as sums of spikes: convolution, batch norm, LIF four times, and a position's convolution.

    Channels are D/8, D/4, D/2 and D; spikes pass 3 x 3 max pooling behind the last convolutions, as many as halve the
    side to that of the patch.
    """

    def __init__(self, task: Task, width: int, patch: int, fire: Fire) -> None:
        super().__init__()
        p = fire.p
        if type(width) is not int or width < 8 or width % 8:
            raise SpikeletError(f"spikformer.width must be a multiple of 8, got {width!r}.")
        side_behind(task.image_size, patch, "spikformer")
        channels = (task.in_channels, width // 8, width // 4, width // 2, width)
        pooled = 5 - patch.bit_length()
        stages = []
        for k, (c_in, c_out) in enumerate(itertools.pairwise(channels)):
            quantizer = p.hidden() if k else p.first()
            halving = [MaxPool2d(3, 2, 1)] if k >= pooled else []
            conv = Conv2d(c_in, c_out, 3, quantizer, padding=1)
            stages.append(nn.Sequential(conv, BatchNorm2d(c_out), fire(), *halving))
        self.stages = nn.ModuleList(stages)
        position = Conv2d(width, width, 3, p.hidden(), padding=1)
        self.position = nn.Sequential(position, BatchNorm2d(width), fire())

    def maps(self, x: Tensor) -> list[Tensor]:
        """The spikes behind every stage, and the tokens."""
        made = []
        for stage in self.stages:
            x = stage(x)
            made.append(x)
        return [*made, x + self.position(x)]


class Spikformer(nn.Module):
    """See the module's equations.

    Shapes: uint8 [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].
    """

    def __init__(self, task: Task, p: Precision, width: int, depth: int, heads: int, patch: int) -> None:
        super().__init__()
        fire = Fire(p)
        self.encode = Encode()
        self.tokenizer = SpikeTokenizer(task, width, patch, fire)
        self.bodies = nn.ModuleList(
            body
            for _ in range(depth)
            for body in (
                spikformer_attention(width, heads, fire),
                nn.Sequential(*_spikes(width, 4 * width, fire), *_spikes(4 * width, width, fire)),
            )
        )
        side = side_behind(task.image_size, patch, "spikformer")
        self.head = nn.Sequential(
            *token_mean(side), nn.Flatten(2), Linear(width, task.num_classes, p.last(), bias=True)
        )

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """Spikes or sums of them [T, B, C', H', W'] behind every stage of the tokenizer, and behind the last block."""
        maps = self.tokenizer.maps(self.encode(x))
        tokens = maps[-1]
        for body in self.bodies:
            tokens = tokens + body(tokens)
        return [*maps, tokens]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every time step."""
        return self.head(self.forward_features(x)[-1])


class Spikingformer(nn.Module):
    """See the module's equations.

    Shapes: uint8 [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].
    """

    def __init__(self, task: Task, p: Precision, width: int, depth: int, heads: int, patch: int) -> None:
        super().__init__()
        fire = Fire(p)
        self.encode = Encode()
        self.tokenizer = Tokenizer(task, width, patch, fire, "spikingformer")
        self.blocks = Residual(
            body for _ in range(depth) for body in (spikingformer_attention(width, heads, fire), mlp(width, 4, fire))
        )
        side = side_behind(task.image_size, patch, "spikingformer")
        self.head = nn.Sequential(
            *(fire(), *token_mean(side), nn.Flatten(2)), Linear(width, task.num_classes, p.last(), bias=True)
        )

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """Currents [T, B, C', H', W'] behind every convolution of the tokenizer, and behind the last block."""
        maps = self.tokenizer.maps(self.encode(x))
        return [*maps, self.blocks(maps[-1])]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every time step."""
        return self.head(self.forward_features(x)[-1])


@builder(Task(), Precision(4, 32, 32))
def spikformer_4_384(
    task: Task, p: Precision, width: int = 384, depth: int = 4, heads: int = 12, patch: int = 4
) -> Spikformer:
    """Spikformer as published for CIFAR: 95.19 % on CIFAR-10."""
    require_heads(width, heads, "spikformer")
    return Spikformer(task, p, width, require_depth(depth, "spikformer"), heads, patch)


@builder(Task(), Precision(4, 32, 32))
def spikingformer_4_384(
    task: Task, p: Precision, width: int = 384, depth: int = 4, heads: int = 8, patch: int = 4
) -> Spikingformer:
    """Spikingformer as published for CIFAR: 95.61 % on CIFAR-10 after 300 epochs."""
    require_heads(width, heads, "spikingformer")
    return Spikingformer(task, p, width, require_depth(depth, "spikingformer"), heads, patch)
