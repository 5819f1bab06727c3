"""Time steps that are worth different amounts, as in phase coding: spikes times a constant [T, 1, ...], then a sum."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import LoweringError
from spikelet.nn import Encode, Linear
from spikelet.quant import Uniform

T = 4


class Phases(nn.Module):
    """The weighted sum of a layer's spikes, or of its currents behind them, into the classes."""

    def __init__(self, weights: Tensor, *, currents: bool = False) -> None:
        super().__init__()
        self.encode, self.lif, self.currents = Encode(), spikelet.LIF(T), currents
        self.fc, self.classes = Linear(32, 16, Uniform(4)), Linear(16, 5, Uniform(4))
        self.weights = weights.view(T, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        spikes = self.lif(4 * self.fc(self.encode(x).flatten(2)))
        return (
            (self.classes(spikes) * self.weights).sum(0)
            if self.currents
            else self.classes((spikes * self.weights).sum(0, keepdim=True))
        )


def images() -> Tensor:
    return torch.randint(0, 256, (3, 2, 4, 4), dtype=torch.uint8)


@pytest.mark.parametrize("currents", [False, True])
@pytest.mark.parametrize("weights", [[1, 0.5, 0.25, 0.125], [8, 4, 2, 1], [3, -1, 0, 2.5]])
def test_the_integers_are_what_pytorch_gives(weights: list[float], currents: bool) -> None:
    torch.manual_seed(0)
    model, x = Phases(torch.tensor(weights), currents=currents).eval(), images()
    graph = spikelet.lower(model, x)
    result = spikelet.verify(graph, model, [(x, torch.zeros(3, dtype=torch.long))], spikelet.Program)
    assert result.mismatches == 0, str(result)
    assert any(spikes.any() for spikes in spikelet.Program(graph).spikes(x.numpy()).values())


def test_numbers_off_every_grid_are_refused() -> None:
    with pytest.raises(
        LoweringError, match=r"the model \(mul\): multiplies time steps by numbers such as 1, and not all"
    ):
        spikelet.lower(Phases(torch.tensor([1, 1 / 3, 1 / 9, 1 / 27])).eval(), images())
