"""Networks as users write them: what their code does with time, constants and layers that the ready-made ones don't."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
import torch.nn.functional as F
from snntorch import spikegen, utils
from spikingjelly.activation_based import functional, layer, neuron
from torch import Tensor, nn

from spikelet.neurons import Hard, LIFParams
from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.tutorials import leaky
from tests.interop.networks.zoo import in_mode_m

T = 4
SMALL, EVENTS, BATCH_FIRST = (3, 8, 8), (2, 8, 8), {"scale": 1.0, "time_axis": 1}


def lif(**options: Any) -> nn.Module:
    """With a threshold that random weights reach."""
    return neuron.LIFNode(tau=2.0, v_threshold=options.pop("v_threshold", 0.25), **options)


def repeated(x: Tensor) -> Tensor:
    """The image at every step."""
    return x.unsqueeze(0).repeat(T, 1, 1, 1, 1)


# --- what becomes of the answers --------------------------------------------------------------------


def answers(net: Any, x: Tensor) -> list[tuple[Tensor, Any]]:
    """Spikes and membranes of two dense layers, a pair a step."""
    mem1, mem2, made = net.lif1.init_leaky(), net.lif2.init_leaky(), []
    for _ in range(T):
        spk1, mem1 = net.lif1(net.fc1(x.flatten(1)), mem1)
        spk2, mem2 = net.lif2(net.fc2(spk1), mem2)
        made.append((spk2, mem2))
    return made


def recorded(net: Any, x: Tensor) -> Tensor:
    """Spikes written into a tensor that was made before the loop."""
    record = torch.zeros(len(x), T, 10)
    mem1, mem2 = net.lif1.init_leaky(), net.lif2.init_leaky()
    for t in range(T):
        spk1, mem1 = net.lif1(net.fc1(x.flatten(1)), mem1)
        spk2, mem2 = net.lif2(net.fc2(spk1), mem2)
        record[:, t] = spk2
    return record.sum(1)


def named(net: Any, x: Tensor) -> dict[str, Tensor]:
    """A dictionary of spikes and membranes."""
    spikes, membranes = zip(*answers(net, x), strict=True)
    return {"spikes": torch.stack(spikes), "membranes": torch.stack(membranes)}


def summed_membranes(net: Any, x: Tensor) -> Tensor:
    """Membranes added up in the loop."""
    total = torch.zeros(len(x), 10)
    for _, membrane in answers(net, x):
        total = total + membrane
    return total / T


def largest_membrane(net: Any, x: Tensor) -> Tensor:
    """The largest membrane over time."""
    return torch.stack([membrane + 0 for _, membrane in answers(net, x)]).max(0).values


def likelihoods(net: Any, x: Tensor) -> Tensor:
    """Logarithms of a softmax of counts."""
    return F.log_softmax(torch.stack([spikes for spikes, _ in answers(net, x)]).sum(0), dim=1)


def dense(run: Any, **last: Any) -> Any:
    """192 - 24 - 10."""
    return lambda by: Code(run, fc1=nn.Linear(192, 24), lif1=leaky(), fc2=nn.Linear(24, 10), lif2=leaky(**last))


# --- where time is ----------------------------------------------------------------------------------


def drawn(net: Any, x: Tensor) -> Tensor:
    """Spikes drawn of the image."""
    mem, out = net.lif.init_leaky(), []
    for step in spikegen.rate(x.flatten(1), num_steps=T):
        spikes, mem = net.lif(net.fc(step), mem)
        out.append(spikes)
    return torch.stack(out)


def steps_of_a_repetition(net: Any, x: Tensor) -> Tensor:
    """A loop over the image repeated in time, states hidden and reset first."""
    utils.reset(net)
    return torch.stack([net.fc(net.lif(net.conv(step)).flatten(1)) for step in repeated(x)]).mean(0)


def around_one_step(net: Any, x: Tensor) -> Tensor:
    """The library's own loop around layers of one step."""
    return functional.multi_step_forward(functional.multi_step_forward(repeated(x), net.features), net.classes).mean(0)


def time_last(net: Any, x: Tensor) -> Tensor:
    """[B, C, H, W, T]."""
    mem, out = net.lif.init_leaky(), []
    for t in range(x.shape[-1]):
        spikes, mem = net.lif(net.conv(x[..., t]), mem)
        out.append(net.fc(spikes.flatten(1)))
    return torch.stack(out)


