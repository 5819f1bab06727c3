"""What transformers and ordinary networks are written with: each lowers, or is refused with a way out that does.

Lowered means that PyTorch, the reference and the native program give the same spikes and logits.
"""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import LoweringError, OverflowRefused
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import (
    AddConstant,
    Average,
    BatchNorm1d,
    BatchNorm2d,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Encode,
    Linear,
    Recurrent,
    Requantize,
    Saturate,
    Scale,
    SumPool2d,
)
from spikelet.quant import Uniform
from spikelet.quant.grid import round_to_grid
from spikelet.runtime import Program
from tests.support.user_modules import T, User, classifier, conv, images, neuron, user

Body = Callable[[User, Tensor], Tensor]


def assert_the_chain(model: nn.Module, x: Tensor, time_axis: int | None = None) -> None:
    graph = lower(model.eval(), x, time_axis=time_axis)
    labels = torch.zeros(x.shape[1 if time_axis == 0 else 0], dtype=torch.long)
    for result in (
        verify(graph, model, [(x, labels)], time_axis=time_axis),
        verify(graph, model, [(x, labels)], Program, time_axis=time_axis),
    ):
        assert result.mismatches == 0, str(result)
        assert not result.not_compared


def network(body: Body, features: int = 144, **parts: nn.Module) -> User:
    torch.manual_seed(0)
    return user(
        lambda m, x: m.fc(body(m, x).flatten(2)),
        **{"fc": classifier(features), "norm": BatchNorm2d(4), "two": neuron(0.5), "next": conv(4, 4), **parts},
    )


def spikes(m: User, x: Tensor) -> Tensor:
    """[T, B, 4, 6, 6]"""
    return m.lif(m.conv(x))


def tokens(m: User, x: Tensor) -> Tensor:
    """[T, B, 36, 4]"""
    return spikes(m, x).flatten(3).mT


def rep_conv(m: User, x: Tensor) -> Tensor:
    """1 x 1, depthwise 3 x 3, 1 x 1 on currents."""
    return m.two(m.c(m.b(m.a(spikes(m, x)))))


def padded_by_the_norm(m: User, x: Tensor) -> Tensor:
    """A batch norm whose answer to zero pads its map (BNAndPad of RepConv)."""
    y, edge = m.norm(spikes(m, x)), m.offset
    return m.two(m.depthwise(m.eight(F.pad(y - edge, (1, 1, 1, 1)) + edge)))


def with_offset(model: User) -> User:
    """The norm's answer to a map of zeros, on the grid, as a buffer."""
    model.norm.bias.data.uniform_(-0.5, 0.5)
    zero = model.norm(torch.zeros(1, 1, 4, 1, 1))
    model.register_buffer("offset", round_to_grid(zero[0, 0].detach()))
    return model


LOWERS: dict[str, Callable[[], nn.Module]] = {
    "SEW add": lambda: network(lambda m, x: (lambda s: s + m.two(m.next(s)))(spikes(m, x))),
    "AND": lambda: network(lambda m, x: (lambda s: s * m.two(m.next(s)))(spikes(m, x))),
    "IAND": lambda: network(lambda m, x: (lambda s: s * (1 - m.two(m.next(s))))(spikes(m, x))),
    "flatten over tokens": lambda: network(lambda m, x: tokens(m, x).flatten(2)),
    "cat": lambda: network(lambda m, x: (lambda s: torch.cat([s, m.two(m.next(s))], 2))(spikes(m, x)), 288),
    "chunk": lambda: network(lambda m, x: (lambda a, b: a + b)(*spikes(m, x).chunk(2, 2)), 72),
    "half of a sum": lambda: network(lambda m, x: m.two((m.next(spikes(m, x)) + m.norm(spikes(m, x))) / 2)),
    "RepConv": lambda: network(
        rep_conv, a=nn.Sequential(Conv2d(4, 4, 1, Uniform(4)), BatchNorm2d(4), Requantize(8)),
        b=nn.Sequential(Conv2d(4, 4, 3, Uniform(4), groups=4, padding=1), Requantize(8)), c=Conv2d(4, 4, 1, Uniform(4)),
    ),
    "RepConv on currents of many scales": lambda: network(
        rep_conv, a=Conv2d(4, 4, 1, Uniform(4)), b=Conv2d(4, 4, 3, Uniform(4), groups=4, padding=1),
        c=Conv2d(4, 4, 1, Uniform(4)),
    ),
    "BNAndPad": lambda: with_offset(
        network(padded_by_the_norm, depthwise=Conv2d(4, 4, 3, Uniform(4), groups=4), eight=Requantize(8))
    ),
    "a position embedding": lambda: network(
        lambda m, x: m.two(m.position(m.next(spikes(m, x)))), position=AddConstant(4, 6, 6, std=0.2)
    ),
    "a parameter on the grid": lambda: with_parameter(
        network(lambda m, x: m.two(m.next(spikes(m, x)) + round_to_grid(m.raw)))
    ),
    "q k^T v": lambda: network(lambda m, x: (lambda s: (s.mT @ s @ s.mT).mT / 64)(spikes(m, x).flatten(3))),
    "a mean over 36 tokens at the end": lambda: user(lambda m, x: m.fc(tokens(m, x).mean(2)), fc=classifier(4)),
    "a mean over 36 tokens by Scale": lambda: user(
        lambda m, x: m.fc(m.two(m.mean(tokens(m, x).sum(2)))), fc=classifier(4), mean=Scale(1 / 36), two=neuron(0.25)
    ),
    "a mean over 36 positions by SumPool2d": lambda: user(
        lambda m, x: m.fc(m.two(m.pool(spikes(m, x)).flatten(2))), fc=classifier(4), pool=SumPool2d(6), two=neuron(0.25)
    ),
    "an average of streams": lambda: network(
        lambda m, x: m.two(m.stream(m.average(m.next(spikes(m, x)), m.norm(spikes(m, x))))),
        average=Average(), stream=Saturate(),
    ),
    "levels": lambda: network(lambda m, x: m.many(m.next(spikes(m, x))), many=LIF(T, LIFParams.rounding(4, 1.0))),
    "a transposed convolution": lambda: network(
        lambda m, x: m.two(m.up(spikes(m, x))), 4 * 169, up=ConvTranspose2d(4, 4, 3, Uniform(4), 2)
    ),
}  # fmt: skip


