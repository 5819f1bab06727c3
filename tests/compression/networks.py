"""Small networks, one for each way in which channels can hang together, and the number of units that may leave.

`NETWORKS[name]()` builds a module in evaluation mode; it takes `image()`. All have plain or full-precision weights
unless the name says otherwise, so that silencing channels is all that removing them means.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.neurons import LIF, IntegerNeuron, LIFParams, Neuron
from spikelet.nn import (
    AddConstant,
    Average,
    BatchNorm1d,
    BatchNorm2d,
    ChannelMap,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Gather,
    Linear,
    MaxPool2d,
    Recurrent,
    Requantize,
    RunningSum,
    Saturate,
    Scale,
    SumPool2d,
    windows,
)
from spikelet.quant import FullPrecision, Uniform
from tests.support.user_modules import User

T, CLASSES = 2, 5


def image() -> Tensor:
    """uint8 [3, 3, 6, 6], always the same."""
    return torch.randint(0, 256, (3, 3, 6, 6), dtype=torch.uint8, generator=torch.Generator().manual_seed(1))


def conv(inputs: int, outputs: int, **options: Any) -> Conv2d:
    return Conv2d(inputs, outputs, 3, FullPrecision(), padding=1, **options)


def linear(inputs: int, outputs: int = CLASSES) -> Linear:
    return Linear(inputs, outputs, FullPrecision())


def neuron(membrane: nn.Module | None = None) -> LIF:
    return LIF(T, LIFParams(threshold=0.125), membrane)


class PerChannel(nn.Module):
    """A membrane that keeps a share of its own in each channel."""

    bits = 32

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.linspace(0.1, 0.9, channels).view(channels, 1, 1))

    def forward(self, v: Tensor) -> Tensor:
        return self.share * v


class PerPixel(nn.Module):
    """A membrane with a share of its own in each pixel, which no rule knows."""

    bits = 32

    def __init__(self) -> None:
        super().__init__()
        self.share = nn.Parameter(torch.rand(6, 6))

    def forward(self, v: Tensor) -> Tensor:
        return self.share * v


class Own(Neuron):
    """A neuron of the user's: it adds half of what it had, fires from 1/4 on, and starts anew."""

    def charge(self, x: Tensor, v: Tensor) -> Tensor:
        return 0.5 * v + x

    def fire(self, h: Tensor) -> Tensor:
        return (h >= 0.25).to(h.dtype)

    def reset(self, h: Tensor, s: Tensor) -> Tensor:
        return h * (1 - s)

    def lowered(self) -> IntegerNeuron:
        return IntegerNeuron(leak=1, gain=2, leak_bits=1, threshold=1024, reset="hard")


