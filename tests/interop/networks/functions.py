"""Networks whose code calls functions of weights, joins and scales feedback, or does something else that layers alone
do elsewhere."""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
import torch.nn.functional as F
from snntorch import utils
from spikingjelly.activation_based import functional, layer
from torch import Tensor, nn

from spikelet.neurons import Hard, LIFParams
from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.tutorials import leaky
from tests.interop.networks.written import answers, dense, lif
from tests.interop.networks.zoo import in_mode_m

T = 4
SMALL, EVENTS = (3, 8, 8), (2, 8, 8)


class Weights(Code):
    """Parameters of its own besides layers, drawn from the shapes `weights`."""

    def __init__(self, run: Any, weights: dict[str, tuple[int, ...]], **layers: nn.Module) -> None:
        super().__init__(run, **layers)
        for name, shape in weights.items():
            setattr(self, name, nn.Parameter(0.2 * torch.randn(shape)))


# --- functions of weights ----------------------------------------------------------------------------------


def functions(net: Any, x: Tensor) -> Tensor:
    """A network without one layer."""
    utils.reset(net)
    out = torch.zeros(len(x), 10)
    for _ in range(T):
        spikes = net.lif(F.conv2d(x, net.kernel, net.bias, padding=1))
        out = out + net.lif2(F.linear(spikes.flatten(1), net.weight))
    return out


def matrices(net: Any, x: Tensor) -> Tensor:
    """Products with matrices."""
    utils.reset(net)
    return sum(net.lif2(torch.matmul(net.lif(x.flatten(1) @ net.first), net.second)) for _ in range(T))  # type: ignore[return-value]


def masked(net: Any, x: Tensor) -> Tensor:
    """Synapses that a mask leaves out."""
    utils.reset(net)
    mask = (torch.arange(192) % 3 > 0).float()
    steps = [net.fc2(net.lif(F.linear(x.flatten(1), net.fc.weight * mask, net.fc.bias))) for _ in range(T)]
    return torch.stack(steps).mean(0)


def standardised(net: Any, x: Tensor) -> Tensor:
    """Weights standardised at every call, all steps at once."""

    def conv(own: Any, maps: Tensor) -> Tensor:
        weight = own.weight - own.weight.mean((1, 2, 3), keepdim=True)
        weight = weight / (own.weight.std((1, 2, 3), keepdim=True) + 1e-5)
        y = F.conv2d(maps.flatten(0, 1), weight, own.bias, own.stride, own.padding)
        return y.unflatten(0, maps.shape[:2])

    maps = net.lif(conv(net.conv, x.unsqueeze(0).repeat(T, 1, 1, 1, 1)))
    return net.fc(net.lif2(conv(net.conv2, maps)).flatten(2)).mean(0)


def norm_by_hand(net: Any, x: Tensor) -> Tensor:
    """A norm called as a function."""
    norm, steps = net.norm, []
    utils.reset(net)
    for _ in range(T):
        y = F.batch_norm(net.conv(x), norm.running_mean, norm.running_var, norm.weight, norm.bias, norm.training)
        steps.append(net.fc(net.lif(y).flatten(1)))
    return torch.stack(steps)


# --- feedback ----------------------------------------------------------------------------------------------


def feedback(add: Any, inputs: int = 128, bias: bool = False) -> Any:
    """A loop over frames whose current is `add(net, frame, spikes of the step before)`."""

    def run(net: Any, x: Tensor) -> Tensor:
        spikes, mem, out = x.new_zeros(x.shape[1], 24), net.lif.init_leaky(), []
        for frame in x:
            spikes, mem = net.lif(add(net, frame.flatten(1), spikes), mem)
            out.append(net.classes(spikes))
        return torch.stack(out).mean(0)

    return lambda by: Weights(
        run, {"gain": (1,)}, fc=nn.Linear(inputs, 24), back=nn.Linear(24, 24, bias=bias), lif=leaky(),
        classes=nn.Linear(24, 10),
    )  # fmt: skip


def maps_joined(net: Any, x: Tensor) -> Tensor:
    """Spikes of the step before beside a frame, as channels of one convolution."""
    functional.reset_net(net)
    spikes, out = torch.zeros(x.shape[1], 6, 8, 8), 0
    for frame in x:
        spikes = net.lif(net.conv(torch.cat((spikes, frame), dim=1)))
        out = out + net.fc(spikes.flatten(1))
    return out  # type: ignore[return-value]


