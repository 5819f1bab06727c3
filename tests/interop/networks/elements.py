"""Networks whose code takes elements of other time steps, compares them, or moves channels and positions about."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from spikingjelly.activation_based import layer
from torch import Tensor, nn

from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.written import EVENTS, SMALL, T, lif
from tests.interop.networks.zoo import in_mode_m


def before(x: Tensor) -> Tensor:
    """The step before, zeros at first."""
    return torch.cat([torch.zeros_like(x[:1]), x[:-1]])


# --- other steps ------------------------------------------------------------------------------------------------


def with_delay(net: Any, x: Tensor) -> Tensor:
    """Spikes of this step and of the one before, side by side, and of two before."""
    spikes = net.lif(net.fc(x.flatten(2)))
    return net.classes(torch.cat([spikes + F.pad(spikes, (0, 0, 0, 0, 2, 0))[:-2], before(spikes)], 2)).mean(0)


def shifted(net: Any, x: Tensor) -> Tensor:
    """Temporal shift: some channels come a step late."""
    spikes = net.lif(net.conv(x))
    out = torch.zeros_like(spikes)
    out[1:, :, :2] = spikes[:-1, :, :2]
    out[:, :, 2:] = spikes[:, :, 2:]
    return net.fc(net.lif2(net.conv2(out)).flatten(2)).mean(0)


def differences(net: Any, x: Tensor) -> Tensor:
    """The first frame, and then what changed."""
    changes = torch.cat([x[:1], x[1:] - x[:-1]])
    return net.fc(net.lif(net.conv(changes)).flatten(2)).mean(0)


def shown_once(net: Any, x: Tensor) -> Tensor:
    """The image, and then nothing."""
    steps = torch.stack([x, *[torch.zeros_like(x)] * (T - 1)])
    return net.fc(net.lif(net.conv(steps)).flatten(2)).mean(0)


def maps(run: Any, channels: int, **more: nn.Module) -> Any:
    """A convolution and what it takes."""
    return lambda by: in_mode_m(Code(
        run, conv=layer.Conv2d(channels, 6, 3, padding=1), lif=lif(), fc=layer.Linear(384, 10), **more
    ))  # fmt: skip


# --- truth values -------------------------------------------------------------------------------------------------


def logic(net: Any, x: Tensor) -> Tensor:
    """Spikes of one branch and not the other, of both or neither, of those that are above a sum."""
    one, other = net.lif(net.conv(x)), net.lif2(net.conv2(x))
    a, b = one.bool(), other > 0
    return net.fc(((a & ~b).to(x) + (a == b).to(x) - torch.logical_xor(a, b).to(x)).flatten(2)).mean(0)


def choices(net: Any, x: Tensor) -> Tensor:
    """Currents that are chosen by spikes, and cut off."""
    spikes, current = net.lif(net.conv(x)), net.conv2(x)
    current = torch.where(spikes > 0.5, current, -0.5).masked_fill(current < -1.0, 0.0)
    return net.fc(net.lif2(current).flatten(2)).mean(0)


# --- channels and positions -----------------------------------------------------------------------------------------


def mixer(net: Any, x: Tensor) -> Tensor:
    """MLP-Mixer: dense layers over tokens, then over channels."""
    y = net.lif(net.patches(x)).flatten(3)
    y = y + net.tokens(y)
    return net.fc((y.transpose(2, 3) + net.channels(y.transpose(2, 3))).mean(2)).mean(0)


def graph(net: Any, x: Tensor) -> Tensor:
    """A graph convolution: nodes are rows, joined by a matrix of edges."""
    y = net.lif(torch.matmul(net.edges, net.fc(x)))
    return net.classes(torch.einsum("nm,tbmf->tbnf", net.edges, y).mean(2)).mean(0)


def of_nodes(by: int) -> nn.Module:
    """A ring of eight nodes."""
    net = in_mode_m(Code(graph, fc=layer.Linear(3, 12), lif=lif(), classes=layer.Linear(12, 10)))
    net.register_buffer("edges", (torch.eye(8) + torch.eye(8).roll(1, 0)) / 2)
    return net


def patches(net: Any, x: Tensor) -> Tensor:
    """Pixels of a patch as one row, cut by view and permute."""
    steps, B = x.shape[:2]
    rows = x.view(steps, B, 2, 2, 4, 2, 4).permute(0, 1, 3, 5, 2, 4, 6).reshape(steps, B, 4, 32)
    return net.fc(net.lif(net.patches(rows)).mean(2)).mean(0)


def u_net(net: Any, x: Tensor) -> Tensor:
    """Classes of every pixel."""
    high = net.lif(net.conv(x))
    low = net.lif2(net.conv2(net.pool(high)))
    return net.head(torch.cat([high, net.up(low)], 2)).mean(0)


ELEMENTS = (
    Network("spikes of one and two steps before", lambda by: in_mode_m(Code(
        with_delay, fc=layer.Linear(128, 24), lif=lif(), classes=layer.Linear(48, 10)
    )), EVENTS, T, COUNTS),
    Network("temporal shift", maps(shifted, 2, conv2=layer.Conv2d(6, 6, 3, padding=1), lif2=lif()), EVENTS, T, COUNTS),
    Network("differences of frames", maps(differences, 2), EVENTS, T, COUNTS),
    Network("the image at the first step", maps(shown_once, 3), SMALL, T),
    Network("and, not, xor, equal", maps(
        logic, 2, conv2=layer.Conv2d(2, 6, 3, padding=1), lif2=lif()
    ), EVENTS, T, COUNTS),
    Network("where, masked_fill", maps(
        choices, 2, conv2=layer.Conv2d(2, 6, 3, padding=1), lif2=lif()
    ), EVENTS, T, COUNTS),
    Network("MLP-Mixer", lambda by: in_mode_m(Code(
        mixer, patches=layer.Conv2d(2, 6, 2, 2), lif=lif(), fc=layer.Linear(6, 10),
        tokens=nn.Sequential(layer.Linear(16, 8), lif(), layer.Linear(8, 16, bias=False), lif()),
        channels=nn.Sequential(layer.Linear(6, 6), lif()),
    )), EVENTS, T, COUNTS),
    Network("graph convolution", of_nodes, (8, 3), T, COUNTS),
    Network("patches by view and permute", lambda by: in_mode_m(Code(
        patches, patches=layer.Linear(32, 12), lif=lif(), fc=layer.Linear(12, 10)
    )), EVENTS, T, COUNTS),
    Network("U-Net, classes of every pixel", lambda by: in_mode_m(Code(
        u_net, conv=layer.Conv2d(2, 6, 3, padding=1), lif=lif(), pool=layer.MaxPool2d(2), lif2=lif(),
        conv2=layer.Conv2d(6, 6, 3, padding=1), up=layer.ConvTranspose2d(6, 6, 2, 2), head=layer.Conv2d(12, 3, 1),
    )), EVENTS, T, COUNTS),
)  # fmt: skip