class OwnScale(nn.Module):
    """A user's own code, whose parameter is a constant."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.rand(channels, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.weight


def by_hand(x: Tensor) -> Tensor:
    """A leaky neuron as users write it."""
    v, spikes = torch.zeros_like(x[0]), []
    for x_t in x:
        v = 0.5 * v + x_t
        s = (v >= 0.25).to(x.dtype)
        v = torch.where(s > 0, torch.zeros_like(v), v)
        spikes.append(s)
    return torch.stack(spikes)


def tied(a: Conv2d, b: Conv2d) -> dict[str, nn.Module]:
    b.weight = a.weight
    return {"a": a, "b": b}


def _user(body: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> User:
    torch.manual_seed(0)
    standard = {"one": conv(3, 4), "lif": neuron(), "fc": linear(144)}
    return User(body, **{**standard, **parts}).eval()


def _after_first(body: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> User:
    return _user(lambda m, x: m.fc(body(m, m.lif(m.one(x))).flatten(2)), **parts)


def _before_lif(layer: nn.Module, channels: int = 4) -> Callable[[], User]:
    return lambda: _user(
        lambda m, x: m.fc(m.lif(m.layer(m.one(x))).flatten(2)),
        one=conv(3, channels),
        layer=copy.deepcopy(layer),  # some tests change its type
        fc=linear(36 * channels),
    )


NETWORKS: dict[str, tuple[Callable[[], nn.Module], int]] = {
    "chain": (lambda: _after_first(lambda m, s: s), 4),
    "norm": (lambda: _user(lambda m, x: m.fc(m.lif(m.norm(m.one(x))).flatten(2)), norm=BatchNorm2d(4)), 4),
    "bias": (lambda: _after_first(lambda m, s: s, one=conv(3, 4, bias=True)), 4),
    "frames in a row": (lambda: _after_first(lambda m, s: m.lif(m.two(s)), two=conv(4, 4)), 8),
    "residual": (lambda: _after_first(lambda m, s: s + m.lif(m.two(s)), two=conv(4, 4)), 4),
    "residual in place": (
        lambda: _user(lambda m, x: m.fc(m.lif(_added(m.one(x), m.two(x))).flatten(2)), two=conv(3, 4)),
        4,
    ),
    "difference of three": (
        lambda: _after_first(
            lambda m, s: m.lif(m.two(s) - 2 * m.three(s) + 0.5), two=conv(4, 6), three=conv(4, 6), fc=linear(216)
        ),
        10,
    ),
    "concatenation": (
        lambda: _after_first(lambda m, s: torch.cat([s, m.lif(m.two(s))], 2), two=conv(4, 2), fc=linear(216)),
        6,
    ),
    "concatenation, then sum": (
        lambda: _after_first(
            lambda m, s: m.three(s) + torch.cat([s, m.lif(m.two(s))], dim=2),
            two=conv(4, 2),
            three=conv(4, 6),
            fc=linear(216),
        ),
        6,
    ),
    "concatenation over time": (
        lambda: _user(lambda m, x: m.fc(torch.cat([m.one(x), m.two(x)], 0).sum(0).flatten(1)), two=conv(3, 4)),
        4,
    ),
    "stack": (
        lambda: _user(lambda m, x: m.fc(torch.stack([m.one(x), m.two(x)]).mean(0).flatten(2)), two=conv(3, 4)),
        4,
    ),
    "groups": (lambda: _after_first(lambda m, s: m.lif(m.two(s)), two=conv(4, 6, groups=2), fc=linear(216)), 5),
    "depthwise": (lambda: _after_first(lambda m, s: m.lif(m.two(s)), two=conv(4, 8, groups=4), fc=linear(288)), 4),
    "groups to one": (lambda: _after_first(lambda m, s: m.lif(m.two(s)), two=conv(4, 2, groups=2), fc=linear(72)), 2),
    "groups of two kinds": (
        lambda: _after_first(
            lambda m, s: m.three(m.lif(m.two(s))),
            one=conv(3, 8),
            two=conv(8, 12, groups=4),
            three=conv(12, 12, groups=2),
            fc=linear(432),
        ),
        11,
    ),
    "depthwise on the image": (
        lambda: _user(lambda m, x: m.fc(m.lif(m.one(x)).flatten(2)), one=conv(3, 6, groups=3), fc=linear(216)),
        0,
    ),
    "layer used twice": (lambda: _after_first(lambda m, s: m.lif(m.two(m.lif(m.two(s)))), two=conv(4, 4)), 4),
    "norm used twice": (
        lambda: _after_first(lambda m, s: m.norm(m.two(m.norm(s))), two=conv(4, 4), norm=BatchNorm2d(4)),
        4,
    ),
    "tied weights": (lambda: _after_first(lambda m, s: m.b(m.lif(m.a(s))), **tied(conv(4, 4), conv(4, 4))), 4),
    "channel map": (
        lambda: _after_first(
            lambda m, s: m.lif(m.two(s) + m.select(s)),
            two=conv(4, 6),
            select=ChannelMap([-1, 0, 1, 2, 3, -1]),
            fc=linear(216),
        ),
        10,
    ),
    "membrane by channel": (lambda: _after_first(lambda m, s: s, lif=neuron(PerChannel(4))), 4),
    "sequences": (
        lambda: _user(
            lambda m, x: m.fc(m.lif(m.two(m.lif(m.norm(m.one(x.flatten(3)))))).flatten(2)),
            one=Conv1d(3, 4, 3, FullPrecision(), padding=1),
            norm=BatchNorm1d(4),
            two=Conv1d(4, 6, 5, FullPrecision(), padding=2, groups=2, bias=True),
            fc=linear(216),
        ),
        5,
    ),
    "gains by channel": (_before_lif(Scale(torch.linspace(0.5, 2, 4))), 4),
    "gains by step and channel": (_before_lif(Scale(torch.linspace(0.5, 2, 8).view(T, 4))), 4),
    "one gain": (_before_lif(Scale(1.5)), 4),
    "gains by head": (_before_lif(Scale([1.0, 2.0])), 2),
    "constant by channel": (_before_lif(AddConstant(4, 1, 1, std=0.2)), 4),
    "constant of a map": (_before_lif(AddConstant(4, 6, 6, std=0.2)), 4),
    "constant of positions": (_before_lif(AddConstant(1, 6, 6, std=0.2)), 4),
    "constant of a cube": (_before_lif(AddConstant(6, 6, 6, std=0.2), channels=6), 0),
    "currents in four bits": (_before_lif(Requantize(4)), 4),
    "saturated currents": (_before_lif(Saturate(13)), 4),
    "average of two branches": (
        lambda: _user(lambda m, x: m.fc(m.lif(m.both(m.one(x), m.two(x))).flatten(2)), two=conv(3, 4), both=Average()),
        4,
    ),
    "sums over steps": (
        lambda: _after_first(lambda m, s: m.lif(m.two(m.sums(s))), two=conv(4, 2), sums=RunningSum(), fc=linear(72)),
        6,
    ),
    "padded and rolled": (
        lambda: _after_first(lambda m, s: F.pad(s.roll((1, 2), (3, 4)), (1, 0, 0, 0)), fc=linear(168)),
        4,
    ),
    "padded with channels": (lambda: _after_first(lambda m, s: F.pad(s, (0, 0, 0, 0, 1, 0)), fc=linear(180)), 0),
    "gathered positions": (
        lambda: _after_first(lambda m, s: m.gather(s), gather=Gather(range(12), (3, 4)), fc=linear(48)),
        4,
    ),
    "windows": (lambda: _after_first(lambda m, s: windows(s, 3, 1)), 4),
    "transposed convolution": (
        lambda: _after_first(
            lambda m, s: m.lif(m.up(s)), up=ConvTranspose2d(4, 2, 2, FullPrecision(), 2), fc=linear(288)
        ),
        6,
    ),
    "feedback": (
        lambda: _user(
            lambda m, x: m.fc(m.lif(m.one(x)).flatten(2)),
            lif=Recurrent(LIF(T, LIFParams(threshold=0.125)), conv(4, 4)),
        ),
        4,
    ),
    "thresholds by channel": (
        lambda: _after_first(lambda m, s: s, lif=LIF(T, LIFParams(threshold=(0.125, 0.25, 0.375, 0.5)))),
        4,
    ),
    "another neuron": (lambda: _after_first(lambda m, s: s, lif=Own(T)), 4),
    "membrane by pixel": (lambda: _after_first(lambda m, s: s, lif=neuron(PerPixel())), 0),
    "pooling": (
        lambda: _after_first(lambda m, s: m.sum(m.max(s)), max=MaxPool2d(3, 1, 1), sum=SumPool2d(2), fc=linear(36)),
        4,
    ),
    "mean over space and time": (
        lambda: _user(lambda m, x: m.fc(m.lif(m.one(x)).mean((3, 4)).mean(0)), fc=linear(4)),
        4,
    ),
    "hidden linear": (
        lambda: _after_first(
            lambda m, s: m.lif(m.hidden(s.flatten(2)))[..., None], hidden=linear(144, 7), fc=linear(7)
        ),
        11,
    ),
    "tokens": (
        lambda: _after_first(
            lambda m, s: m.mix(s.flatten(3).transpose(2, 3)).transpose(-1, -2), mix=nn.Linear(4, 6), fc=linear(216)
        ),
        10,
    ),
    "time in the batch": (
        lambda: _user(
            lambda m, x: m.fc(F.relu(m.norm(m.two(m.one(x).flatten(0, 1)))).unflatten(0, (1, -1)).flatten(2)),
            two=nn.Conv2d(4, 6, 3, padding=1),
            norm=nn.BatchNorm2d(6),
            fc=linear(216),
        ),
        10,
    ),
    "layers of torch": (
        lambda: _user(
            lambda m, x: m.out(m.pool(m.norm(m.two(x[0]))).flatten(1)),
            two=nn.Conv2d(3, 6, 3, padding=1),
            norm=nn.BatchNorm2d(6),
            pool=nn.MaxPool2d(2),
            out=nn.Linear(54, CLASSES),
        ),
        6,
    ),
    "neuron by hand": (lambda: _user(lambda m, x: m.fc(by_hand(m.one(x.expand(T, -1, -1, -1, -1))).flatten(2))), 4),
    "gate": (
        lambda: _after_first(
            lambda m, s: s * torch.sigmoid(m.two(s.mean((3, 4), keepdim=True))), two=Conv2d(4, 4, 1, FullPrecision())
        ),
        4,
    ),
    "map for all channels": (lambda: _after_first(lambda m, s: s * m.two(s), two=conv(4, 1)), 4),
    "quantized": (
        lambda: _user(
            lambda m, x: m.fc(m.lif(m.norm(m.one(x))).flatten(2)),
            one=Conv2d(3, 4, 3, Uniform(4), padding=1),
            norm=BatchNorm2d(4),
            fc=Linear(144, CLASSES, Uniform(8, per_channel=False)),
        ),
        4,
    ),
    # attention over the 36 pixels: one has 4 units, the projection 5
    "attention, whole heads": (lambda: _attention(lambda t: t.unflatten(-1, (-1, 2))), 4 + 3 + 5),
    "attention, places in every head": (lambda: _attention(lambda t: t.reshape(*t.shape[:3], 3, -1)), 4 + 2 + 2 + 5),
    "attention with softmax": (lambda: _attention(lambda t: t.view((*t.shape[:3], -1, 2)), softmax=True), 4 + 3 + 5),
    "attention of one head": (lambda: _attention(lambda t: t.unsqueeze(-2)), 4 + 6 + 6 + 5),
    "attention to keys that heads share": (lambda: _shared_keys(), 4 + 3 + 5),
    # what keeps channels
    "attention in numbers": (lambda: _attention(lambda t: t.unflatten(-1, (3, 2))), 4 + 5),
    "attention over channels": (lambda: _over_channels(), 4 + 5),
    "attention of what is not 0 when silenced": (
        lambda: _attention(lambda t: t.unsqueeze(-2), of=lambda t: nn.functional.elu(t) + 1),
        4 + 6 + 5,
    ),
    "attention by tanh": (lambda: _attention(lambda t: t.unsqueeze(-2), of=torch.tanh), 4 + 6 + 6 + 5),
    "factors by name": (lambda: _named_factors(), 4 + 5),
    "outer product": (lambda: _outer(), 4 + 5),
    "unknown function": (lambda: _after_first(lambda m, s: s.cumprod(2)), 0),
    "softmax over channels": (lambda: _after_first(lambda m, s: s.softmax(2)), 0),
    "a scale of one's own": (lambda: _after_first(lambda m, s: m.scale(s), scale=OwnScale(4)), 0),
    "layer norm": (lambda: _after_first(lambda m, s: m.norm(s.movedim(2, -1)), norm=nn.LayerNorm(4)), 0),
    "some channels": (lambda: _after_first(lambda m, s: s[:, :, :2], fc=linear(72)), 0),
    "channels in another order": (lambda: _after_first(lambda m, s: s[:, :, [3, 1, 0, 2]]), 0),
    "half of the channels": (lambda: _after_first(lambda m, s: s.chunk(2, 2)[1], fc=linear(72)), 0),
    "shuffled channels": (lambda: _after_first(lambda m, s: s.unflatten(2, (2, 2)).transpose(2, 3).flatten(2, 3)), 0),
    "mean over channels": (lambda: _after_first(lambda m, s: s.mean(2), fc=linear(36)), 0),
    "a parameter for each channel": (lambda: _after_first(lambda m, s: s + m.scale.weight, scale=OwnScale(4)), 0),
    "written in parts": (lambda: _after_first(lambda m, s: _written(s)), 0),
    "the logits' own layer": (lambda: _user(lambda m, x: m.one(x).mean((3, 4))), 0),
}


def _attending(tokens: Callable[[Any, Tensor], Tensor], **parts: nn.Module) -> nn.Module:
    """`tokens` maps spikes [T, B, 36, 4] to [T, B, 36, 6], which a projection to 5 and the classifier read."""
    standard = {name: nn.Linear(4, 6) for name in "qkv"}
    return _user(
        lambda m, x: m.fc(m.lif(m.proj(tokens(m, m.lif(m.one(x)).flatten(3).transpose(-1, -2)))).flatten(2)),
        **{**standard, "proj": nn.Linear(6, 5), "fc": linear(36 * 5), **parts},
    )


def _attention(
    split: Callable[[Tensor], Tensor], softmax: bool = False, of: Callable[[Tensor], Tensor] = torch.relu
) -> nn.Module:
    def tokens(m: Any, s: Tensor) -> Tensor:
        q, k, v = (split(m.lif(layer(s))).transpose(2, 3) for layer in (m.q, m.k, m.v))
        scores = of(q) @ of(k).transpose(-1, -2)
        return torch.matmul(scores.softmax(-1) if softmax else scores * 0.125, v).transpose(2, 3).flatten(3)

    return _attending(tokens)


def _shared_keys() -> nn.Module:
    def tokens(m: Any, s: Tensor) -> Tensor:
        q, v = (m.lif(layer(s)).unflatten(-1, (-1, 2)).transpose(2, 3) for layer in (m.q, m.v))
        k = m.lif(m.k(s)).unsqueeze(2)
        return (q @ k.transpose(-1, -2) @ v).transpose(2, 3).flatten(3)

    return _attending(tokens, k=nn.Linear(4, 2))


def _named_factors() -> nn.Module:
    def tokens(m: Any, s: Tensor) -> Tensor:
        q, k, v = (m.lif(layer(s)) for layer in (m.q, m.k, m.v))
        return torch.matmul(other=v, input=torch.matmul(other=k.transpose(-1, -2), input=q))

    return _attending(tokens)


def _outer() -> nn.Module:
    def tokens(m: Any, s: Tensor) -> Tensor:
        q, k, v = (m.lif(layer(s)) for layer in (m.q, m.k, m.v))
        return (q.unsqueeze(-1) * k.unsqueeze(-2)).mean(-1) + v

    return _attending(tokens)


# Networks that run without some channels and do something else then.
MISLEADING: dict[str, Callable[[], nn.Module]] = {
    "heads from the width": lambda: _attention(lambda t: t.reshape(*t.shape[:3], -1, t.shape[-1] // 3)),
    "a scale from the width": lambda: _attention(
        lambda t: t.reshape(*t.shape[:3], 3, -1), of=lambda t: t * t.shape[-1] ** -0.5
    ),
    "sizes of another map": lambda: _user(lambda m, x: m.fc(_resized(m.lif(m.one(x))).flatten(2))),
    "a shorter way": lambda: _after_first(lambda m, s: s if s.shape[2] < 4 else s + s),
    "a longer way": lambda: _after_first(lambda m, s: s + s if s.shape[2] < 4 else s),
}


def _resized(s: Tensor) -> Tensor:
    width = s.shape[2] * 9
    return s.flatten(2).reshape(*s.shape[:2], -1, width).flatten(2)


def _over_channels() -> nn.Module:
    def tokens(m: Any, s: Tensor) -> Tensor:
        q, k, v = (m.lif(layer(s)) for layer in (m.q, m.k, m.v))
        return v @ (q.transpose(-1, -2) @ k)

    return _attending(tokens)


def _added(x: Tensor, y: Tensor) -> Tensor:
    x += y
    return x


def _written(x: Tensor) -> Tensor:
    y = torch.zeros_like(x)
    y[0] = x[1]
    return y