# --- answers -------------------------------------------------------------------------------------------------


def largest(net: Any, x: Tensor) -> Tensor:
    """The largest score over time."""
    return torch.stack([net.fc2(spikes) for spikes, _ in answers_of_first(net, x)], 1).amax(dim=1)


def answers_of_first(net: Any, x: Tensor) -> list[tuple[Tensor, Any]]:
    """Spikes of the first layer and its membranes."""
    mem, made = net.lif1.init_leaky(), []
    for _ in range(T):
        spikes, mem = net.lif1(net.fc1(x.flatten(1)), mem)
        made.append((spikes, mem))
    return made


@dataclasses.dataclass
class Output:
    """What some libraries return."""

    logits: Tensor
    spikes: list[Tensor]


def in_a_dataclass(net: Any, x: Tensor) -> Output:
    """Scores by name."""
    spikes = [one for one, _ in answers(net, x)]
    return Output(torch.stack(spikes).sum(0), spikes)


def of_all_layers(net: Any, x: Tensor) -> list[Tensor]:
    """Spikes of every layer."""
    first = [one for one, _ in answers_of_first(net, x)]
    return [torch.stack(first), torch.stack([net.fc2(one) for one in first])]


def sums_so_far(net: Any, x: Tensor) -> Tensor:
    """Scores up to every step, added up by the loop."""
    total, made = torch.zeros(len(x), 10), []
    for spikes, _ in answers_of_first(net, x):
        total = total + net.fc2(spikes)
        made.append(total)
    return torch.stack(made)


# --- inputs and time -------------------------------------------------------------------------------------------


class Fires(nn.Module):
    """A neuron of [B, T, ...] as those of TET, tdBN and TEBN."""

    def forward(self, x: Tensor) -> Tensor:
        membrane, out = torch.zeros_like(x[:, 0]), []
        for step in x.unbind(1):
            membrane = 0.5 * membrane + step
            spikes = (membrane >= 0.5).to(x.dtype)
            membrane = (1 - spikes) * membrane
            out.append(spikes)
        return torch.stack(out, 1)


OWN: dict[str, Any] = {"neurons": {Fires: LIFParams(leak=0.5, threshold=0.5, reset=Hard())}}


