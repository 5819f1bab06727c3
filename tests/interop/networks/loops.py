"""Networks whose code does with its steps, states and tensors what written.py's don't."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
import torch.nn.functional as F
from snntorch import utils
from spikingjelly.activation_based import ann2snn, functional, layer, neuron, surrogate
from torch import Tensor, nn

from tests.interop.networks.network import COUNTS, Code, Network
from tests.interop.networks.tutorials import leaky
from tests.interop.networks.written import EVENTS, SMALL, T, dense, lif
from tests.interop.networks.zoo import in_mode_m

# --- residual blocks, as torchvision writes them ----------------------------------------------------------


class Basic(nn.Module):
    """`out += identity`, in place."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv1 = layer.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.sn1 = layer.BatchNorm2d(outputs), lif()
        self.conv2 = layer.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2, self.sn2 = layer.BatchNorm2d(outputs), lif()
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(
                layer.Conv2d(inputs, outputs, 1, stride, bias=False), layer.BatchNorm2d(outputs)
            )

    def forward(self, x: Tensor) -> Tensor:
        identity = x
        out = self.bn2(self.conv2(self.sn1(self.bn1(self.conv1(x)))))
        if self.downsample is not None:
            identity = self.downsample(x)
        out += identity
        return self.sn2(out)


def residual(run: Any) -> nn.Module:
    """A stem, two blocks, classes."""
    return Code(
        run, stem=nn.Sequential(layer.Conv2d(3, 8, 3, 1, 1, bias=False), layer.BatchNorm2d(8), lif()),
        blocks=nn.Sequential(Basic(8, 8), Basic(8, 12, 2)), fc=layer.Linear(12, 10),
    )  # fmt: skip


def step_by_step(net: Any, x: Tensor) -> Tensor:
    """A loop of single steps, states reset behind it."""
    out = [net.fc(torch.flatten(F.adaptive_avg_pool2d(net.blocks(net.stem(x)), 1), 1)) for _ in range(T)]
    functional.reset_net(net)
    return torch.stack(out).mean(0)


def no_new_axis(net: Any, x: Tensor) -> Tensor:
    """The image repeated by more numbers than it has axes."""
    return net.fc(net.blocks(net.stem(x.repeat(T, 1, 1, 1, 1))).mean(dim=[-2, -1])).mean(0)


# --- states ----------------------------------------------------------------------------------------------


class KeptOnSelf(nn.Module):
    """One step, whose membranes the network keeps until `reset`."""

    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.lif1, self.fc2, self.lif2 = nn.Linear(192, 24), leaky(), nn.Linear(24, 10), leaky()
        self.reset()

    def reset(self) -> None:
        self.mem1 = self.mem2 = None

    def forward(self, x: Tensor) -> Tensor:
        spikes, self.mem1 = self.lif1(self.fc1(x.flatten(1)), self.mem1)
        spikes, self.mem2 = self.lif2(self.fc2(spikes), self.mem2)
        return spikes


def made_in_the_loop(net: Any, x: Tensor) -> Tensor:
    """States of zeros in the shape of the first current, and of the image's type."""
    mem1, mem2, out = None, x.new_zeros(len(x), 10), 0
    for _ in range(T):
        current = net.fc1(x.flatten(1))
        if mem1 is None:
            mem1 = torch.zeros_like(current)
        spikes, mem1 = net.lif1(current, mem1)
        spikes, mem2 = net.lif2(net.fc2(spikes), mem2)
        out = out + spikes
    return out  # type: ignore[return-value]


class OneNeuron(nn.Module):
    """The same neuron behind every layer, and a state for each."""

    def __init__(self, run: Any) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(i, o) for i, o in ((192, 24), (24, 16), (16, 10)))
        self.lif, self.run = snn.Synaptic(alpha=0.5, beta=0.75, threshold=0.25), run

    def forward(self, x: Tensor) -> Tensor:
        return self.run(self, x.flatten(1))


def in_every_step(net: Any, x: Tensor) -> Tensor:
    """States in a list."""
    states, out = [net.lif.init_synaptic() for _ in net.layers], 0
    for _ in range(T):
        spikes = x
        for i, fc in enumerate(net.layers):
            spikes, *states[i] = net.lif(fc(spikes), *states[i])
        out = out + spikes
    return out  # type: ignore[return-value]


def layer_by_layer(net: Any, x: Tensor) -> Tensor:
    """A loop for each layer."""
    steps = [x] * T
    for fc in net.layers:
        (synapses, mem), made = net.lif.init_synaptic(), []
        for step in steps:
            spikes, synapses, mem = net.lif(fc(step), synapses, mem)
            made.append(spikes)
        steps = made
    return torch.stack(steps)


# --- feedback by hand --------------------------------------------------------------------------------------


