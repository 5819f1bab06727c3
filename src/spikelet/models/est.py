"""EST: a Swin-like transformer of activations that spikes can count, with partial information in its attention
(arXiv:2210.01208; v1 is EST, whose body could not be had, v2 the Masked Spiking Transformer).

Every activation is one of L levels with a learned threshold (neurons/levels.py): n = 0..L, an integer. So the network
as it is trained is a spiking network of one step with up to L spikes a neuron; `spikelet.convert` makes its twin of T
steps.

    est_swin_t    width 96, depths 2 2 6 2, windows of 7     28.33 M parameters at 1,000 classes, 124 thresholds
    est_cifar     ours, for 32 x 32 images, small enough to be trained on a CPU

    embed     N*(BN(conv P x P, stride P))
    block     x += N*(proj(A(N(BN x))));   x = BN x;   x += N*(BN(fc2(N(BN(fc1(N x))))))
    merge     N*(linear 4C -> 2C(8 bits(BN(2 x 2 positions, joined))))
    head      BN, mean over tokens, 8 bits, classifier

    A(s)      q, k, v = N(linear s);   O = N(W v),   W from q k^T / sqrt(d) + relative bias, in windows of M x M tokens

N is `Levels`, N* is `QCFS`, which has its threshold's size, where the residual stream reads it. Windows of odd blocks
are shifted by half their side. The width doubles with every stage, heads have `head_width` channels. What `attention`
makes of the scores:

    levels            W = N(q k^T / sqrt(d) + bias)                          no softmax; lowers to integers as a whole
    softmax           W = softmax(N*(q k^T / sqrt(d)) + bias)                the released one, of each step's scores
    running_softmax   the same with the mean of the scores over the steps so far

The last two are floating point and are refused by lowering; they are one function at T = 1, and differ in twins of
several steps. Attention with levels has the neurons of the released one (9.34 M at 224 x 224), none to multiply with.

Partial information (nn/partial.py) leaves out a share `partial_ratio` of what attention reads: `partial` is one of
"tokens", "heads", "channels", or "random" with `rescale`.

Other options: width; depths, blocks of each stage; patch, P; window, M, where a map is that large; head_width;
mlp_ratio; levels, L; threshold, what thresholds begin with. All take uint8 images [B, C, H, W], or frames, each for
itself, and return logits [T, B, K]. `forward_features` gives the maps of the stages, before they are merged.

Differences from the authors' released code (v2): the last norm is a batch norm, theirs a layer norm; the linear layer
of a merge reads 8 bits and the residual stream is kept in 16 bits of 2^-8; weights have 8 bits, or `weight_bits`,
theirs are floats; pixels are u/256; no drop path; thresholds of scores in levels begin at 1/2 and those of their sums
at M^2 / 8, and linear layers without a batch norm behind begin with outputs of size 1, where theirs begin from a
trained Swin. time_steps is 1 and no neuron keeps a membrane, so membrane_bits is 32.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import flag, make_plain, one_of, positive, share, whole_numbers
from spikelet.base.strict_json import shown
from spikelet.models.blocks import Precision
from spikelet.models.builder import Task, builder
from spikelet.models.transformer_parts import StreamHead
from spikelet.neurons import QCFS, Levels
from spikelet.nn import (
    BatchNorm2d,
    Conv2d,
    Encode,
    PartialInformation,
    RelativeBias,
    Requantize,
    Saturate,
    Scale,
    merged,
    partial_information,
    shift_mask,
    windows,
)
from spikelet.nn.evaluation import exact_products
from spikelet.nn.partial import KINDS, ReadsPartially

REACH = 16.0  # of the 8 bits of a merge: in a twin of several steps each step's spikes differ more than their means
MEAN_SQUARE = 0.13  # of Levels(2 L) of a normal variable: what a linear layer behind a batch norm reads


@dataclasses.dataclass(frozen=True)
class Shape:
    """The sizes of a network, its activations, and its attention; the options of all models.

    width: C of the first stage; it doubles with every stage.
    depths: blocks of each stage.
    patch: P, the side of a token in pixels.
    window: M; a map that is no larger is one window.
    head_width: d, divides `width`.
    mlp_ratio: hidden width of the perceptrons, in widths.
    levels: L, a power of two up to 128.
    threshold: what thresholds begin with.
    attention: one of WEIGHTS. Only "levels" has integers; the others are what it is compared with, in floats.
    partial, partial_ratio, rescale: those of nn.partial_information.

    Raises:
        SpikeletError: one of them is out of range; names it.
    """

    width: int
    depths: Sequence[int]
    patch: int = 4
    window: int = 7
    head_width: int = 32
    mlp_ratio: int = 4
    levels: int = 16
    threshold: float = 2.0
    attention: str = "levels"
    partial: str = "tokens"
    partial_ratio: float = 0.0
    rescale: bool = False

    def __post_init__(self) -> None:
        make_plain(self)
        whole_numbers("est", 1, 1 << 10, window=self.window, mlp_ratio=self.mlp_ratio, levels=self.levels)
        whole_numbers("est", 1, 1 << 20, head_width=self.head_width)
        positive("est", threshold=self.threshold)
        one_of("est", tuple(WEIGHTS), attention=self.attention)
        one_of("est", KINDS, partial=self.partial)
        share("est", partial_ratio=self.partial_ratio)
        flag("est", rescale=self.rescale)
        partial_information(self.partial, self.partial_ratio, rescale=self.rescale)
        if self.width % self.head_width:
            raise SpikeletError(f"est.head_width must divide width={self.width}, got {self.head_width}.")

    def side(self, image_size: int, stage: int) -> int:
        """The side of the map of tokens of a stage.

        Raises:
            SpikeletError: the image does not fall into patches, or a map into windows or squares of 2 x 2.
        """
        parts = self.patch << stage
        if image_size % parts:
            raise SpikeletError(
                f"est.image_size must be a multiple of patch * 2^(stages - 1), {self.patch << (len(self.depths) - 1)}, "
                f"got {image_size}."
            )
        side = image_size // parts
        if side > self.window and side % self.window:
            raise SpikeletError(
                f"est.window must divide the {side} x {side} tokens of stage {stage + 1}, or be larger than them, got "
                f"{self.window}."
            )
        return side


class Sized(QCFS):
    """QCFS that is added to a stream: its threshold stays a factor behind its neuron, in a twin too."""


class Fire:
    """Makes the network's activations."""

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    def __call__(self, threshold: float | None = None) -> Levels:
        """Counts over L, for what reads them with weights of its own."""
        return Levels(self.shape.levels, self.shape.threshold if threshold is None else threshold)

    def sized(self, threshold: float | None = None) -> Sized:
        """The same times its threshold."""
        return Sized(self.shape.levels, self.shape.threshold if threshold is None else threshold)


