"""Networks of a set that was written without looking at what goes: maps made larger, global maxima, gates, named
answers, neurons with another reset potential, membranes read by hand."""

from __future__ import annotations

import collections
import dataclasses
from typing import Any

import snntorch as snn
import torch
import torch.nn.functional as F
from spikingjelly.activation_based import layer, neuron
from torch import Tensor, nn

from spikelet.neurons import Hard, LIFParams
from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.tutorials import leaky
from tests.interop.networks.written import EVENTS, SMALL, T, answers, dense, lif, repeated
from tests.interop.networks.zoo import in_mode_m

# --- all steps at once ------------------------------------------------------------------------------------------


def block(inputs: int, outputs: int, stride: int = 1) -> nn.Sequential:
    """Convolution, norm, neuron."""
    conv = layer.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
    return nn.Sequential(conv, layer.BatchNorm2d(outputs), lif())


class DropPath(nn.Module):
    """Leaves a branch out, in training."""

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x * x.new_empty(x.shape[0], *[1] * (x.dim() - 1)).bernoulli_(0.9)


def unet(mode: str) -> Any:
    """Half the size, back again by means of neighbours, joined to what was there."""
    up = {"align_corners": False} if mode == "bilinear" else {}

    def run(net: Any, x: Tensor) -> Tensor:
        wide = net.wide(x)
        deep = net.deep(net.pool(wide))
        return net.head(net.last(torch.cat([net.up(deep), wide], 2))).mean(0)

    return lambda by: in_mode_m(Code(
        run, wide=block(2, 4), deep=block(4, 8), pool=layer.MaxPool2d(2), last=block(12, 4),
        up=layer.Upsample(scale_factor=2, mode=mode, **up), head=layer.Conv2d(4, 3, 1),
    ))  # fmt: skip


def pyramid(net: Any, x: Tensor) -> Tensor:
    """Deep maps brought to the size of wide ones, by a function that is told the size."""
    wide = net.wide(repeated(x))
    deep = net.deep(wide).flatten(0, 1)
    up = F.interpolate(deep, size=wide.shape[-2:], mode="bilinear", align_corners=False)
    return net.head(net.last(net.side(wide) + up.unflatten(0, wide.shape[:2]))).mean(0)


def shared(net: Any, x: Tensor) -> Tensor:
    """One convolution in three places, and the largest of every map."""
    spikes = net.stem(repeated(x))
    for norm, fires in zip(net.norms, net.fires, strict=True):
        spikes = fires(norm(net.conv(spikes)))
    return net.classes(spikes.amax(dim=(-2, -1))).sum(0)


def with_shared(by: int) -> nn.Module:
    """Norms and neurons of its own for each place."""
    norms, fires = ([layer.BatchNorm2d(8) for _ in range(3)], [lif() for _ in range(3)])
    return in_mode_m(Code(
        shared, stem=block(3, 8), conv=layer.Conv2d(8, 8, 3, padding=1, bias=False), norms=nn.ModuleList(norms),
        fires=nn.ModuleList(fires), classes=layer.Linear(8, 10),
    ))  # fmt: skip


def sew_or(net: Any, x: Tensor) -> Tensor:
    """Shortcuts by average pools, joined by or, branches that training leaves out."""
    wide = net.wide(x)
    short, spikes = net.short(wide), net.drop(net.second(net.first(wide)))
    spikes = spikes + short - spikes * short
    return net.classes(net.mean(spikes).flatten(2).mean(dim=0))


def gated(net: Any, x: Tensor) -> Tensor:
    """Squeeze and excitation by neurons."""
    spikes = net.body(x)
    gates = net.gates(net.widen(net.squeezed(net.squeeze(spikes.mean(dim=(3, 4))))))
    return net.classes((spikes * gates[..., None, None]).sum(dim=(-1, -2))).mean(0)


@dataclasses.dataclass
class Config:
    """What a project keeps its sizes in."""

    channels: tuple[int, ...] = (6, 12)
    classes: int = 10


def of_config(by: int) -> nn.Module:
    """Two heads by name, blocks by name, images or frames."""
    config = Config()

    def run(net: Any, x: Tensor) -> dict[str, Tensor]:
        features = repeated(x) if x.dim() == 4 else x
        for one in net.blocks.values():
            features = one(features)
        rates = features.mean([-1, -2])
        return {name: head(rates).mean(0) for name, head in net.heads.items()}

    blocks = {"stage0": block(3, config.channels[0]), "stage1": block(*config.channels, stride=2)}
    heads = {"kind": layer.Linear(config.channels[1], config.classes), "side": layer.Linear(config.channels[1], 2)}
    return in_mode_m(Code(run, blocks=nn.ModuleDict(blocks), heads=nn.ModuleDict(heads)))


