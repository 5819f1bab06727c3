"""Networks whose code writes its neurons out, as tensor functions in the loop over time."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.written import BATCH_FIRST, EVENTS, SMALL, T

THRESHOLD, DECAY = 0.25, 0.25


class Fire(torch.autograd.Function):
    """A rectangle as surrogate."""

    @staticmethod
    def forward(ctx: Any, membrane: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(membrane)
        return membrane.gt(THRESHOLD).float()

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (membrane,) = ctx.saved_tensors
        return gradient * ((membrane - THRESHOLD).abs() < 0.5)


class Written(torch.autograd.Function):
    """Ones written where a number is positive; SuperSpike's surrogate."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:  # type: ignore[override]
        ctx.save_for_backward(x)
        out = torch.zeros_like(x)
        out[x > 0] = 1.0
        return out

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> Tensor:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return gradient / (10 * x.abs() + 1) ** 2


fire, written = Fire.apply, Written.apply


def updated(layer: nn.Module, x: Tensor, membrane: Tensor, spikes: Tensor) -> tuple[Tensor, Tensor]:
    """One step of spatio-temporal backpropagation's neurons."""
    membrane = membrane * DECAY * (1.0 - spikes) + layer(x)
    return membrane, fire(membrane)


def scnn(net: Any, x: Tensor) -> Tensor:
    """Convolutions and dense layers of an image, counts at the end."""
    b = x.size(0)
    c1_mem = c1_spike = torch.zeros(b, 6, 8, 8, device=x.device)
    c2_mem = c2_spike = torch.zeros(b, 6, 4, 4, device=x.device)
    h1_mem = h1_spike = h1_sum = torch.zeros(b, 24, device=x.device)
    h2_mem = h2_spike = h2_sum = torch.zeros(b, 10, device=x.device)
    for _ in range(T):
        c1_mem, c1_spike = updated(net.conv1, x.float(), c1_mem, c1_spike)
        c2_mem, c2_spike = updated(net.conv2, F.avg_pool2d(c1_spike, 2), c2_mem, c2_spike)
        h1_mem, h1_spike = updated(net.fc1, F.avg_pool2d(c2_spike, 2).view(b, -1), h1_mem, h1_spike)
        h1_sum += h1_spike
        h2_mem, h2_spike = updated(net.fc2, h1_spike, h2_mem, h2_spike)
        h2_sum += h2_spike
    return h2_sum / T


def of_frames(net: Any, x: Tensor) -> Tensor:
    """Frames [B, T, ...], a state that begins with none."""
    membrane = spikes = membrane2 = spikes2 = None
    out: Any = 0
    for t in range(x.shape[1]):
        current = net.fc1(x[:, t].flatten(1))
        membrane = current if membrane is None else DECAY * membrane * (1 - spikes) + current  # type: ignore[operator]
        spikes = fire(membrane)
        current = net.fc2(spikes)
        membrane2 = current if membrane2 is None else DECAY * membrane2 * (1 - spikes2) + current  # type: ignore[operator]
        spikes2 = fire(membrane2)
        out = out + spikes2
    return out / x.shape[1]


def dense(step: Callable[[Any, Tensor, Any], tuple[Tensor, Any]], state: Callable[[Tensor, int], Any]) -> Any:
    """A loop over frames whose two layers have a function of their step's current and state."""

    def run(net: Any, x: Tensor) -> Tensor:
        one, two, out = state(x, 24), state(x, 10), []
        for frame in x:
            spikes, one = step(net, net.fc1(frame.flatten(1)), one)
            spikes, two = step(net, net.fc2(spikes), two)
            out.append(spikes)
        return torch.stack(out).mean(0)

    return lambda by: layers(run, 128)


def layers(run: Any, inputs: int) -> nn.Module:
    """Two dense layers, and constants that are learned."""
    net = Code(run, fc1=nn.Linear(inputs, 24), fc2=nn.Linear(24, 10))
    net.decay = nn.Parameter(torch.tensor(0.0))
    net.threshold = nn.Parameter(torch.tensor(THRESHOLD))
    with torch.no_grad():
        for layer in (net.fc1, net.fc2):
            layer.weight.mul_(2)  # type: ignore[operator, union-attr]
    return net


def zeros(x: Tensor, count: int) -> Any:
    """A membrane and spikes."""
    return torch.zeros(x.shape[1], count), x.new_zeros(x.shape[1], count)


def one_of_zeros(x: Tensor, count: int) -> Any:
    """A membrane."""
    return torch.zeros(x.shape[1], count)


def of_a_number(x: Tensor, count: int) -> Any:
    """A membrane that begins as a number."""
    return 0.0


def subtracted_late(net: Any, current: Tensor, state: Any) -> Any:
    """The threshold is subtracted a step later, as snnTorch does."""
    membrane, spikes = state
    membrane = 0.5 * membrane + current - THRESHOLD * spikes
    spikes = (membrane > THRESHOLD).float()
    return spikes, (membrane, spikes)


def subtracted_at_once(net: Any, current: Tensor, membrane: Any) -> Any:
    """At once, in place; a membrane on the threshold fires."""
    membrane = 0.75 * membrane + current
    spikes = membrane.ge(THRESHOLD).to(membrane.dtype)
    membrane -= THRESHOLD * spikes
    return spikes, membrane