def linear(c_in: int, c_out: int, p: Precision, *, bias: bool = True, mean_square: float = MEAN_SQUARE) -> Conv2d:
    """A linear layer over tokens whose outputs begin with a size of about 1, for inputs of this mean square."""
    made = Conv2d(c_in, c_out, 1, p.hidden(), bias=bias)
    nn.init.normal_(made.weight, std=1 / math.sqrt(c_in * mean_square))
    if made.bias is not None:
        nn.init.zeros_(made.bias)
    return made


class LevelWeights(nn.Module):
    """Scores and their bias in levels."""

    def __init__(self, fire: Fire) -> None:
        super().__init__()
        self.neuron = fire(0.5)

    def forward(self, scores: Tensor, bias: RelativeBias, partial: PartialInformation) -> Tensor:
        """Counts over L, [T, B, h, G, N, N']."""
        return partial.scores(self.neuron(bias(scores, partial.pairs)))


class SoftmaxWeights(nn.Module):
    """The softmax of scores in levels and their bias, at each step by itself."""

    no_integers = "its attention is a softmax, which needs exponentials; attention='levels' has integers"

    def __init__(self, fire: Fire) -> None:
        super().__init__()
        self.neuron = fire.sized(1.0)

    def forward(self, scores: Tensor, bias: RelativeBias, partial: PartialInformation) -> Tensor:
        """Weights whose sum over N' is 1, [T, B, h, G, N, N']."""
        return bias(partial.scores(self.seen(self.neuron(scores))), partial.pairs).softmax(-1)

    def seen(self, scores: Tensor) -> Tensor:
        """The scores that the softmax reads."""
        return scores


