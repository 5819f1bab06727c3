"""Networks of users' own classes: subclasses of layers, neurons that fold time and batch or are fed back, branches that
run twice; and states that training detaches."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from spikelet.neurons import Hard, LIFParams
from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.tutorials import leaky
from tests.interop.networks.written import BATCH_FIRST, EVENTS, OWN, SMALL, OnAxisOne, T, lif
from tests.interop.networks.zoo import in_mode_m

# --- subclasses ------------------------------------------------------------------------------------------------


class Node(neuron.LIFNode):
    """The neuron that a project uses everywhere."""

    def __init__(self) -> None:
        super().__init__(tau=4.0, v_threshold=0.25, v_reset=None)


class Conv3x3(layer.Conv2d):
    """A convolution of one kind."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(inputs, outputs, 3, padding=1, bias=False)


class Norm(nn.BatchNorm2d):
    """A norm with another eps."""

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=1e-4)


class Leaky(snn.Leaky):
    """The same for snnTorch."""

    def __init__(self) -> None:
        super().__init__(beta=0.75, threshold=0.25, init_hidden=True)


def of_subclasses(by: int) -> nn.Module:
    """Every layer is of a class of the user's."""
    return in_mode_m(nn.Sequential(
        Conv3x3(2, 6), layer.SeqToANNContainer(Norm(6)), Node(), layer.Flatten(), layer.Linear(384, 10)
    ))  # fmt: skip


# --- states -----------------------------------------------------------------------------------------------------


def detached(net: Any, x: Tensor) -> Tensor:
    """Feedback and membranes cut off from their past, for training."""
    mem1, mem2, spikes, out = net.lif.init_leaky(), net.lif2.init_leaky(), x.new_zeros(x.shape[1], 24), []
    for frame in x:
        spikes, mem1 = net.lif(net.fc(frame.flatten(1)) + net.back(spikes.detach()), mem1.detach())
        scores, mem2 = net.lif2(net.classes(spikes), mem2)
        mem2 = mem2.detach_()
        out.append(scores)
    return torch.stack(out)


def read_membranes(net: Any, x: Tensor) -> Tensor:
    """A layer reads the membranes of the one before, not its spikes."""
    mem, out = net.lif.init_leaky(), []
    for _ in range(T):
        _, mem = net.lif(net.fc(x.flatten(1)), mem)
        out.append(net.classes(mem))
    return torch.stack(out)


# --- own neurons ------------------------------------------------------------------------------------------------


class Cell(nn.Module):
    """One step, its membrane handed in and out."""

    def forward(self, x: Tensor, membrane: Tensor) -> tuple[Tensor, Tensor]:
        membrane = 0.5 * membrane + x
        spikes = (membrane >= 0.25).to(x)
        return spikes, membrane * (1 - spikes)


class Folded(nn.Module):
    """All steps, time and batch as one axis, time first or not."""

    def __init__(self, time_at: int) -> None:
        super().__init__()
        self.time_at = time_at

    def forward(self, x: Tensor) -> Tensor:
        steps = x.unflatten(0, (T, -1) if self.time_at == 0 else (-1, T)).unbind(self.time_at)
        membrane, out = torch.zeros_like(steps[0]), []
        for step in steps:
            membrane = 0.5 * membrane + step
            spikes = (membrane >= 0.25).to(x)
            membrane = membrane * (1 - spikes)
            out.append(spikes)
        return torch.stack(out, self.time_at).flatten(0, 1)


CELLS: dict[str, Any] = {"neurons": {cls: LIFParams(0.5, 0.25, reset=Hard()) for cls in (Cell, Folded)}}


def cells(net: Any, x: Tensor) -> Tensor:
    """States in a list of pairs."""
    states, out = [(x.new_zeros(x.shape[1], 24),) * 2 for _ in range(2)], []
    for frame in x:
        y = frame.flatten(1)
        for i in range(2):
            spikes, membrane = states[i]
            states[i] = net.cells[i](net.forward_layers[i](y) + net.back_layers[i](spikes), membrane)
            y = states[i][0]
        out.append(net.classes(y))
    return torch.stack(out).mean(0)