def normalised(by: int) -> nn.Module:
    """The image normalised by buffers, a learned weight in place."""

    def run(net: Any, x: Tensor) -> Tensor:
        spikes = net.first(repeated((x - net.mean) / net.std))
        current = net.norm(net.conv(spikes))
        current.mul_(net.alpha).add_(spikes)
        return net.classes(net.fires(current).type_as(x).flatten(2)).mean(0)

    net = Code(
        run, first=block(3, 8), conv=layer.Conv2d(8, 8, 3, padding=1, bias=False), norm=layer.BatchNorm2d(8),
        fires=lif(), classes=layer.Linear(512, 10),
    )  # fmt: skip
    net.register_buffer("mean", torch.tensor([0.5, 0.4, 0.3]).view(1, 3, 1, 1))
    net.register_buffer("std", torch.tensor([0.25, 0.25, 0.2]).view(1, 3, 1, 1))
    net.alpha = nn.Parameter(torch.tensor(0.6))
    return in_mode_m(net)


def of_plif(by: int) -> nn.Module:
    """A leak that is no multiple of 2^-12, and a membrane that goes back below zero."""
    fires = neuron.ParametricLIFNode(init_tau=3.0, v_threshold=0.2, v_reset=-0.1)
    return in_mode_m(Code(
        lambda net, x: net.classes(net.fires(net.norm(net.conv(x))).flatten(2)).mean(0), norm=layer.BatchNorm2d(8),
        conv=layer.Conv2d(2, 8, 3, padding=1, bias=False), fires=fires, classes=layer.Linear(512, 10),
    ))  # fmt: skip


def einsum(net: Any, x: Tensor) -> Tensor:
    """Later steps weigh more."""
    return torch.einsum("tbk,t->bk", net.classes(net.body(x).flatten(2)), torch.tensor([0.125, 0.125, 0.25, 0.5]))


# --- loops over time --------------------------------------------------------------------------------------------


def largest_in_a_loop(net: Any, x: Tensor) -> Tensor:
    """The largest of every map, step by step, by its place in a pair."""
    mem, out = net.lif.init_leaky(), []
    for _ in range(T):
        spikes, mem = net.lif(net.conv(x), mem)
        out.append(net.classes(spikes.flatten(2).max(-1).values))
    return torch.stack(out).sum(0)


def behind_synapses(net: Any, x: Tensor) -> Tensor:
    """Membranes behind synapses, of a neuron whose threshold is out of reach."""
    syn, mem = net.lif.init_synaptic()
    syn2, mem2 = net.out.init_synaptic()
    made = []
    for t in range(x.size(0)):
        spikes, syn, mem = net.lif(net.fc(x[t].flatten(1)), syn, mem)
        _, syn2, mem2 = net.out(net.classes(spikes), syn2, mem2)
        made += [mem2]
    return torch.stack(made)


Answer = collections.namedtuple("Answer", "logits spikes")


def named(net: Any, x: Tensor) -> Answer:
    """Scores by name."""
    spikes = torch.stack([one for one, _ in answers(net, x)])
    return Answer(logits=spikes.sum(0), spikes=spikes)


def sure(net: Any, x: Tensor) -> Tensor:
    """Ends where the answer is certain."""
    mem1, mem2, total = net.lif1.init_leaky(), net.lif2.init_leaky(), torch.zeros(len(x), 10)
    for _ in range(2 * T):
        spikes, mem1 = net.lif1(net.fc1(x.flatten(1)), mem1)
        spikes, mem2 = net.lif2(net.fc2(spikes), mem2)
        total = total + spikes
        if (total.max(1).values >= 3).all():
            break
    return total


def masked_out(net: Any, x: Tensor) -> Tensor:
    """A class that is never the answer."""
    spikes = torch.stack([one for one, _ in answers(net, x)])
    return spikes.masked_fill(torch.arange(10) == 3, float("-inf")).sum(0)


def changes(net: Any, x: Tensor) -> Tensor:
    """What changed since the frame before."""
    mem, before, out = net.lif.init_leaky(), torch.zeros_like(x[0]), []
    for frame in x:
        spikes, mem = net.lif(net.fc((frame - before).flatten(1)), mem)
        before = frame
        out.append(net.classes(spikes))
    return torch.stack(out).sum(0)


class Kept(nn.Module):
    """A neuron that keeps its membrane on itself."""

    def __init__(self) -> None:
        super().__init__()
        self.v: Tensor | None = None

    def reset(self) -> None:
        self.v = None

    def forward(self, x: Tensor) -> Tensor:
        v = x if self.v is None else 0.5 * self.v + x
        spikes = (v >= 0.25).to(x)
        self.v = v * (1 - spikes)
        return spikes


