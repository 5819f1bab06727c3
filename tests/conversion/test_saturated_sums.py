"""Sums of activations that Saturate reads as they are: a twin's integers are its PyTorch, whatever the thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet import Program
from spikelet.base.errors import ConversionError
from spikelet.neurons import QCFS
from spikelet.nn import Saturate, evaluation_mode

Joins = Callable[[Sequence[Tensor]], Tensor]
SUMS: dict[str, Joins] = {
    "two": lambda a: a[0] + a[1],
    "three": lambda a: a[0] + a[1] + a[2],
    "nested": lambda a: (a[0] + a[1]) + (a[1] + a[2]),
    "difference": lambda a: a[0] - a[1],
    "mean of two": lambda a: (a[0] + a[1]) / 2,
}


class Sums(nn.Module):
    """Three layers of 12, their activations joined and saturated, and a head of 3."""

    def __init__(self, join: Joins, thresholds: Sequence[float]) -> None:
        super().__init__()
        self.join, self.saturate = join, Saturate()
        self.layers = nn.ModuleList(nn.Sequential(nn.Linear(16, 12), QCFS(4, threshold)) for threshold in thresholds)
        self.head = nn.Linear(12, 3)

    def forward(self, x: Tensor) -> Tensor:
        """Images [B, 16] -> logits [B, 3]."""
        return self.head(self.saturate(self.join([layer(x) for layer in self.layers])))


def made(join: Joins, thresholds: Sequence[float]) -> tuple[Sums, Tensor]:
    """A network and images."""
    torch.manual_seed(0)
    return Sums(join, thresholds).eval(), torch.randint(0, 256, (24, 16), dtype=torch.uint8)


@pytest.mark.parametrize("schedule", ["barrier", "stream"])
@pytest.mark.parametrize("thresholds", [(0.5, 0.5, 0.5), (0.7, 1.05, 1.4)])
@pytest.mark.parametrize("name", SUMS)
def test_a_sum_converts(name: str, thresholds: Sequence[float], schedule: Literal["barrier", "stream"]) -> None:
    net, x = made(SUMS[name], thresholds)
    twin = spikelet.convert(net, x, time_steps=4, schedule=schedule)
    graph = spikelet.lower(twin, x[:1])
    with torch.no_grad(), evaluation_mode(twin):
        means = twin(x).double().mean(0)
        network = net(x / 255)
    np.testing.assert_array_equal(Program(graph)(x.numpy()) * graph.outputs[0].scale, means.numpy())
    assert float((means - network).abs().mean()) < 0.05 * float(network.std())  # weights of 8 bits turn some levels


@pytest.mark.parametrize("join", [lambda a: (a[0] + a[1] + a[2]) / 3, lambda a: 0.3 * a[0] + a[1]])
def test_what_no_threshold_takes_in_is_refused_by_name(join: Joins) -> None:
    net, x = made(join, (0.7, 1.05, 1.4))
    with pytest.raises(ConversionError, match=r"saturate \(Saturate\): reads values whose unit .*; use a norm"):
        spikelet.convert(net, x, time_steps=4)
