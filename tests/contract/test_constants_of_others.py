"""Layers that only other people's networks have: products with constants, and a norm for each step."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.neurons import LIF
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv2d, Encode, Linear
from spikelet.nn.norm_through_time import NormThroughTime
from spikelet.nn.times_constant import TimesConstant
from spikelet.quant import Uniform

T = 3
GRID = 2.0**-12


def norms(channels: int = 4, count: int = T, kind: Any = BatchNorm2d) -> NormThroughTime:
    torch.manual_seed(0)
    made = [kind(channels) for _ in range(count)]
    for norm in made:
        nn.init.uniform_(norm.weight, 0.5, 1.5)
        nn.init.normal_(norm.bias)
        nn.init.normal_(norm.running_mean)
        nn.init.uniform_(norm.running_var, 0.5, 2.0)
    return NormThroughTime(made)


@pytest.mark.parametrize("steps", [1, T])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_a_norm_through_time_is_each_norm_on_its_step(steps: int, training: bool) -> None:
    layer = norms().train(training)
    x = torch.randn(steps, 2, 4, 3, 3)
    expected = torch.cat([norm(x[min(t, steps - 1)][None]) for t, norm in enumerate(layer)])
    assert torch.equal(layer(x), expected)


def test_a_norm_through_time_refuses_other_steps_and_channels() -> None:
    with pytest.raises(ValueError, match=r"a norm for each of 3 steps, and got \(2, 1, 4, 3, 3\)"):
        norms()(torch.zeros(2, 1, 4, 3, 3))
    with pytest.raises(ValueError, match="one number of channels"):
        NormThroughTime([BatchNorm1d(2), BatchNorm1d(3)])


@pytest.mark.parametrize("constant", [0.3, torch.tensor([0.3, -1.7, 0.0])[:, None]], ids=["a number", "a channel"])
def test_a_product_goes_to_the_grid_in_evaluation_alone(constant: Any) -> None:
    layer, x, constant = TimesConstant(), torch.randn(2, 1, 3, 5), torch.as_tensor(constant)
    assert torch.equal(layer(x, constant), constant * x)
    made = layer.eval()(x, constant)
    assert torch.equal(made / GRID, (made / GRID).round())
    assert bool(((made - constant * x).abs() <= GRID / 2 + 2.0**-14 * x.abs()).all())


class Net(nn.Module):
    """Images to classes, by something done to currents [1, B, 4, 6, 6], or [T, B, ...] of spikes where `late`."""

    def __init__(self, part: nn.Module, *constants: Tensor, late: bool = False) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.encode, self.part, self.constants, self.late = Encode(), part, constants, late
        self.conv, self.other = (Conv2d(c, 4, 3, Uniform(4), padding=1) for c in (1, 4))
        self.one, self.two, self.fc = LIF(T), LIF(T), Linear(144, 3, Uniform(4))

    def forward(self, x: Tensor) -> Tensor:
        current = 4 * self.conv(self.encode(x))
        if self.late:
            current = self.other(self.one(current))
        return self.fc(self.two(self.part(current, *self.constants)).flatten(2)).mean(0)


CONSTANTS = {
    "a number": torch.tensor(1.7),
    "a channel": torch.tensor([0.3, 1.7, -0.4, 2.2])[:, None, None],
    "a step": torch.tensor([0.3, 1.7, 2.2]).view(T, 1, 1, 1, 1),
    "a step and channel": torch.linspace(0.4, 2.3, 12).view(T, 1, 4, 1, 1),
}


@pytest.mark.parametrize("late", [False, True], ids=["still", "steps"])
@pytest.mark.parametrize("name", [*CONSTANTS, "a norm a step"])
def test_they_lower_exactly(name: str, late: bool) -> None:
    part: tuple[Any, ...] = (norms(),) if name not in CONSTANTS else (TimesConstant(), CONSTANTS[name])
    model = Net(*part, late=late).eval()
    x = torch.randint(0, 256, (4, 1, 6, 6), dtype=torch.uint8)
    graph = spikelet.lower(model, x)
    result = spikelet.verify(graph, model, [(x, torch.zeros(4, dtype=torch.long))])
    assert result.mismatches == 0, str(result)
    assert bool(model(x).any())


def test_a_constant_of_every_position_is_refused_by_its_shape() -> None:
    model = Net(TimesConstant(), torch.rand(6, 6)).eval()
    with pytest.raises(
        spikelet.LoweringError, match=r"part \(TimesConstant\): .* shape \(6, 6\)\. One number for each"
    ):
        spikelet.lower(model, torch.zeros((1, 1, 6, 6), dtype=torch.uint8))
