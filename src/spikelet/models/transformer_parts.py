"""What the spiking transformers have in common: their neuron, their first maps, their heads.

Maps are [T, B, C, H, W]; tokens are positions. A block reads currents and gives currents: LIF, convolution, batch norm
(as in Spikingformer, arXiv:2304.11954). The first map of a small image keeps its side, larger patches halve it by the
largest of 3 x 3 spikes before a convolution.
"""

from __future__ import annotations

import dataclasses
import itertools

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.models.blocks import Precision
from spikelet.models.builder import Task
from spikelet.neurons import LIF, Hard, LIFParams, Sigmoid, Soft, Triangle, membrane_of
from spikelet.nn import BatchNorm2d, Conv2d, Linear, MaxPool2d, Requantize, Scale, SumPool2d

PATCHES = (1, 2, 4, 8, 16)


NEURONS = ("halved", "whole")


@dataclasses.dataclass(frozen=True)
class Fire:
    """Makes a network's neurons: leak 1/2, hard reset.

    kind: "halved", whose current is halved (tau = 2), with the sigmoid surrogate of slope 4: SpikingJelly's default,
        which the published networks have; "whole", whose current is taken as it is, with the triangular surrogate
        (Q-SNN's). Behind a batch norm a halved current reaches the threshold in 2 % of all cases at first, a whole one
        in 16 %: a small network of 1-bit weights hardly learns in ten epochs with the former (results/LOG.md).
    """

    p: Precision
    kind: str = "halved"

    def __call__(self, threshold: float = 1.0, reset: Hard | Soft | None = None, gain: float = 1.0) -> LIF:
        """A layer of neurons with this threshold for `gain` times their current.

        The gain, a power of two, is in the threshold and in the surrogate: g slope(g x), as if the current had it.
        """
        halved = self.kind == "halved"
        surrogate = Sigmoid(4.0 * gain) if halved else Triangle(1.0 / gain)
        params = LIFParams(0.5, threshold / gain, scale_input=halved, reset=reset or Hard(), surrogate=surrogate)
        return LIF(self.p.time_steps, params, membrane_of(self.p.membrane_bits))


def pointwise(c_in: int, c_out: int, p: Precision) -> list[nn.Module]:
    """A 1 x 1 convolution and its batch norm: a linear layer over tokens."""
    return [Conv2d(c_in, c_out, 1, p.hidden()), BatchNorm2d(c_out)]


def mlp(width: int, ratio: int, fire: Fire) -> nn.Sequential:
    """LIF, D -> ratio D, LIF, ratio D -> D, from currents to currents."""
    inner, p = ratio * width, fire.p
    return nn.Sequential(fire(), *pointwise(width, inner, p), fire(), *pointwise(inner, width, p))


def side_behind(image_size: int, patch: int, owner: str) -> int:
    """The side of the map of tokens.

    Raises:
        SpikeletError: `patch` is not 1, 2, 4, 8 or 16, or does not divide the image.
    """
    if patch not in PATCHES or image_size % patch:
        raise SpikeletError(
            f"{owner}.patch must be one of {', '.join(map(str, PATCHES))} and divide image_size, got {patch!r} for "
            f"images of {image_size} x {image_size}."
        )
    return image_size // patch


def require_heads(width: int, heads: int, owner: str) -> int:
    """The channels of a head. Raises SpikeletError unless `heads` divides `width`."""
    if type(heads) is not int or heads < 1 or width % heads:
        raise SpikeletError(f"{owner}.heads must be a whole number that divides width={width}, got {heads!r}.")
    return width // heads


def require_depth(depth: int, owner: str) -> int:
    """`depth`. Raises SpikeletError unless it is a whole number from 1."""
    if type(depth) is not int or depth < 1:
        raise SpikeletError(f"{owner}.depth must be a whole number of blocks from 1, got {depth!r}.")
    return depth


class Tokenizer(nn.Module):
    """An image's first map: five 3 x 3 convolutions, of D/8, D/4, D/2, D and D channels.

    The first reads pixels; each later one reads spikes, their side halved before it where the patch asks for it (the
    last convolutions first).
    """

    def __init__(self, task: Task, width: int, patch: int, fire: Fire, owner: str) -> None:
        super().__init__()
        p = fire.p
        if type(width) is not int or width < 8 or width % 8:
            raise SpikeletError(f"{owner}.width must be a multiple of 8, got {width!r}.")
        side_behind(task.image_size, patch, owner)
        widths = (width // 8, width // 4, width // 2, width, width)
        pooled = 5 - patch.bit_length()  # convolutions before the first that halves
        first = nn.Sequential(Conv2d(task.in_channels, widths[0], 3, p.first(), padding=1), BatchNorm2d(widths[0]))
        stages = [first]
        for k, (c_in, c_out) in enumerate(itertools.pairwise(widths)):
            halving = [MaxPool2d(3, 2, 1)] if k >= pooled else []
            conv = Conv2d(c_in, c_out, 3, p.hidden(), padding=1)
            stages.append(nn.Sequential(fire(), *halving, conv, BatchNorm2d(c_out)))
        self.stages = nn.ModuleList(stages)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The currents behind every convolution, from pixels in [0, 1) [T or 1, B, C, H, W]."""
        made = []
        for stage in self.stages:
            x = stage(x)
            made.append(x)
        return made

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T, B, D, H / patch, W / patch]."""
        return self.maps(x)[-1]


class StreamHead(nn.Sequential):
    """The mean of a stream over its tokens, in 8 bits, and a linear classifier: [T, B, D, H, W] -> logits [T, B, K]."""

    def __init__(self, width: int, side: int, classes: int, p: Precision) -> None:
        classifier = Linear(width, classes, p.last(), bias=True)
        super().__init__(*token_mean(side), nn.Flatten(2), Requantize(8, learn=False), classifier)
        nn.init.trunc_normal_(self[-1].weight, std=0.02)  # type: ignore[arg-type]
        nn.init.zeros_(self[-1].bias)  # type: ignore[arg-type]


def token_mean(side: int) -> list[nn.Module]:
    """The modules that take the mean over a map of side x side tokens: [T, B, C, 1, 1]."""
    pool = SumPool2d(side)
    missing = pool.divisor / side**2  # 1 where the tokens are a power of two
    return [pool] if missing == 1 else [pool, Scale(missing, learn=False)]