def spikes_and_membranes(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Both, the membranes read of the neuron."""
    net.fires.reset()
    spikes, membranes = [], []
    for frame in x:
        spikes.append(net.fires(net.fc(frame.flatten(1))))
        membranes.append(net.fires.v)
    return torch.stack(spikes), torch.stack(membranes)


KEPT: dict[str, Any] = {"neurons": {Kept: LIFParams(0.5, 0.25, reset=Hard())}}


def in_two(run: Any, inputs: int, **layers: nn.Module) -> Any:
    """A layer, a neuron and classes."""
    return lambda by: Code(run, fc=nn.Linear(inputs, 24), classes=nn.Linear(24, 10), **layers)


STRANGERS = (
    Network("U-Net, bilinear", unet("bilinear"), EVENTS, T, COUNTS),
    Network("a pyramid, interpolated to a size", lambda by: in_mode_m(Code(
        pyramid, wide=block(3, 8), deep=block(8, 8, 2), side=layer.Conv2d(8, 8, 1), last=lif(),
        head=layer.Conv2d(8, 5, 1),
    )), SMALL, T),
    Network("shared weights, the largest of every map", with_shared, SMALL, T),
    Network("SEW, or, average pools, DropPath", lambda by: in_mode_m(Code(
        sew_or, wide=block(2, 6), first=block(6, 12, 2), second=block(12, 12), drop=DropPath(),
        short=nn.Sequential(layer.AvgPool2d(2, 2), layer.Conv2d(6, 12, 1), layer.BatchNorm2d(12), lif()),
        mean=layer.AdaptiveAvgPool2d((1, 1)), classes=layer.Linear(12, 11),
    )), EVENTS, T, COUNTS),
    Network("squeeze and excitation by neurons", lambda by: in_mode_m(Code(
        gated, body=block(2, 8), squeeze=layer.Linear(8, 8), squeezed=lif(v_threshold=0.05),
        widen=layer.Linear(8, 8), gates=lif(v_threshold=0.05), classes=layer.Linear(8, 10),
    )), EVENTS, T, COUNTS),
    Network("a configuration, two heads by name", of_config, SMALL, T),
    Network("normalised by buffers, in place", normalised, SMALL, T, {"first": ()}),
    Network("PLIF, tau 3, v_reset below zero", of_plif, EVENTS, T, COUNTS),
    Network("the largest of every map in a loop", lambda by: Code(
        largest_in_a_loop, conv=nn.Conv2d(3, 6, 3, padding=1), lif=leaky(0.5), classes=nn.Linear(6, 10)
    ), (3, 10, 10), T),
    Network("membranes behind synapses", in_two(
        behind_synapses, 128, lif=snn.Synaptic(alpha=0.5, beta=0.75, threshold=0.25),
        out=snn.Synaptic(alpha=0.5, beta=0.75, threshold=1e9, reset_mechanism="none"),
    ), EVENTS, T, COUNTS),
    Network("a named tuple", dense(named), SMALL, T),
    Network(
        "steps weighted by einsum", lambda by: in_mode_m(Code(einsum, body=block(2, 6), classes=layer.Linear(384, 10))),
        EVENTS, T, COUNTS, refused=r"einsum 'tbk,t->bk' sums over time .* \(x \* w\.view\(-1, 1, 1\)\)\.sum\(0\)",
        why="sums over time; `(x * w.view(-1, 1, 1)).sum(0)`",
    ),
    Network(
        "ends where the answer is certain", dense(sure), SMALL, 2 * T,
        refused=r"ran \d times in one forward pass, .* ends where an answer is certain needs forward=",
        why="a number of steps that depends on the data; `forward=` with a loop of all of them",
    ),
    Network(
        "filled with minus infinity", dense(masked_out), SMALL, T,
        refused=r"masked_fill\): chooses -inf, which integers don't have\. Use a number below",
        why="no integer is infinite; a number below all scores, -1000",
    ),
    Network(
        "the frame before, in a loop", in_two(changes, 128, lif=leaky(0.5)), EVENTS, T, COUNTS,
        refused=r"The frame before, prev = x\[t\], is a sequence too: before = torch\.cat",
        why="carried from step to step; `torch.cat([torch.zeros_like(x[:1]), x[:-1]])`",
    ),
    Network(
        "membranes read of an own neuron", in_two(spikes_and_membranes, 128, fires=Kept()), EVENTS, T,
        {**COUNTS, **KEPT},
        refused=r"reads 'v' of a neuron, and a converted one keeps nothing on itself\. A neuron of your own may hand",
        why="converted neurons keep nothing; `spikes, v = neuron(x, v)`, or spikes alone",
    ),
)  # fmt: skip
