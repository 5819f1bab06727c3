"""Networks of a second set that was written without looking at what goes: layers and neurons with code of their own."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.written import EVENTS, T

# --- layers with code of their own ------------------------------------------------------------------------------


class Binarised(nn.Conv2d):
    """Signs of its weights, scaled, with a gradient that goes straight through."""

    def forward(self, x: Tensor) -> Tensor:
        scale = self.weight.abs().mean((1, 2, 3), keepdim=True)
        weight = (torch.sign(self.weight) * scale - self.weight).detach() + self.weight
        return F.conv2d(x, weight, self.bias, self.stride, self.padding)


class OverTime(nn.BatchNorm2d):
    """A norm of [T, B, C, H, W] that its threshold scales, written out."""

    def forward(self, x: Tensor) -> Tensor:
        at = (None, None, slice(None), None, None)
        x = 0.5 * (x - self.running_mean[at]) / torch.sqrt(self.running_var[at] + self.eps)  # type: ignore[index]
        return x * self.weight[at] + self.bias[at]


class Noisy(nn.Linear):
    """Noise in training."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.randn_like(x) if self.training else x)


class Learned(nn.Module):
    """A neuron of [T, B, ...] that learns its leak and its threshold, and holds nothing else."""

    def __init__(self) -> None:
        super().__init__()
        self.leak, self.threshold = nn.Parameter(torch.tensor(0.3)), nn.Parameter(torch.tensor(-1.2))

    def forward(self, x: Tensor) -> Tensor:
        leak, threshold = torch.sigmoid(self.leak), F.softplus(self.threshold)
        membrane, out = torch.zeros_like(x[0]), []
        for current in x:
            membrane = leak * membrane + (1 - leak) * current
            spikes = (membrane - threshold >= 0).to(x.dtype)
            membrane = membrane * (1 - spikes)
            out.append(spikes)
        return torch.stack(out)


def folded(net: Any, x: Tensor) -> Tensor:
    """Convolutions of time and batch as one axis."""
    y = net.conv(x.flatten(0, 1))
    return net.fc(net.fires(net.norm(y.view(*x.shape[:2], *y.shape[1:]))).flatten(2)).mean(0)


class Kept(nn.Module):
    """A neuron with its membrane on itself, and a threshold that no float holds."""

    def __init__(self) -> None:
        super().__init__()
        self.membrane: Any = 0.0

    def forward(self, x: Tensor) -> Tensor:
        self.membrane = self.membrane + (x - self.membrane) / 2.0
        spikes = (self.membrane >= 0.3).float()
        self.membrane = self.membrane * (1.0 - spikes)
        return spikes


def begun_anew(net: Any, x: Tensor) -> Tensor:
    """Membranes are reset in the forward."""
    for module in net.modules():
        if isinstance(module, Kept):
            module.membrane = 0.0
    return torch.stack([net.body(frame.flatten(1)) for frame in x]).mean(0)


HABITS = (
    Network("layers with code of their own", lambda by: Code(
        folded, conv=Binarised(2, 8, 3, padding=1), norm=OverTime(8), fires=Learned(), fc=Noisy(512, 10)
    ), EVENTS, T, COUNTS),
    Network("own neurons reset by the forward, threshold 0.3", lambda by: Code(
        begun_anew, body=nn.Sequential(nn.Linear(128, 32), Kept(), nn.Linear(32, 10), Kept())
    ), EVENTS, T, COUNTS),
)  # fmt: skip
