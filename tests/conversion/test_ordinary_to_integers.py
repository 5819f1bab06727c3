"""Ordinary networks all the way: calibrated, repaired, converted, lowered, and run as integers."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.conversion import calibrate, repair
from tests.conversion.ordinary import NETWORKS, images, seeded

TOKENS_FIRST = "torch's encoder, norms behind"  # a stream has its time steps where this network has tokens
STREAMS = [(name, "stream") for name in NETWORKS if name != TOKENS_FIRST]


@pytest.mark.parametrize(("name", "schedule"), [*((name, "barrier") for name in NETWORKS), *STREAMS])
def test_integers_are_what_pytorch_evaluates(name: str, schedule: str):
    x = images()
    made = repair(calibrate(seeded(NETWORKS[name]), x), x).network
    twin = spikelet.convert(made, (x[:2] * 255).byte(), time_steps=4, schedule=schedule)
    graph = spikelet.lower(twin, (x[:2] * 255).byte())
    batches = [((255 * x[i : i + 2]).byte(), torch.zeros(2, dtype=torch.long)) for i in (0, 3)]
    assert spikelet.verify(graph, twin, batches).mismatches == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_a_barrier_of_as_many_steps_as_levels_loses_next_to_nothing(name: str):
    x = images(8)
    pixels = (255 * x).byte()
    made = repair(calibrate(seeded(NETWORKS[name]), x, 128), x, 128).network.eval()
    twin = spikelet.convert(made, pixels, time_steps=128).eval()
    expected = made(pixels.float() / 255)
    assert (twin(pixels).mean(0) - expected).abs().max() < 0.1 * expected.std()


class AsksForWeights(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv, self.head = nn.Conv2d(3, 4, 8), nn.Linear(4, 5)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.conv(x.to(self.conv.weight.dtype)).relu().flatten(1))


def test_code_may_ask_a_twins_layer_for_its_weights():
    x = images()
    twin = spikelet.convert(calibrate(AsksForWeights(), x), (255 * x).byte())
    assert twin((255 * x).byte()).shape == (1, 32, 5)