class RunningSoftmaxWeights(SoftmaxWeights):
    """The softmax of the mean over the steps so far."""

    def seen(self, scores: Tensor) -> Tensor:
        steps = torch.arange(1, scores.shape[0] + 1, device=scores.device, dtype=scores.dtype)
        return scores.cumsum(0) / steps.view(-1, *[1] * (scores.dim() - 1))


WEIGHTS = {"levels": LevelWeights, "softmax": SoftmaxWeights, "running_softmax": RunningSoftmaxWeights}


@dataclasses.dataclass(frozen=True)
class Place:
    """Where a block stands.

    number: among all attentions of the network.
    channels: C.
    side: of the map.
    size: M, of its windows.
    shift: of its windows, in rows and columns.
    """

    number: int
    channels: int
    side: int
    size: int
    shift: int

    @property
    def tokens(self) -> int:
        """Tokens of a window."""
        return self.size**2

    @property
    def windows(self) -> int:
        """G, windows of the map."""
        return (self.side // self.size) ** 2


class WindowAttention(ReadsPartially):
    """Self-attention within windows. See the module's equations.

    Attributes:
        place: where it stands.
        partial: what it reads of q, k and v.

    Shapes: spikes [T, B, C, H, W] -> the sized levels of its projection, of the same shape.
    """

    partial: PartialInformation  # pyright: ignore[reportIncompatibleVariableOverride]

    def __init__(self, place: Place, shape: Shape, p: Precision, fire: Fire) -> None:
        super().__init__()
        c, d = place.channels, shape.head_width
        self.place, self.heads = place, c // d
        self.query, self.key, self.value = (nn.Sequential(linear(c, c, p), fire()) for _ in range(3))
        near = shift_mask(place.size, place.shift, (place.side, place.side)) if place.shift else None
        self.scale = Scale(1 / math.sqrt(d), learn=False)
        self.bias = RelativeBias(self.heads, place.size, near)
        self.weights = WEIGHTS[shape.attention](fire)
        self.partial = partial_information(
            shape.partial, shape.partial_ratio, layer=place.number, rescale=shape.rescale
        )
        self.last = fire(place.tokens / 8 if shape.attention == "levels" else 1.0)
        self.project = nn.Sequential(linear(c, c, p), fire.sized())

    def forward(self, s: Tensor) -> Tensor:
        """The attention of every token to those of its window."""
        q, k, v = (self._taken_apart(layer(s)) for layer in (self.query, self.key, self.value))
        counts = self.partial.mixed(self.mix, q, k, v).flatten(2, 3)  # those of a head that is left out are 0
        return self.project(merged(counts, self.place.size, (s.shape[3], s.shape[4]), self.place.shift))

    def mix(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """What the parts that are read make of each other, counted, [T, B, h, d, G, N]."""
        with exact_products(self):
            scores = self.scale(q.transpose(-2, -1) @ k)
            weights = self.weights(scores, self.bias, self.partial)
            y = v @ weights.transpose(-2, -1)  # [T, B, h, G, d, N]
        return self.last(y.transpose(3, 4).flatten(2, 3)).unflatten(2, (y.shape[2], -1))

    def _taken_apart(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, h, G, d, N], heads and windows."""
        return windows(x, self.place.size, self.place.shift).unflatten(2, (self.heads, -1)).transpose(3, 4)


class Block(nn.Module):
    """Attention and a perceptron on one stream. See the module's equations."""

    def __init__(self, place: Place, shape: Shape, p: Precision, fire: Fire) -> None:
        super().__init__()
        c, inner = place.channels, place.channels * shape.mlp_ratio
        self.first = nn.Sequential(BatchNorm2d(c), fire())
        self.attention = WindowAttention(place, shape, p, fire)
        self.norm = BatchNorm2d(c)
        self.mlp = nn.Sequential(
            *(fire(), linear(c, inner, p), BatchNorm2d(inner)),
            *(fire(), linear(inner, c, p), BatchNorm2d(c), fire.sized()),
        )
        self.saturate = Saturate()

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, C, H, W] -> the same."""
        x = self.norm(self.saturate(x + self.attention(self.first(x))))
        return self.saturate(x + self.mlp(x))


class Merge(nn.Module):
    """Four neighbours become one token of twice the channels. See the module's equations."""

    def __init__(self, channels: int, p: Precision, fire: Fire) -> None:
        super().__init__()
        reduction = linear(4 * channels, 2 * channels, p, bias=False, mean_square=1.0)
        self.layers = nn.Sequential(
            BatchNorm2d(4 * channels), Requantize(8, REACH, learn=False), reduction, fire.sized()
        )

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, C, H, W] -> [T, B, 2 C, H / 2, W / 2]."""
        return self.layers(torch.cat([x[..., i::2, j::2] for j in (0, 1) for i in (0, 1)], 2))


class EST(nn.Module):
    """See the module's equations.

    Shapes: uint8 [B, C, H, W] or [T, B, C, H, W] -> logits [T, B, K].
    """

    def __init__(self, task: Task, p: Precision, shape: Shape) -> None:
        super().__init__()
        _require_one_step(p)
        fire, c = Fire(shape), shape.width
        sides = [shape.side(task.image_size, stage) for stage in range(len(shape.depths))]
        first = Conv2d(task.in_channels, c, shape.patch, p.first(), stride=shape.patch, bias=True)
        self.encode = Encode()
        self.embed = nn.Sequential(first, BatchNorm2d(c), fire.sized())
        number = itertools.count()
        self.stages = nn.ModuleList(
            nn.Sequential(*(Block(_place(next(number), c << i, side, shape, k), shape, p, fire) for k in range(depth)))
            for i, (depth, side) in enumerate(zip(shape.depths, sides, strict=True))
        )
        self.merges = nn.ModuleList(Merge(c << i, p, fire) for i in range(len(sides) - 1))
        last = c << (len(sides) - 1)
        self.norm = BatchNorm2d(last)
        self.head = StreamHead(last, sides[-1], task.num_classes, p)

    def forward_features(self, x: Tensor) -> list[Tensor]:
        """Currents [T, B, C, H, W] of every stage."""
        x = self.embed(self.encode(x))
        maps = []
        for stage, merge in itertools.zip_longest(self.stages, self.merges):
            maps.append(stage(x))
            x = maps[-1] if merge is None else merge(maps[-1])
        return maps

    def forward(self, x: Tensor) -> Tensor:
        """Logits."""
        return self.head(self.norm(self.forward_features(x)[-1]))


def _place(number: int, channels: int, side: int, shape: Shape, block: int) -> Place:
    size = min(shape.window, side)
    return Place(number, channels, side, size, size // 2 if block % 2 and side > size else 0)


def _require_one_step(p: Precision) -> None:
    """Raises SpikeletError unless the network is one of a single step, whose neurons keep nothing."""
    if p.time_steps != 1:
        raise SpikeletError(
            f"est.time_steps must be 1, got {shown(p.time_steps)}: its neurons count their spikes at once. "
            "spikelet.convert makes the twin of several steps."
        )
    if p.membrane_bits != 32:
        raise SpikeletError(
            f"est.membrane_bits must be 32, got {shown(p.membrane_bits)}: its neurons keep no membrane."
        )


@builder(Task(1000, 3, 224), Precision(1, 8, 32), Shape(96, (2, 2, 6, 2)))
def est_swin_t(task: Task, p: Precision, shape: Shape) -> EST:
    """28.33 M parameters; the papers report 78.48 % on ImageNet at 16 steps (v1), 77.88 % at 128 (v2)."""
    return EST(task, p, shape)


@builder(Task(), Precision(1, 8, 32), Shape(64, (2, 4), window=4, head_width=16))
def est_cifar(task: Task, p: Precision, shape: Shape) -> EST:
    """Two stages of 8 x 8 and 4 x 4 tokens, for 32 x 32 images: 0.94 M parameters."""
    return EST(task, p, shape)
