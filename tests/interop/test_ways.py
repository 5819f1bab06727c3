"""Code whose own neurons take all time steps at once, and a forward that calls the network and chooses an output."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.interop import ConversionError
from spikelet.interop.ways import AllAtOnce, StepByStep
from spikelet.neurons import Hard, LIFParams

pytest.importorskip("snntorch", reason="needs snnTorch")
import snntorch as snn

T = 4
PARAMETERS = LIFParams(leak=0.5, threshold=0.5, reset=Hard())


def of_64ths(net: nn.Module) -> nn.Module:
    """`net` with weights on a grid, so that spikes are the same."""
    for p in net.parameters():
        p.data = (p.data * 64).round() / 64
    return net.eval()


class Own(nn.Module):
    """Neurons of all time steps, on axis `axis`."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor) -> Tensor:
        v, out = 0, []
        for current in x.unbind(self.axis):
            v = 0.5 * v + current
            spikes = (v >= 0.5).to(x)
            v = v * (1 - spikes)
            out.append(spikes)
        return torch.stack(out, self.axis)


class Net(nn.Module):
    """Layers on time and batch as one axis."""

    def __init__(self, axis: int, ends: Callable[[Tensor], Tensor], begins: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.lif, self.fc = nn.Conv2d(2, 4, 3), Own(axis), nn.Linear(144, 5)
        self.begins, self.ends = begins, ends

    def forward(self, x: Tensor) -> Tensor:
        x = self.begins(x)
        spikes = self.lif(self.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2]))
        return self.ends(self.fc(spikes.flatten(2)))


REPEATS: tuple[Callable[[Tensor], Tensor], ...] = (
    lambda x: x.unsqueeze(0).repeat(T, 1, 1, 1, 1),
    lambda x: torch.stack([x] * T, 1),
)
LAST: tuple[Callable[[Tensor], Tensor], ...] = (lambda y: y[-1], lambda y: y[:, -1])


@torch.no_grad()
@pytest.mark.parametrize("batch", [1, 3, T])
@pytest.mark.parametrize("frames", [False, True], ids=["image", "frames"])
@pytest.mark.parametrize("axis", [0, 1])
def test_own_neurons_of_all_steps_give_what_they_gave(axis: int, frames: bool, batch: int) -> None:
    """Given an image, they once ran step by step and gave other spikes, and no error said so."""
    net = of_64ths(Net(axis, LAST[axis], (lambda x: x) if frames else REPEATS[axis]))
    lead = ((T, batch), (batch, T))[axis] if frames else (batch,)
    x = torch.randint(0, 3, (*lead, 2, 8, 8), dtype=torch.uint8)
    options: dict[str, Any] = {"time_axis": axis} if frames else {}
    model = spikelet.from_spikingjelly(net, time_steps=T, scale=1.0, neurons={Own: PARAMETERS}, **options)
    assert torch.equal(model(x), net(x.float()))
    assert type(model.way) is AllAtOnce
    assert model.compare([(x, torch.zeros(batch, dtype=torch.long))]).different == 0


@torch.no_grad()
def test_answers_of_a_repeated_image_come_time_first() -> None:
    net = of_64ths(Net(1, lambda y: y, REPEATS[1]))
    x = torch.randint(0, 3, (3, 2, 8, 8), dtype=torch.uint8)
    model = spikelet.from_spikingjelly(net, time_steps=T, scale=1.0, neurons={Own: PARAMETERS})
    assert torch.equal(model(x), net(x.float()).transpose(0, 1))


def test_own_neurons_of_one_step_are_still_called_once_a_step() -> None:
    net = nn.Sequential(nn.Conv2d(2, T, 3), Own(1), nn.Flatten(), nn.Linear(144, 5))
    model = spikelet.from_spikingjelly(net, time_steps=T, scale=1.0, neurons={Own: PARAMETERS})
    assert model(torch.zeros((3, 2, 8, 8), dtype=torch.uint8)).shape == (T, 3, 5)
    assert type(model.way) is not AllAtOnce, "T channels are no time"


class Loop(nn.Module):
    """Spikes and membranes, stacked."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.lif = nn.Linear(16, 5), snn.Leaky(beta=0.5, threshold=0.25)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        mem, spikes, membranes = self.lif.init_leaky(), [], []
        for _ in range(T):
            spk, mem = self.lif(self.fc(x.flatten(1)), mem)
            spikes.append(spk)
            membranes.append(mem)
        return torch.stack(spikes), torch.stack(membranes)


class Step(nn.Module):
    """One step of it, states hidden."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.fc, self.lif = nn.Linear(16, 5), snn.Leaky(beta=0.5, threshold=0.25, init_hidden=True, output=True)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        return self.lif(self.fc(x.flatten(1)))


@torch.no_grad()
@pytest.mark.parametrize("make", [Loop, Step])
def test_another_output_is_chosen_by_a_forward_that_calls_the_network(make: Callable[[], nn.Module]) -> None:
    net, x = of_64ths(make()), torch.randint(0, 3, (3, 1, 4, 4), dtype=torch.uint8)
    model = spikelet.from_snntorch(net, time_steps=T, scale=1.0, forward=lambda net, x: net(x)[1])
    expected = net(x.float())[1] if make is Loop else torch.stack([net(x.float())[1] for _ in range(T)])
    assert torch.equal(model(x), expected)
    assert (type(model.way) is StepByStep) == (make is Step)
    report = model.compare([(x, torch.zeros(3, dtype=torch.long))])
    assert (report.different, report.agreement) == (0, 1.0)


def test_a_forward_that_runs_in_no_way_is_refused() -> None:
    model = spikelet.from_snntorch(Loop(), time_steps=T, forward=lambda net, x: net.nothing(x))
    with pytest.raises(ConversionError, match=r"Loop's forward does not run on .*has no attribute 'nothing'"):
        model(torch.zeros((3, 1, 4, 4), dtype=torch.uint8))