def fed_back(net: Any, x: Tensor) -> Tensor:
    """The spikes of the step before, through a layer, onto the current."""
    spikes, mem, out = x.new_zeros(len(x), 24), net.lif.init_leaky(), []
    for _ in range(T):
        spikes, mem = net.lif(net.fc(x.flatten(1)) + net.back(spikes), mem)
        out.append(net.classes(spikes))
    return torch.stack(out).mean(0)


def fed_back_in_place(net: Any, x: Tensor) -> Tensor:
    """The same of frames, the sum in place, and nothing at the first step."""
    spikes, mem, out = None, net.lif.init_leaky(), 0
    for frame in x:
        current = net.fc(frame.flatten(1))
        if spikes is not None:
            current += net.back(spikes)
        spikes, mem = net.lif(current, mem)
        out = out + net.classes(spikes)
    return out / len(x)  # type: ignore[operator]


def fed_back_twice(net: Any, x: Tensor) -> Tensor:
    """Two layers in a row, each with feedback, their states hidden."""
    utils.reset(net)
    one = x.new_zeros(x.shape[1], 24)
    two, out = x.new_zeros(x.shape[1], 24), 0
    for t in range(x.shape[0]):
        one = net.lif(net.back(one) + net.fc(x[t].flatten(1)))
        two = net.lif2(net.fc2(one) + net.back2(two))
        out = out + net.classes(two)
    return out  # type: ignore[return-value]


def maps_fed_back(net: Any, x: Tensor) -> Tensor:
    """A convolution of the maps of the step before, SpikingJelly's neurons."""
    functional.reset_net(net)
    spikes, out = x.new_zeros(x.shape[1], 6, 8, 8), []
    for frame in x:
        spikes = net.lif(net.conv(frame) + net.back(spikes))
        out.append(net.classes(spikes.flatten(1)))
    return torch.stack(out).mean(0)


def with_feedback(run: Any, inputs: int = 192, *, bias: bool = True) -> Any:
    """Dense layers for it."""
    return lambda by: Code(
        run, fc=nn.Linear(inputs, 24), back=nn.Linear(24, 24, bias=bias), lif=leaky(), classes=nn.Linear(24, 10)
    )  # fmt: skip


def two_with_feedback(run: Any) -> Any:
    """The second with a beta for each neuron."""
    return lambda by: Code(
        run, fc=nn.Linear(128, 24), back=nn.Linear(24, 24), lif=leaky(init_hidden=True),
        fc2=nn.Linear(24, 24), back2=nn.Linear(24, 24), lif2=leaky(torch.linspace(0.5, 1, 24), init_hidden=True),
        classes=nn.Linear(24, 10),
    )  # fmt: skip


def from_below(net: Any, x: Tensor) -> Tensor:
    """The first layer is fed back the spikes of the second."""
    utils.reset(net)
    two, out = x.new_zeros(x.shape[1], 24), 0
    for frame in x:
        two = net.lif2(net.fc2(net.lif(net.fc(frame.flatten(1)) + net.back(two))))
        out = out + net.classes(two)
    return out  # type: ignore[return-value]


# --- steps that are not alike ----------------------------------------------------------------------------


def hidden(net: Any, x: Tensor) -> list[Tensor]:
    """Spikes of the first neurons at every step; the second ones stay unused."""
    mem, made = net.lif1.init_leaky(), []
    for _ in range(T):
        spikes, mem = net.lif1(net.fc1(x.flatten(1)), mem)
        made.append(spikes)
    return made


def leaky_sum(net: Any, x: Tensor) -> Tensor:
    """Scores that fade."""
    out = 0
    for spikes in hidden(net, x):
        out = 0.5 * out + net.fc2(spikes)
    return out  # type: ignore[return-value]


def warmed_up(net: Any, x: Tensor) -> Tensor:
    """The first steps count for nothing."""
    out = torch.zeros(len(x), 10)
    for t, spikes in enumerate(hidden(net, x)):
        if t >= 2:
            out += net.fc2(spikes)
    return out / (T - 2)


def phases(net: Any, x: Tensor) -> Tensor:
    """Spikes worth half of those before, read by a layer."""
    weights = 2.0 ** -torch.arange(T)
    return net.fc2((torch.stack(hidden(net, x)) * weights.view(-1, 1, 1)).sum(0))


def phases_of_maps(net: Any, x: Tensor) -> Tensor:
    """The same of maps, all steps at once, in parts of 15."""
    spikes = net.body(x.unsqueeze(0).repeat(T, 1, 1, 1, 1))
    weights = torch.tensor([8.0, 4.0, 2.0, 1.0]) / 15
    return net.fc((spikes * weights.view(-1, 1, 1, 1, 1)).sum(0).flatten(1))