class EffectiveNorm(nn.Module):
    """TEBN as its authors write it: a norm of films, and a factor for each step."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.bn, self.p = nn.BatchNorm3d(channels), nn.Parameter(torch.linspace(0.5, 1.5, T).view(T, 1, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(x.transpose(1, 2).contiguous()).transpose(1, 2).transpose(0, 1).contiguous()
        return (y * self.p).contiguous().transpose(0, 1)


def films(net: Any, x: Tensor) -> Tensor:
    """[B, T, ...] throughout."""
    y = net.fires(net.norm(net.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])))
    return net.fc(torch.flatten(y, 2)).mean(1)


def unsqueezed(net: Any, x: Tensor) -> Tensor:
    """An axis of time that the image gets in place."""
    x.unsqueeze_(1)
    x = x.repeat(1, T, 1, 1, 1)
    return net.fc(net.fires(net.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])).flatten(2)).mean(1)


def broadcast(net: Any, x: Tensor) -> Tensor:
    """The image held by broadcasting."""
    x, _ = torch.broadcast_tensors(x, torch.zeros((T, *x.shape)))  # type: ignore[misc]
    x = x.permute(1, 0, 2, 3, 4)
    return net.fc(net.fires(net.conv(x.flatten(0, 1)).unflatten(0, x.shape[:2])).flatten(2)).mean(1)


def own(run: Any, channels: int = 3, **more: nn.Module) -> Any:
    """A convolution, neurons of [B, T, ...] and a layer of classes."""
    return lambda by: Code(run, conv=nn.Conv2d(channels, 6, 3, padding=1), fires=Fires(), fc=nn.Linear(384, 10), **more)


def without_channels(net: Any, x: Tensor) -> Tensor:
    """Images [B, H, W]."""
    utils.reset(net)
    return torch.stack([net.fc(net.lif(net.conv(x.unsqueeze(1))).flatten(1)) for _ in range(T)])


def late(by: int) -> nn.Module:
    """Spikes that arrive two steps later."""
    return in_mode_m(nn.Sequential(layer.Linear(20, 24), lif(), layer.Delay(2), layer.Linear(24, 10)))  # type: ignore[attr-defined]


def either(net: Any, x: Tensor) -> Tensor:
    """Spikes of one branch or the other, as truth values."""
    return net.fc(torch.logical_or(net.lif(net.conv(x)).bool(), net.lif2(net.conv2(x)).bool()).to(x).flatten(2)).mean(0)


FUNCTIONS = (
    Network(
        "functions of parameters alone", lambda by: Weights(
            functions, {"kernel": (8, 3, 3, 3), "bias": (8,), "weight": (10, 512)}, lif=leaky(init_hidden=True),
            lif2=leaky(init_hidden=True),
        ), SMALL, T,
    ),
    Network(
        "products with matrices", lambda by: Weights(
            matrices, {"first": (192, 24), "second": (24, 10)}, lif=leaky(init_hidden=True),
            lif2=leaky(init_hidden=True),
        ), SMALL, T,
    ),
    Network(
        "masked weights", lambda by: Code(
            masked, fc=nn.Linear(192, 24), lif=leaky(init_hidden=True), fc2=nn.Linear(24, 10)
        ), SMALL, T,
    ),
    Network(
        "weights standardised in the code", lambda by: in_mode_m(Code(
            standardised, conv=nn.Conv2d(3, 6, 3, padding=1), conv2=nn.Conv2d(6, 6, 3), lif=lif(), lif2=lif(),
            fc=nn.Linear(216, 10),
        )), SMALL, T,
    ),
    Network(
        "a norm as a function", lambda by: Code(
            norm_by_hand, conv=nn.Conv2d(3, 6, 3, padding=1), norm=nn.BatchNorm2d(6), lif=leaky(init_hidden=True),
            fc=nn.Linear(384, 10),
        ), SMALL, T,
    ),
    Network("feedback halved", feedback(lambda net, x, s: net.fc(x) + 0.5 * net.back(s), bias=True), EVENTS, T, COUNTS),
    Network("feedback subtracted", feedback(lambda net, x, s: net.fc(x) - net.back(s)), EVENTS, T, COUNTS),
    Network(
        "feedback, a learned gain", feedback(lambda net, x, s: net.fc(x) + net.gain * net.back(s)), EVENTS, T, COUNTS
    ),
    Network(
        "feedback joined to the input", feedback(lambda net, x, s: net.fc(torch.cat([x, s], 1)), 152), EVENTS, T, COUNTS
    ),
    Network(
        "maps joined to the input", lambda by: Code(
            maps_joined, conv=layer.Conv2d(8, 6, 3, padding=1), lif=lif(), fc=layer.Linear(384, 10)
        ), EVENTS, T, COUNTS,
    ),
    Network("the largest score", dense(largest), SMALL, T),
    Network("a dataclass of answers", dense(in_a_dataclass), SMALL, T),
    Network(
        "TEBN by its authors", own(films, 2, norm=EffectiveNorm(6)), EVENTS, T, {"scale": 1.0, "time_axis": 1, **OWN}
    ),
    Network("unsqueeze_ of the image", own(unsqueezed), SMALL, T, OWN),
    Network("broadcast_tensors of the image", own(broadcast), SMALL, T, OWN),
    Network(
        "images without channels", lambda by: Code(
            without_channels, conv=nn.Conv2d(1, 6, 3), lif=leaky(init_hidden=True), fc=nn.Linear(216, 10)
        ), (8, 8), T,
    ),
    Network("a delay", late, (20,), T, {**COUNTS, "levels": 1}),
    Network(
        "own spikes through no layer", feedback(lambda net, x, s: net.fc(x) - 0.5 * s), EVENTS, T, COUNTS,
        refused=r"net\.lif: reads its own spikes of the step before times -0\.5, through no layer.* nn\.Linear",
        why="put a Linear between, with -0.5 on its diagonal",
    ),
    Network(
        "spikes of all layers", dense(of_all_layers), SMALL, T,
        refused=r"a list of tensors of several shapes, .* such as the last: forward=lambda net, x: net\(x\)\[-1\]",
        why="which of them is the answer: `forward=lambda net, x: net(x)[-1]`",
    ),
    Network("sums so far, by the loop", dense(sums_so_far), SMALL, T),
    Network(
        "or of truth values", lambda by: in_mode_m(Code(
            either, conv=layer.Conv2d(2, 6, 3), conv2=layer.Conv2d(2, 6, 3), lif=lif(), lif2=lif(),
            fc=layer.Linear(216, 10),
        )), EVENTS, T, COUNTS,
    ),
)  # fmt: skip
