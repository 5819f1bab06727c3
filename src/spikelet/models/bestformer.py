"""BESTformer: binary spiking transformers on reversible streams (Cao et al., IJCAI 2025, arXiv:2501.05904).

Every hidden weight is 1 bit, every matrix product is of spikes with weights or of spikes with spikes.

    bestformer_4_384    9,314,884 parameters at 10 classes     CIFAR, 4 x 4 patches, 4 blocks of width 384
    bestformer_8_512   30,178,064 parameters at 1,000          ImageNet at 224, 16 x 16 patches, a map of channels
    bestformer_2_256    2,549,760 one-bit weights              events at 128 x 128, T = 16
    bestformer_2_128    ours, small enough to be trained on a CPU

    tokens x1;   per block   x2 = SSA(x1) + (x0 + x1) / 2,   x3 = MLP(x2) + (x1 + x2) / 2,   x0 = x1 in the first
    logits = (head_0(x2) + head_1(x3)) / 2         the two streams of the last block

    SSA(x)   s = LIF(x); q, k, v = LIF(BN(W s)); A = LIF(q k^T); BN(W LIF(0.125 lambda A v))

lambda is learned by time step and head. head_1 is meant to learn from a teacher, head_0 from labels (recipes). All
take uint8 images [B, C, H, W] or frames [T, B, C, H, W] and return logits [T, B, K].

Own options of all: width, depth, heads, patch; attention, "scores" (the binary map of tokens, as in the authors' CIFAR
code) or "context" (of channels, as in their ImageNet code); wiring, "averaged" (above), "split" (two streams of half
the width, RevNet's), or "plain" (one stream, x + f(x)); lambda_by_step, or one lambda a head whatever T is; neuron,
"halved" or "whole" (transformer_parts.py); recompute, whether training inverts the streams instead of keeping
activations.

Differences from the authors' code: it never inverts its streams; lambda has a time axis of 4 whatever T is, ours has T;
what is learned is 0.125 lambda in one, so that an optimizer's steps are eight times as large beside it;
first layer and heads are 32 bits there, 8 bits here (weight_bits=32 gives float weights throughout); streams are kept
in 16 bits with a unit of 2^-8; sign(0) = +1; pixels are u/256 without mean subtraction; a head reads its stream at
every step and logits are averaged over T, theirs the streams.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor, nn

from spikelet.base.numbers import flag, make_plain, one_of, whole_numbers
from spikelet.models.blocks import Precision
from spikelet.models.builder import Task, builder
from spikelet.models.transformer_parts import (
    NEURONS,
    Fire,
    StreamHead,
    Tokenizer,
    mlp,
    pointwise,
    require_heads,
    side_behind,
)
from spikelet.neurons import Soft
from spikelet.nn import (
    Added,
    Averaged,
    ContextMap,
    Encode,
    Reversible,
    Scale,
    ScoreMap,
    SelfAttention,
)
from spikelet.nn.residual import Residual

ATTENTIONS = ("scores", "context")
WIRINGS = ("averaged", "split", "plain")


@dataclasses.dataclass(frozen=True)
class Shape:
    """The sizes of a network, and how its parts are joined; the options of all models.

    Raises:
        SpikeletError: one of them is out of range; names it.
    """

    width: int = 384
    depth: int = 4
    heads: int = 8
    patch: int = 4
    attention: str = "scores"
    wiring: str = "averaged"
    lambda_by_step: bool = True
    neuron: str = "halved"
    recompute: bool = True

    def __post_init__(self) -> None:
        make_plain(self)
        whole_numbers("bestformer", width=self.width, depth=self.depth, heads=self.heads)
        one_of("bestformer", ATTENTIONS, attention=self.attention)
        one_of("bestformer", WIRINGS, wiring=self.wiring)
        one_of("bestformer", NEURONS, neuron=self.neuron)
        flag("bestformer", lambda_by_step=self.lambda_by_step, recompute=self.recompute)
        require_heads(self.body_width, self.heads, "bestformer")

    @property
    def body_width(self) -> int:
        """Channels that each block reads: half of them where streams are split."""
        return self.width // 2 if self.wiring == "split" else self.width


def attention(shape: Shape, fire: Fire) -> SelfAttention:
    """SSA of the module's equations, from currents to currents."""
    width, heads, p = shape.body_width, shape.heads, fire.p

    def projected() -> nn.Sequential:
        return nn.Sequential(*pointwise(width, width, p), fire())

    firing = fire(reset=Soft())
    lambdas = Scale(torch.full((p.time_steps, heads) if shape.lambda_by_step else (heads,), 0.125))
    return SelfAttention(
        width // heads,
        fire(),
        projected(),
        projected(),
        projected(),
        ScoreMap(firing) if shape.attention == "scores" else ContextMap(firing),
        nn.Sequential(lambdas, fire(0.5), *pointwise(width, width, p)),
    )