def with_tau(net: Any, current: Tensor, membrane: Any) -> Any:
    """A current that is scaled, a reset by where."""
    membrane = membrane + (current - membrane) / 2.0
    over = membrane - THRESHOLD / 2
    spikes = written(over)
    return spikes, torch.where(over > 0, torch.zeros_like(membrane), membrane)


def filled(net: Any, current: Tensor, membrane: Any) -> Any:
    """A reset by masked_fill, no leak."""
    membrane = membrane + current
    fires = membrane >= THRESHOLD
    return fires.float(), membrane.masked_fill(fires, 0.0)


def of_a_ratio(net: Any, current: Tensor, state: Any) -> Any:
    """DIET-SNN: a learned leak and threshold, what is compared is their ratio, less 1."""
    membrane, ratio = state
    leak = torch.sigmoid(net.decay)
    reset = net.threshold * (ratio > 0).float()
    membrane = leak * membrane + current - reset
    ratio = membrane / net.threshold - 1.0
    return written(ratio), (membrane, ratio)


def before_any(x: Tensor, count: int) -> Any:
    """A membrane, and a ratio below any threshold."""
    return torch.zeros(x.shape[1], count), -torch.ones(x.shape[1], count)


def by_heaviside(net: Any, current: Tensor, state: Any) -> Any:
    """detach of the reset, a step function."""
    membrane, spikes = state
    membrane = 0.5 * membrane * (1 - spikes.detach()) + current
    spikes = torch.heaviside(membrane - THRESHOLD, torch.tensor(1.0))
    return spikes, (membrane, spikes)


def current_too(net: Any, current: Tensor, state: Any) -> Any:
    """A spike also drops the current of the next step."""
    membrane, spikes = state
    membrane = (0.5 * membrane + current) * (1 - spikes)
    spikes = fire(membrane)
    return spikes, (membrane, spikes)


def squared(net: Any, current: Tensor, membrane: Any) -> Any:
    """A membrane that is squared."""
    membrane = 0.5 * membrane * membrane + current
    spikes = fire(membrane)
    return spikes, membrane * (1 - spikes)


def lateral(net: Any, x: Tensor) -> Tensor:
    """Neurons that read the second layer's spikes of the step before."""
    membrane, spikes = zeros(x, 24)
    membrane2, spikes2 = zeros(x, 10)
    for frame in x:
        membrane = 0.5 * membrane * (1 - spikes) + net.fc1(frame.flatten(1)) + spikes2.mean(1, keepdim=True)
        spikes = fire(membrane)
        membrane2, spikes2 = updated(net.fc2, spikes, membrane2, spikes2)
    return spikes2


def spytorch(net: Any, x: Tensor) -> Tensor:
    """Synapses that leak, spikes compared before the current of a step comes in."""
    h1 = net.fc1(x.flatten(2))
    synapses, membrane = torch.zeros(x.shape[1], 24), torch.zeros(x.shape[1], 24)
    recorded = []
    for t in range(T):
        out = written(membrane - THRESHOLD)
        new_synapses = 0.75 * synapses + h1[t]
        membrane = (0.5 * membrane + synapses) * (1.0 - out.detach())
        synapses = new_synapses
        recorded.append(out)
    return net.fc2(torch.stack(recorded))


def image(run: Any) -> Any:
    """Convolutions of an image."""
    return lambda by: Code(
        run, conv1=nn.Conv2d(3, 6, 3, padding=1), conv2=nn.Conv2d(6, 6, 3, padding=1), fc1=nn.Linear(24, 24),
        fc2=nn.Linear(24, 10),
    )  # fmt: skip


IN_CODE = (
    Network("STBP: neurons written out", image(scnn), SMALL, T),
    Network("STBP of frames, no state at first", lambda by: layers(of_frames, 128), EVENTS, T, BATCH_FIRST),
    Network("written out, subtracted a step later", dense(subtracted_late, zeros), EVENTS, T, COUNTS),
    Network("written out, subtracted in place", dense(subtracted_at_once, one_of_zeros), EVENTS, T, COUNTS),
    Network("written out, tau and where", dense(with_tau, of_a_number), EVENTS, T, COUNTS),
    Network("written out, masked_fill", dense(filled, one_of_zeros), EVENTS, T, COUNTS),
    Network("written out, DIET-SNN", dense(of_a_ratio, before_any), EVENTS, T, COUNTS),
    Network("written out, heaviside", dense(by_heaviside, zeros), EVENTS, T, COUNTS),
    Network(
        "written out, the current dropped too", dense(current_too, zeros), EVENTS, T, COUNTS,
        refused=r"neurons written out in the network's loop .* multiply their current or membrane by spikes",
        why="a neuron always takes its current: mem * (1 - spike) + current",
    ),
    Network(
        "written out, a squared membrane", dense(squared, one_of_zeros), EVENTS, T, COUNTS,
        refused=r"neurons written out in the network's loop .* which no LIF does",
        why="train with a leak and a reset",
    ),
    Network(
        "written out, feedback from a later layer", lambda by: layers(lateral, 128), EVENTS, T, COUNTS,
        refused=r"neurons written out in the network's loop .* such as spikes of the step before, of their own or",
        why="feed each layer the currents of its own step",
    ),
    Network(
        "SpyTorch: synapses, spikes before currents", lambda by: layers(spytorch, 128), EVENTS, T, COUNTS,
        refused=r"neurons written out in the network's loop .* compares a membrane before it adds",
        why="its spikes come a step late and drop the current; use snnTorch's Synaptic",
    ),
)  # fmt: skip
