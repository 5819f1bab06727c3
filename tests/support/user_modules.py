"""Modules as users write them: parts by name, and any Python as the forward."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.graph import ir
from spikelet.graph.reference import Reference
from spikelet.lowering import lower, verify
from spikelet.neurons import LIF, LIFParams
from spikelet.nn import Conv2d, Encode, Linear
from spikelet.quant import Uniform

SHAPE = (4, 3, 6, 6)
T = 2


def conv(inputs: int = 3, outputs: int = 4, **options: Any) -> Conv2d:
    return Conv2d(inputs, outputs, 3, Uniform(4), padding=1, **options)


def classifier(features: int = 144, classes: int = 5, **options: Any) -> Linear:
    return Linear(features, classes, Uniform(8, per_channel=False), **options)


def neuron(threshold: float = 0.25) -> LIF:
    return LIF(T, LIFParams(threshold=threshold))


def images() -> Tensor:
    return torch.randint(0, 256, SHAPE, dtype=torch.uint8)


class User(nn.Module):
    """Somebody's module: parts by name, and any Python as its forward."""

    def __init__(self, body: Callable[[User, Tensor], Any], **parts: nn.Module) -> None:
        super().__init__()
        self.encode = Encode()
        for name, part in parts.items():
            self.add_module(name, part)
        self.body = body

    def forward(self, x: Tensor) -> Any:
        return self.body(self, self.encode(x))


def user(body: Callable[[User, Tensor], Any], **parts: nn.Module) -> User:
    """A User with a convolution, a neuron and a classifier besides `parts`, in evaluation mode."""
    return User(body, **{"conv": conv(), "lif": neuron(), "fc": classifier(), **parts}).eval()


def plain() -> User:
    return user(lambda m, x: m.fc(m.lif(m.conv(x)).flatten(2)))


def assert_exact(model: nn.Module, x: Tensor | None = None, time_axis: int | None = None) -> ir.IntGraph:
    """Lowers, and finds no spike and no output that differs from the model's evaluation."""
    x = images() if x is None else x
    graph = lower(model, x, time_axis=time_axis)
    labels = torch.zeros(x.shape[1 if time_axis == 0 else 0], dtype=torch.long)
    result = verify(graph, model, [(x, labels)], time_axis=time_axis)
    assert result.mismatches == 0, str(result)
    assert not result.not_compared
    frames = x.transpose(0, 1) if time_axis == 1 else x
    lead = frames.shape[: 1 if time_axis is None else 2]
    spikes = Reference(graph).spikes(frames.reshape(*lead, *graph.input.shape).numpy())
    assert 0 < sum(s.sum() for s in spikes.values()) < result.spikes * 16
    return graph


def after_conv(part: nn.Module, features: int = 144) -> User:
    return user(lambda m, x: m.fc(m.lif(m.part(m.conv(x))).flatten(2)), part=part, fc=classifier(features))


def with_statistics(model: nn.Module) -> nn.Module:
    """`model` after its batch norms have seen images."""
    model.train()(images())
    return model.eval()