class Bestformer(nn.Module):
    """See the module's equations.

    Shapes: uint8 [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].
    """

    def __init__(self, task: Task, p: Precision, shape: Shape) -> None:
        super().__init__()
        inside, fire = shape.body_width, Fire(p, shape.neuron)
        bodies = [body for _ in range(shape.depth) for body in (attention(shape, fire), mlp(inside, 4, fire))]
        self.split = shape.wiring == "split"
        self.encode = Encode()
        self.tokenizer = Tokenizer(task, shape.width, shape.patch, fire, "bestformer")
        self.blocks: nn.Module = (
            Residual(bodies)
            if shape.wiring == "plain"
            else Reversible(bodies, Added() if self.split else Averaged(), shape.recompute)
        )
        side = side_behind(task.image_size, shape.patch, "bestformer")
        self.heads = nn.ModuleList(StreamHead(inside, side, task.num_classes, p) for _ in range(2))

    def streams(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """The two streams behind the last block, [T, B, D, H, W], from currents behind the tokenizer."""
        if isinstance(self.blocks, Residual):
            x = self.blocks(x)
            return x, x
        first, second = x.chunk(2, dim=2) if self.split else (x, x)
        return self.blocks(first, second)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """Currents [T, B, C', H', W'] behind every convolution of the tokenizer, and the last stream."""
        maps = self.tokenizer.maps(self.encode(x))
        return [*maps, self.streams(maps[-1])[1]]

    def forward(self, x: Tensor) -> Tensor:
        """Logits of every time step, the mean of both heads'."""
        older, newer = self.streams(self.tokenizer(self.encode(x)))
        return (self.heads[0](older) + self.heads[1](newer)) / 2


@builder(Task(), Precision(4, 1, 32), Shape())
def bestformer_4_384(task: Task, p: Precision, shape: Shape) -> Bestformer:
    """The published CIFAR model: 95.73 % on CIFAR-10 after 400 epochs, by the authors' log."""
    return Bestformer(task, p, shape)


@builder(Task(1000, 3, 224), Precision(4, 1, 32), Shape(512, 8, 8, 16, "context"))
def bestformer_8_512(task: Task, p: Precision, shape: Shape) -> Bestformer:
    """The ImageNet model of the authors' configuration."""
    return Bestformer(task, p, shape)


@builder(Task(10, 2, 128), Precision(16, 1, 32), Shape(256, 2, 16, 16))
def bestformer_2_256(task: Task, p: Precision, shape: Shape) -> Bestformer:
    """For event frames; the authors' code for them is not released, the shape is Spikingformer's."""
    return Bestformer(task, p, shape)


@builder(Task(), Precision(4, 1, 32), Shape(128, 2, 4, 4, lambda_by_step=False, neuron="whole", recompute=False))
def bestformer_2_128(task: Task, p: Precision, shape: Shape) -> Bestformer:
    """Two blocks of width 128 for 32 x 32 images: trained on a CPU in hours."""
    return Bestformer(task, p, shape)