def with_parameter(model: User) -> User:
    model.register_parameter("raw", nn.Parameter(torch.randn(4, 6, 6)))
    return model


@pytest.mark.parametrize("name", LOWERS)
def test_it_lowers_and_pytorch_the_reference_and_the_native_program_agree(name: str):
    assert_the_chain(LOWERS[name](), images())


def sequence() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        Encode(2), Conv1d(3, 8, 3, Uniform(4), padding=1), BatchNorm1d(8), LIF(T, LIFParams(threshold=0.125)),
        nn.Flatten(2), Linear(160, 4, Uniform(8, per_channel=False)),
    )  # fmt: skip


def gestures() -> nn.Module:
    torch.manual_seed(0)
    cell = Recurrent(LIF(T, LIFParams(0.75, 0.125)), Linear(12, 12, Uniform(4)))
    return nn.Sequential(Encode(1), Linear(20, 12, Uniform(4)), cell, Linear(12, 4, Uniform(8, per_channel=False)))


@pytest.mark.parametrize(
    ("make", "sample"), [(sequence, (3, 20)), (gestures, (20,))], ids=["Conv1d", "[T, B, F] and recurrence"]
)
@pytest.mark.parametrize("frames", [True, False])
def test_sequences_and_vectors_lower(make: Callable[[], nn.Module], sample: tuple[int, ...], frames: bool):
    shape = (T, 3, *sample) if frames else (3, *sample)
    assert_the_chain(make(), torch.randint(0, 256, shape, dtype=torch.uint8), time_axis=0 if frames else None)


REFUSED: dict[str, tuple[Callable[[], nn.Module], str, Callable[[], nn.Module]]] = {
    "LayerNorm": (
        lambda: network(lambda m, x: m.two(m.ln(m.next(spikes(m, x)))), ln=nn.LayerNorm(6)),
        "Use spikelet.nn.BatchNorm2d",
        lambda: network(lambda m, x: m.two(m.norm(m.next(spikes(m, x))))),
    ),
    "softmax": (
        lambda: network(lambda m, x: (lambda s: (s.mT @ s).softmax(-1) @ s.mT)(spikes(m, x).flatten(3))),
        "the scores to a neuron instead",
        lambda: network(
            lambda m, x: (lambda s: m.many(s.mT @ s) @ s.mT)(spikes(m, x).flatten(3)),
            many=LIF(T, LIFParams.rounding(4, 2.0)),
        ),
    ),
    "GELU": (
        lambda: network(lambda m, x: m.two(F.gelu(m.next(spikes(m, x))))),
        "or one with levels, which is a quantized ReLU",
        lambda: network(lambda m, x: m.two(m.many(m.next(spikes(m, x)))), many=LIF(T, LIFParams.rounding(4, 1.0))),
    ),
    "a mean over 36 before a neuron": (
        lambda: user(lambda m, x: m.fc(m.two(tokens(m, x).mean(2))), fc=classifier(4), two=neuron(0.25)),
        "Take that mean last, or use spikelet.nn.SumPool2d or Scale",
        LOWERS["a mean over 36 tokens by Scale"],
    ),
    "a position embedding between the steps of the grid": (
        lambda: with_parameter(network(lambda m, x: m.two(m.next(spikes(m, x)) + m.raw))),
        "Round it in the forward: spikelet.quant.grid.round_to_grid",
        LOWERS["a parameter on the grid"],
    ),
    "lambda, a gain that is learned": (
        lambda: with_parameter(network(lambda m, x: m.two(m.next(spikes(m, x)) * m.raw))),
        "Use spikelet.nn.Scale",
        lambda: network(lambda m, x: m.two(m.scale(m.next(spikes(m, x)))), scale=Scale([[0.1, 0.2], [0.3, 0.4]])),
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_it_is_refused_and_the_way_out_lowers(name: str):
    make, way_out, instead = REFUSED[name]
    with pytest.raises((LoweringError, OverflowRefused)) as e:
        lower(make(), images())
    assert way_out in str(e.value)
    assert_the_chain(instead(), images())
