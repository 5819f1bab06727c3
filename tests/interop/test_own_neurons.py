"""Neurons that a user wrote, converted by the parameters that the user gives."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError
from spikelet.neurons import Hard, LIFParams, Soft

T = 5


class Own(nn.Module):
    """Plain torch, a state between calls, a reset of its own name."""

    def __init__(self, tau: float = 2.0) -> None:
        super().__init__()
        self.tau, self.v = tau, None

    def forward(self, x: Tensor) -> Tensor:
        v = x if self.v is None else (1 - 1 / self.tau) * self.v + x
        spikes = (v >= 0.5).float()
        self.v = v * (1 - spikes)
        return spikes

    def reset(self) -> None:
        self.v = None


class HandsOver(nn.Module):
    """A state that the caller keeps."""

    def forward(self, x: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        v = 0.75 * v + x
        spikes = (v >= 0.5).float()
        return spikes, v - 0.5 * spikes


class Loop(nn.Module):
    """Steps through time, and hands the state on; `mixes` gives it back as well."""

    def __init__(self, *, mixes: bool = False) -> None:
        super().__init__()
        self.fc, self.lif, self.out, self.mixes = dyadic(nn.Linear(16, 8)), HandsOver(), dyadic(nn.Linear(8, 4)), mixes

    def forward(self, x: Tensor) -> Tensor:
        v, answers = torch.zeros(x.shape[0], 8), []
        for _ in range(T):
            spikes, v = self.lif(self.fc(x), v)
            answers.append(self.out(spikes if not self.mixes else spikes + v))
        return torch.stack(answers)


def dyadic(layer: nn.Linear) -> nn.Linear:
    """Weights that integers hold, so that the grids change nothing."""
    for values in layer.parameters():
        nn.init.uniform_(values, -1, 1).data.mul_(16).round_().div_(16)
    return layer


def in_a_row() -> nn.Module:
    return nn.Sequential(dyadic(nn.Linear(16, 8)), Own(), dyadic(nn.Linear(8, 8)), Own(4.0), dyadic(nn.Linear(8, 4)))


def same(net: nn.Module, neurons: Any, **options: Any) -> None:
    torch.manual_seed(0)
    x, labels = torch.randint(0, 256, (6, 16), dtype=torch.uint8), torch.zeros(6, dtype=torch.long)
    for convert in (spikelet.from_spikingjelly, spikelet.from_snntorch):
        model = convert(net, time_steps=T, scale=1 / 256, neurons=neurons, **options)
        report = model.compare([(x, labels)])
        assert report.different == 0, str(report)
        assert all(0 < spikes.original < spikes.compared for spikes in report.layers)
        assert spikelet.verify(spikelet.lower(quantized(model), x), model, [(x, labels)]).mismatches == 0


def quantized(model: nn.Module) -> nn.Module:
    for module in model.modules():
        if isinstance(module, spikelet.nn.Linear):
            module.quantizer = spikelet.quant.Uniform(4, per_channel=False)
    return model


def test_parameters_take_the_place_of_a_class() -> None:
    same(in_a_row(), {Own: lambda neuron: LIFParams(1 - 1 / neuron.tau, 0.5, reset=Hard())})


def test_states_are_handed_on() -> None:
    same(Loop(), {HandsOver: LIFParams(0.75, 0.5, reset=Soft())})


def test_what_a_state_holds_nobody_looks_at() -> None:
    with pytest.raises(
        ConversionError, match=r"lif: the network returns or computes with a state of a neuron of its own"
    ):
        spikelet.from_snntorch(Loop(mixes=True), time_steps=T, neurons={HandsOver: LIFParams(0.75, 0.5)})(
            torch.zeros((2, 16), dtype=torch.uint8)
        )


@pytest.mark.parametrize("neurons", [{Own: 0.5}, {"Own": LIFParams()}, {int: LIFParams()}])
def test_anything_else_is_refused(neurons: Any) -> None:
    with pytest.raises(ConversionError, match="neurons must map a class of yours to LIFParams"):
        spikelet.from_spikingjelly(in_a_row(), time_steps=T, neurons=neurons)


@pytest.mark.parametrize("neurons", [3, Own, [(Own, LIFParams())], "Own", 0, []])
@pytest.mark.parametrize("convert", [spikelet.from_spikingjelly, spikelet.from_snntorch])
def test_what_is_no_dictionary_is_refused(convert: Any, neurons: Any) -> None:
    with pytest.raises(ConversionError, match=r"neurons must be a dictionary such as \{MyLIF: LIFParams"):
        convert(in_a_row(), time_steps=T, neurons=neurons)


def test_a_function_must_give_parameters() -> None:
    with pytest.raises(ConversionError, match=r"1: neurons={Own: \.\.\.} must give LIFParams, got 0\.5"):
        spikelet.from_spikingjelly(in_a_row(), time_steps=T, neurons={Own: lambda neuron: 0.5})