class OnAxisOne(nn.Module):
    """A neuron of [B, T, ...], as the code of many papers has it."""

    def forward(self, x: Tensor) -> Tensor:
        v, out = torch.zeros_like(x[:, 0]), []
        for t in range(x.shape[1]):
            v = 0.5 * v + x[:, t]
            spikes = (v >= 0.5).to(x)
            v = v * (1 - spikes)
            out.append(spikes)
        return torch.stack(out, 1)


class Folded(nn.Module):
    """Layers of one step, on time and batch as one axis."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x.flatten(0, 1)).unflatten(0, x.shape[:2])


def batch_first(channels: int, run: Any) -> Any:
    """Time on axis 1 throughout."""
    return lambda by: Code(
        run, features=nn.Sequential(
            Folded(nn.Conv2d(channels, 6, 3, padding=1), nn.BatchNorm2d(6)), OnAxisOne(), Folded(nn.AvgPool2d(2)),
        ), classes=Folded(nn.Flatten(), nn.Linear(96, 10)),
    )  # fmt: skip


OWN = {"neurons": {OnAxisOne: LIFParams(leak=0.5, threshold=0.5, reset=Hard())}}

# --- layers and constants ---------------------------------------------------------------------------


class Membrane(nn.Module):
    """A residual block of currents."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.path = nn.Sequential(
            lif(), layer.Conv2d(inputs, outputs, 3, padding=1, bias=False), layer.BatchNorm2d(outputs),
        )  # fmt: skip
        self.shortcut = nn.Identity() if inputs == outputs else layer.Conv2d(inputs, outputs, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.path(x) + self.shortcut(x)


def membrane_shortcuts(by: int) -> nn.Module:
    """A stem of currents that reads the repeated image, and a shortcut that hands them on as they are."""
    return in_mode_m(Code(
        lambda net, x: net.fc(net.blocks(net.stem(repeated(x))).flatten(2)).mean(0),
        stem=layer.Conv2d(3, 8, 3, padding=1), blocks=nn.Sequential(Membrane(8, 8), Membrane(8, 12), lif()),
        fc=layer.Linear(768, 10),
    ))  # fmt: skip


def two_branches(by: int) -> nn.Module:
    """Two layers that read the image."""

    def run(net: Any, x: Tensor) -> Tensor:
        utils.reset(net)
        steps = [torch.cat([net.lif1(net.fc1(x.flatten(1))), net.lif2(net.fc2(x.flatten(1)))], 1) for _ in range(T)]
        return sum(net.fc(step) for step in steps) / T

    one, other = leaky(init_hidden=True), leaky(0.5, init_hidden=True)
    return Code(run, fc1=nn.Linear(192, 12), lif1=one, fc2=nn.Linear(192, 12), lif2=other, fc=nn.Linear(24, 10))


def scaled_attention(net: Any, x: Tensor) -> Tensor:
    """Scores of spikes times the root of the width, a learned position added before."""
    tokens = net.lif(net.patches(repeated(x)).flatten(3) + net.position)
    q, k, v = net.spikes(net.qkv(tokens.transpose(2, 3))).chunk(3, dim=-1)
    scores = torch.einsum("tbnc,tbmc->tbnm", q, k) * 6**-0.5
    return net.fc((net.out(torch.matmul(scores, v)) + tokens.transpose(2, 3)).mean(2)).mean(0)


def attention(by: int) -> nn.Module:
    """One block of it."""
    torch.manual_seed(1)
    net = in_mode_m(Code(
        scaled_attention, patches=layer.Conv2d(3, 6, 2, 2), qkv=layer.Linear(6, 18), fc=layer.Linear(6, 10),
        lif=lif(), spikes=lif(), out=lif(),
    ))  # fmt: skip
    net.position = nn.Parameter(torch.randn(6, 16) / 2)
    return net


def gains(net: Any, x: Tensor) -> Tensor:
    """Learned gates a channel, and a number, in a loop."""
    utils.reset(net)
    total = 0
    for _ in range(T):
        spikes = net.lif(net.conv(x) * torch.sigmoid(net.gate)[:, None, None])
        total = total + net.fc(spikes.flatten(1) * 0.3)
    return total


def gated(by: int) -> nn.Module:
    """Gates between a convolution and its neurons."""
    torch.manual_seed(1)
    net = Code(gains, conv=nn.Conv2d(3, 6, 3), lif=leaky(init_hidden=True), fc=nn.Linear(216, 10))
    net.gate = nn.Parameter(torch.randn(6))
    return net


def norms_by_step(by: int) -> nn.Module:
    """Batch normalization through time, a list of norms that the loop counts through."""

    def run(net: Any, x: Tensor) -> Tensor:
        mem, out = net.lif.init_leaky(), []
        for t in range(T):
            spikes, mem = net.lif(net.norms[t](net.conv(x)), mem)
            out.append(net.fc(spikes.flatten(1)))
        return torch.stack(out)

    return Code(
        run, conv=nn.Conv2d(3, 6, 3), norms=snn.BatchNormTT2d(6, T), lif=leaky(threshold=0.05), fc=nn.Linear(216, 10)
    )


def effective_norms(by: int) -> nn.Module:
    """Norms with a factor a step, and norms of every step, as layers; one factor a step by hand."""
    effective = layer.TemporalEffectiveBatchNorm2d(T, 6)
    nn.init.uniform_(effective.scale, 0.5, 1.5)
    net = in_mode_m(Code(
        lambda net, x: net.fc(net.deep(net.conv(x) * net.factors)).mean(0), conv=layer.Conv2d(2, 6, 3),
        deep=nn.Sequential(
            effective, lif(v_threshold=0.05), layer.Conv2d(6, 6, 3), layer.BatchNormThroughTime2d(T, 6), lif(),
            layer.Flatten(),
        ), fc=layer.Linear(96, 10),
    ))  # fmt: skip
    net.factors = nn.Parameter(torch.rand(T, 1, 1, 1, 1) + 0.5)
    return net


def stem_of_relus(by: int) -> nn.Module:
    """Real values before the first neurons; padding and a shuffle of positions as layers."""

    def run(net: Any, x: Tensor) -> Tensor:
        utils.reset(net.spiking)
        features = net.stem(x)
        return torch.stack([net.spiking(features) for _ in range(T)]).mean(0)

    return Code(
        run, stem=nn.Sequential(nn.ZeroPad2d(1), nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveMaxPool2d(4)),
        spiking=nn.Sequential(
            nn.Conv2d(8, 8, 3, padding=1), leaky(init_hidden=True), nn.PixelShuffle(2), nn.Flatten(), nn.Linear(128, 10)
        ),
    )  # fmt: skip


def votes(by: int) -> nn.Module:
    """Ten outputs a class that vote by an average, residual spikes, containers."""
    blocks = [
        nn.Sequential(layer.SeqToANNContainer(nn.Conv2d(i, 6, 3, padding=1), nn.BatchNorm2d(6)), lif(step_mode="m"))
        for i in (2, 6)
    ]

    def run(net: Any, x: Tensor) -> Tensor:
        x = net.first(x)
        x = net.last(net.fc(net.second(x) + x)).mean(0)
        return net.boost(x.unsqueeze(1)).squeeze(1)

    return Code(
        run, first=blocks[0], second=blocks[1], last=lif(step_mode="m"), boost=nn.AvgPool1d(10, 10),
        fc=layer.SeqToANNContainer(nn.MaxPool2d((2, 1)), nn.Flatten(), nn.Linear(192, 100)),
    )  # fmt: skip


def signal(by: int) -> nn.Module:
    """Convolutions and pools of a sequence."""
    layers = nn.Sequential(
        layer.Conv1d(1, 4, 5, padding=2), layer.BatchNorm1d(4), lif(), layer.MaxPool1d(2),
        layer.Conv1d(4, 6, 5, padding=2), neuron.CUBALIFNode(c_decay=0.5, v_decay=0.75, v_threshold=0.5),
        layer.AvgPool1d(2), layer.Flatten(), layer.Linear(48, 5),
    )  # fmt: skip
    return in_mode_m(Code(lambda net, x: net.layers(x.unsqueeze(0).repeat(T, 1, 1, 1)).mean(0), layers=layers))


def read_by_v(by: int) -> nn.Module:
    """A neuron that never fires, whose membrane is read as an attribute at every step."""

    def run(net: Any, x: Tensor) -> Tensor:
        functional.reset_net(net)
        membranes = []
        for step in x:
            net.out(net.fc2(net.hidden(net.fc1(step))))
            membranes.append(net.out.v)
        return torch.stack(membranes).mean(0)

    never = lif(v_threshold=float("inf"))
    return Code(
        run, fc1=nn.Linear(20, 16), hidden=neuron.SimpleLIFNode(2.0, True, 0.25), fc2=nn.Linear(16, 5), out=never
    )


def weight_normed(by: int) -> nn.Module:
    """Weights that are computed of others."""
    return nn.Sequential(
        nn.utils.parametrizations.weight_norm(nn.Conv2d(3, 6, 3)), lif(), nn.Flatten(), nn.Linear(216, 10)
    )


def one_layer(run: Any) -> Any:
    """A convolution or a dense layer, neurons, classes."""
    return lambda by: Code(run, conv=nn.Conv2d(3, 6, 3), lif=leaky(init_hidden=True), fc=nn.Linear(216, 10))


def blocks(by: int) -> nn.Module:
    """Layers of one step in two blocks."""
    return Code(
        around_one_step,
        features=nn.Sequential(nn.Conv2d(3, 6, 3, padding=1, bias=False), nn.BatchNorm2d(6), lif(), nn.MaxPool2d(2)),
        classes=nn.Sequential(nn.Flatten(), nn.Linear(96, 10), lif()),
    )


def stateful(run: Any, inputs: int) -> Any:
    """A convolution of frames whose membranes the code keeps."""
    return lambda by: Code(run, conv=nn.Conv2d(inputs, 6, 3), lif=leaky(), fc=nn.Linear(216, 10))


def parallel(by: int) -> nn.Module:
    """A neuron that mixes all steps by a matrix."""
    return in_mode_m(nn.Sequential(layer.Conv2d(2, 6, 3), neuron.PSN(T), layer.Flatten(), layer.Linear(216, 10)))


WRITTEN = (
    Network("spikes written into a tensor", dense(recorded), SMALL, T),
    Network("a dictionary of answers", dense(named), SMALL, T),
    Network("membranes added up", dense(summed_membranes, reset_mechanism="none"), SMALL, T),
    Network("a loop over the repeated image", one_layer(steps_of_a_repetition), SMALL, T),
    Network("multi_step_forward", blocks, SMALL, T),
    Network(
        "time on the last axis", stateful(time_last, 2), EVENTS, T,
        {**COUNTS, "forward": lambda net, x: net(x.movedim(0, -1))},
    ),
    Network(
        "own neurons of [B, T, ...], frames", batch_first(2, lambda net, x: net.classes(net.features(x))), EVENTS, T,
        BATCH_FIRST | OWN,
    ),
    Network(
        "own neurons of [B, T, ...], the last step of an image",
        batch_first(3, lambda net, x: net.classes(net.features(x.unsqueeze(1).repeat(1, T, 1, 1, 1)))[:, -1]), SMALL, T,
        OWN,
    ),
    Network("shortcuts of currents behind a stem", membrane_shortcuts, SMALL, T),
    Network("two branches of the image", two_branches, SMALL, T),
    Network("attention, scaled, with positions", attention, SMALL, T),
    Network("gates and gains", gated, SMALL, T),
    Network("norms of every step, snnTorch", norms_by_step, SMALL, T),
    Network("norms of every step, SpikingJelly", effective_norms, EVENTS, T, COUNTS),
    Network("ReLU, padding, shuffle, adaptive maximum", stem_of_relus, SMALL, T),
    Network("votes by AvgPool1d, oblong maximum", votes, EVENTS, T, COUNTS),
    Network("a signal", signal, (1, 32), T),
    Network("a membrane read as lif.v", read_by_v, (20,), T, COUNTS),
    Network("weight norm", weight_normed, SMALL, T),
    Network(
        "the largest membrane", dense(largest_membrane, reset_mechanism="none"), SMALL, T,
    ),
    Network(
        "log_softmax of counts", dense(likelihoods), SMALL, T,
        refused=r"net \(log_softmax\): .* leave it out, as the class",
        why="exponentials; leave it out, the class is the same",
    ),
    Network(
        "spikes drawn of the image", lambda by: Code(drawn, fc=nn.Linear(192, 10), lif=leaky()), SMALL, T,
        refused=r"Code draws random numbers .* drawn outside, and fed as frames: time_axis=0",
        why="random numbers; draw the frames outside, `time_axis=0`",
    ),
    Network(
        "PSN", parallel, EVENTS, T, COUNTS, refused=r"1: PSN has no counterpart here\. .* train with LIFNode",
        why="all steps mixed by a matrix; train with LIFNode",
    ),
)  # fmt: skip