def either(net: Any, x: Tensor) -> Tensor:
    """Spikes of one branch or the other, and of both but not alone."""
    one, other = net.lif(net.conv(x)), net.lif2(net.conv2(x))
    maps = torch.cat([(one + other).clamp(0, 1), torch.maximum(one, 1 - other), (one - other).abs()], 2)
    return net.fc(maps.flatten(2)).mean(0)


# --- neurons ---------------------------------------------------------------------------------------------


def counting(by: int) -> nn.Module:
    """Neurons of up to 4, and up to 3, spikes a step."""
    return in_mode_m(nn.Sequential(
        layer.Conv2d(2, 6, 3), layer.BatchNorm2d(6), neuron.ILIFNode(), layer.Conv2d(6, 6, 3), layer.BatchNorm2d(6),
        neuron.ILIFNode(2.0, 0.75, surrogate.MultiLevelSpikeCount(3)), layer.Flatten(), layer.Linear(96, 10),
    ))  # fmt: skip


def trained_online(by: int) -> nn.Module:
    """Neurons that are trained step by step."""
    return nn.Sequential(
        layer.Flatten(), layer.Linear(128, 24), neuron.SLTTLIFNode(tau=2.0, v_threshold=0.25), layer.Linear(24, 24),
        neuron.OTTTLIFNode(tau=2.0, v_threshold=0.25), layer.Linear(24, 10),
    )  # fmt: skip


# --- what another program wrote -----------------------------------------------------------------------------


def from_an_ordinary_one(by: int) -> nn.Module:
    """SpikingJelly's own conversion of a network of ReLUs: torch.fx code around neurons and scalers."""
    torch.manual_seed(0)
    plain = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1), nn.BatchNorm2d(8), nn.ReLU(), nn.AvgPool2d(2), nn.Conv2d(8, 8, 3), nn.ReLU(),
        nn.Flatten(), nn.Linear(32, 10),
    ).eval()  # fmt: skip
    batches = [(torch.rand(8, 3, 8, 8), torch.zeros(8))]
    return ann2snn.Converter(ann2snn.RateCodingRecipe(dataloader=batches, mode="max")).convert(plain)


LOOPS = (
    Network("a residual network, out += identity, in a loop", lambda by: residual(step_by_step), SMALL, T),
    Network("a residual network, x.repeat(T, 1, 1, 1, 1)", lambda by: in_mode_m(residual(no_new_axis)), SMALL, T),
    Network("one step, membranes on self", lambda by: KeptOnSelf(), SMALL, T),
    Network("membranes made by zeros_like", dense(made_in_the_loop), SMALL, T),
    Network("one neuron behind three layers", lambda by: OneNeuron(in_every_step), SMALL, T),
    Network("one neuron behind three layers, a loop for each", lambda by: OneNeuron(layer_by_layer), SMALL, T),
    Network("a leaky sum of scores, neurons left out", dense(leaky_sum), SMALL, T),
    Network("first steps left out", dense(warmed_up), SMALL, T),
    Network("phases: steps weighted by powers of two", dense(phases), SMALL, T),
    Network(
        "phases of maps", lambda by: in_mode_m(Code(
            phases_of_maps, body=nn.Sequential(layer.Conv2d(3, 6, 3, padding=1), lif()), fc=layer.Linear(384, 10)
        )), SMALL, T,
    ),
    Network("feedback by hand", with_feedback(fed_back), SMALL, T),
    Network(
        "feedback by hand, in place, none at first", with_feedback(fed_back_in_place, 128, bias=False), EVENTS, T,
        COUNTS,
    ),
    Network("two layers with feedback by hand", two_with_feedback(fed_back_twice), EVENTS, T, COUNTS),
    Network(
        "feedback from a later layer", two_with_feedback(from_below), EVENTS, T, COUNTS,
        refused=r"net\.lif: reads spikes of net\.lif2 .*, through net\.back\. Neurons read their own",
        why="neurons read their own spikes only; let each layer feed back to itself",
    ),
    Network(
        "feedback of maps by hand", lambda by: Code(
            maps_fed_back, conv=layer.Conv2d(2, 6, 3, padding=1), back=layer.Conv2d(6, 6, 3, padding=1), lif=lif(),
            classes=layer.Linear(384, 10),
        ), EVENTS, T, COUNTS,
    ),
    Network(
        "branches joined by or", lambda by: in_mode_m(Code(
            either, conv=layer.Conv2d(2, 6, 3), conv2=layer.Conv2d(2, 6, 3), lif=lif(), lif2=lif(),
            fc=layer.Linear(648, 10),
        )), EVENTS, T, COUNTS,
    ),
    Network("ILIF, several spikes a step", counting, EVENTS, T, COUNTS),
    Network("SLTT and OTTT neurons", trained_online, EVENTS, T, COUNTS),
    Network("ann2snn", from_an_ordinary_one, SMALL, T),
)  # fmt: skip