def with_cells(by: int) -> nn.Module:
    """Two layers, each with feedback."""
    return Code(
        cells, cells=nn.ModuleList([Cell(), Cell()]), classes=nn.Linear(24, 10),
        forward_layers=nn.ModuleList([nn.Linear(128, 24), nn.Linear(24, 24)]),
        back_layers=nn.ModuleList([nn.Linear(24, 24, bias=False) for _ in range(2)]),
    )  # fmt: skip


def folded(run: Any, channels: int, time_at: int) -> Any:
    """Layers of one axis for time and batch."""
    return lambda by: Code(run, layers=nn.Sequential(
        nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6), Folded(time_at), nn.MaxPool2d(2),
        nn.Conv2d(6, 6, 3), Folded(time_at), nn.Flatten(), nn.Linear(24, 10),
    ))  # fmt: skip


def by_view(net: Any, x: Tensor) -> Tensor:
    """Time and batch made one axis and two again by view."""
    B, steps, C, H, W = x.shape
    y = net.fires(net.conv(x.reshape(B * steps, C, H, W)).view(B, steps, 6, H, W))
    return net.fc(net.pool(y.view(B * steps, 6, H, W)).view(B, steps, -1)).sum(1) / steps


def twins(net: Any, x: Tensor) -> Tensor:
    """The distance of two images, side by side, in one branch that is reset in between."""

    def seen(image: Tensor) -> Tensor:
        functional.reset_net(net)
        return net.fc(net.lif(net.conv(image.unsqueeze(0).repeat(T, 1, 1, 1, 1))).flatten(2)).mean(0)

    return torch.abs(seen(x[:, :1]) - seen(x[:, 1:]))


CLASSES = (
    Network("subclasses that set defaults", of_subclasses, EVENTS, T, COUNTS),
    Network(
        "a subclass of Leaky", lambda by: nn.Sequential(nn.Flatten(), nn.Linear(192, 24), Leaky(), nn.Linear(24, 10)),
        SMALL, T,
    ),
    Network(
        "states and feedback detached", lambda by: Code(
            detached, fc=nn.Linear(128, 24), back=nn.Linear(24, 24, bias=False), lif=leaky(), lif2=leaky(),
            classes=nn.Linear(24, 10),
        ), EVENTS, T, COUNTS,
    ),
    Network(
        "a layer of membranes", lambda by: Code(
            read_membranes, fc=nn.Linear(192, 24), lif=leaky(0.5), classes=nn.Linear(24, 10)
        ), SMALL, T,
    ),
    Network("own cells, handed states, fed back", with_cells, EVENTS, T, {**COUNTS, **CELLS}),
    Network(
        "own neurons of [T B, ...], the image", folded(
            lambda net, x: net.layers(x.repeat(T, 1, 1, 1)).view(T, -1, 10).mean(0), 3, 0
        ), SMALL, T, CELLS,
    ),
    Network(
        "own neurons of [B T, ...], frames", folded(
            lambda net, x: net.layers(x.flatten(0, 1)).view(-1, T, 10).mean(1), 2, 1
        ), EVENTS, T, BATCH_FIRST | CELLS,
    ),
    Network(
        "own neurons, view", lambda by: Code(
            by_view, conv=nn.Conv2d(2, 6, 3, padding=1), fires=OnAxisOne(), pool=nn.AvgPool2d(2), fc=nn.Linear(96, 10)
        ), EVENTS, T, BATCH_FIRST | OWN,
    ),
    Network(
        "one branch for two images", lambda by: in_mode_m(Code(
            twins, conv=layer.Conv2d(1, 6, 3), lif=lif(), fc=layer.Linear(216, 10)
        )), (2, 8, 8), T,
    ),
    Network(
        "one neuron in two places, all steps", lambda by: in_mode_m(Code(
            lambda net, x: net.fc(net.lif(net.conv2(net.lif(net.conv(x)))).flatten(2)).mean(0),
            conv=layer.Conv2d(2, 6, 3), conv2=layer.Conv2d(6, 6, 3), lif=lif(), fc=layer.Linear(96, 10),
        )), EVENTS, T, COUNTS,
        refused=r"net\.lif: ran on all time steps twice .* Make a neuron for each of them, or reset it in between",
        why="its membrane of the first place goes on in the second; make two",
    ),
)  # fmt: skip
