"""Networks of a second set that was written without looking at what goes: layers and neurons with code of their own."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
import torch.nn.functional as F
from snntorch import utils
from spikingjelly.activation_based import layer
from torch import Tensor, nn

from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.written import EVENTS, SMALL, T, lif, repeated
from tests.interop.networks.zoo import in_mode_m

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


# --- time on the last axis --------------------------------------------------------------------------------------


class ByStep(nn.Module):
    """A layer called on each step of [B, ..., T]."""

    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.inner(x[..., t]) for t in range(x.shape[-1])], dim=-1)


class TimeLast(nn.Module):
    """A neuron that writes its spikes into a tensor, and reads them back for its reset."""

    def forward(self, x: Tensor) -> Tensor:
        membrane, out = torch.zeros_like(x[..., 0]), torch.zeros(x.shape, device=x.device)
        for t in range(x.shape[-1]):
            membrane = x[..., t] if t == 0 else 0.25 * membrane * (1 - out[..., t - 1]) + x[..., t]
            out[..., t] = (membrane > 0.3).to(x.dtype)
        return out


class TimeLastNorm(nn.BatchNorm2d):
    """Time in front of the channels and back again."""

    def forward(self, x: Tensor) -> Tensor:
        y = super().forward(x.permute(0, 4, 1, 2, 3).flatten(0, 1))
        return y.unflatten(0, (x.shape[0], x.shape[4])).permute(0, 2, 3, 4, 1)


def time_last(net: Any, x: Tensor) -> Tensor:
    """[B, C, H, W, T] throughout."""
    x = x.movedim(0, -1)
    x = net.pool(net.fires(net.norm(net.conv(x))))
    return net.fc(net.fires2(net.conv2(x)).flatten(1, 3)).sum(-1) / x.shape[-1]


class Unbound(nn.Module):
    """A neuron of [B, C, T] that takes its steps by unbind."""

    def forward(self, x: Tensor) -> Tensor:
        membrane, out = 0.0, []
        for current in x.unbind(-1):
            membrane = membrane * 0.5 + current
            spikes = (membrane >= 0.3).float()
            membrane = membrane - 0.3 * spikes
            out.append(spikes)
        return torch.stack(out, -1)


def blocks(net: Any, x: Tensor) -> Tensor:
    """The image repeated behind its features."""
    x = x.flatten(1).unsqueeze(-1).repeat(1, 1, T)
    x = net.fires(net.fc1(x.transpose(1, 2)).transpose(1, 2))
    return net.fires2(net.fc2(x.transpose(1, 2)).transpose(1, 2)).sum(-1)


# --- and others -------------------------------------------------------------------------------------------------


def straight_through(membrane: Tensor) -> Tensor:
    """Spikes whose gradient is that of a sigmoid."""
    soft, hard = torch.sigmoid(4 * (membrane - 0.3)), (membrane >= 0.3).float()
    return (hard - soft).detach() + soft


def surrogates(net: Any, x: Tensor) -> Tensor:
    """Neurons in the loop with such spikes."""
    one, two, out = torch.zeros(len(x), 24), torch.zeros(len(x), 10), torch.zeros(len(x), 10)
    for _ in range(T):
        one = one * 0.5 + net.fc1(x.flatten(1))
        spikes = straight_through(one)
        one = one * (1 - spikes.detach())
        two = two * 0.5 + net.fc2(spikes)
        spikes = straight_through(two)
        two = two * (1 - spikes.detach())
        out = out + spikes
    return out


def upsampled(net: Any, x: Tensor) -> Tensor:
    """Maps brought to sizes, by means and by the nearest."""
    spikes = net.fires(net.conv(repeated(x)))
    spikes = net.fires2(net.conv2(net.up(spikes)))
    return net.head(net.up2(spikes)).mean(0)


def to_itself(net: Any, x: Tensor) -> Tensor:
    """Neurons whose own last spike adds V."""
    spikes, membrane = net.one.init_rleaky()
    utils.reset(net)
    out: Any = 0
    for frame in x:
        spikes, membrane = net.one(net.fc1(frame.flatten(1)), spikes, membrane)
        out = out + net.two(net.fc2(spikes))
    return out


def repeated_last(net: Any, x: Tensor) -> Tensor:
    """The image at every step, time last, read by modules of neurons."""
    frames = x.unsqueeze(-1).repeat(*[1] * x.dim(), T)
    one, two, out = net.one.init_leaky(), net.two.init_leaky(), []
    for t in range(T):
        spikes, one = net.one(net.fc1(frames[..., t].flatten(1)), one)
        spikes, two = net.two(net.fc2(spikes), two)
        out.append(spikes)
    return torch.stack(out)


HABITS = (
    Network("time last, spikes written and read back", lambda by: Code(
        time_last, conv=ByStep(nn.Conv2d(2, 8, 3, padding=1)), norm=TimeLastNorm(8), fires=TimeLast(),
        pool=ByStep(nn.AvgPool2d(2)), conv2=ByStep(nn.Conv2d(8, 8, 3, padding=1)), fires2=TimeLast(),
        fc=ByStep(nn.Linear(128, 10)),
    ), EVENTS, T, COUNTS),
    Network("blocks of [B, C, T]", lambda by: Code(
        blocks, fc1=nn.Linear(192, 24), fires=Unbound(), fc2=nn.Linear(24, 10), fires2=Unbound()
    ), SMALL, T),
    Network("a Sequential of neurons with code of their own", lambda by: nn.Sequential(
        nn.Flatten(2), nn.Linear(128, 24), Learned(), Noisy(24, 10), Learned()
    ), EVENTS, T, COUNTS),
    Network("spikes straight through a sigmoid", lambda by: Code(
        surrogates, fc1=nn.Linear(192, 24), fc2=nn.Linear(24, 10)
    ), SMALL, T),
    Network("RLeaky, each to itself", lambda by: Code(
        to_itself, fc1=nn.Linear(128, 24), one=snn.RLeaky(0.9, all_to_all=False, V=0.125, threshold=0.25),
        fc2=nn.Linear(24, 10), two=snn.RLeaky(
            0.5, all_to_all=False, V=torch.linspace(-0.5, 0.125, 10), threshold=0.125, init_hidden=True,
        ),
    ), EVENTS, T, COUNTS),
    Network("upsampled to a size", lambda by: in_mode_m(Code(
        upsampled, conv=layer.Conv2d(3, 6, 3, 2, 1), fires=lif(), up=layer.Upsample(size=(8, 8), mode="bilinear"),
        conv2=layer.Conv2d(6, 6, 3, padding=1), fires2=lif(v_threshold=0.125), up2=layer.Upsample(size=16),
        head=layer.Conv2d(6, 3, 1),
    )), SMALL, T),
    Network("layers with code of their own", lambda by: Code(
        folded, conv=Binarised(2, 8, 3, padding=1), norm=OverTime(8), fires=Learned(), fc=Noisy(512, 10)
    ), EVENTS, T, COUNTS),
    Network("own neurons reset by the forward, threshold 0.3", lambda by: Code(
        begun_anew, body=nn.Sequential(nn.Linear(128, 32), Kept(), nn.Linear(32, 10), Kept())
    ), EVENTS, T, COUNTS),
    Network("the image repeated, time last", lambda by: Code(
        repeated_last, fc1=nn.Linear(192, 24), one=snn.Leaky(0.5), fc2=nn.Linear(24, 10), two=snn.Leaky(0.75)
    ), SMALL, T),
)  # fmt: skip
