"""The networks of snnTorch's tutorials, 15 of them, written as a reader of the tutorial would write them."""

from __future__ import annotations

from typing import Any

import snntorch as snn
import torch
import torch.nn.functional as F
from snntorch import surrogate
from torch import Tensor, nn

from tests.interop.networks.network import COUNTS, Code, Network

STEPS = 10
FLAT, DIGIT = (784,), (1, 28, 28)


def leaky(beta: Any = 0.9, **options: Any) -> snn.Leaky:
    """With a threshold that random weights reach."""
    return snn.Leaky(beta=beta, threshold=options.pop("threshold", 0.25), **options)


def dense(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Tutorial 5: a loop over T; spikes and membranes, stacked."""
    mem1, mem2 = net.lif1.init_leaky(), net.lif2.init_leaky()
    spikes, membranes = [], []
    for _ in range(STEPS):
        spk1, mem1 = net.lif1(net.fc1(x), mem1)
        spk2, mem2 = net.lif2(net.fc2(spk1), mem2)
        spikes.append(spk2)
        membranes.append(mem2)
    return torch.stack(spikes, dim=0), torch.stack(membranes, dim=0)


def dense_membranes(net: Any, x: Tensor) -> Tensor:
    """What the loss of tutorial 5 reads."""
    return dense(net, x)[1]


def convolutional(net: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Tutorial 6 as a class: pools as functions, view."""
    mem1, mem2, mem3 = net.lif1.init_leaky(), net.lif2.init_leaky(), net.lif3.init_leaky()
    spikes, membranes = [], []
    for _ in range(STEPS):
        spk1, mem1 = net.lif1(F.max_pool2d(net.conv1(x), 2), mem1)
        spk2, mem2 = net.lif2(F.max_pool2d(net.conv2(spk1), 2), mem2)
        spk3, mem3 = net.lif3(net.fc1(spk2.view(x.size(0), -1)), mem3)
        spikes.append(spk3)
        membranes.append(mem3)
    return torch.stack(spikes), torch.stack(membranes)


def regression(net: Any, x: Tensor) -> Tensor:
    """Regression 1: the membranes of a neuron that nothing resets."""
    mem1, mem2 = net.lif1.init_leaky(), net.lif2.init_leaky()
    membranes = []
    for _ in range(STEPS):
        spk1, mem1 = net.lif1(net.fc1(x), mem1)
        _, mem2 = net.lif2(net.fc2(spk1), mem2)
        membranes.append(mem2)
    return torch.stack(membranes)


def recurrent(net: Any, x: Tensor) -> Tensor:
    """Regression 2: a layer that reads its own spikes."""
    (spk, mem), out = net.lif.init_rleaky(), []
    for _ in range(STEPS):
        spk, mem = net.lif(net.fc1(x), spk, mem)
        out.append(net.fc2(spk))
    return torch.stack(out)


def lapicque(net: Any, x: Tensor) -> Tensor:
    """Tutorial 2."""
    mem, out = net.lif.init_lapicque(), []
    for _ in range(STEPS):
        spk, mem = net.lif(net.fc(x), mem)
        out.append(spk)
    return torch.stack(out)


def synaptic(net: Any, x: Tensor) -> Tensor:
    """Tutorial 4: a synapse that leaks before the membrane does."""
    (syn, mem), out = net.lif.init_synaptic(), []
    for _ in range(STEPS):
        spk, syn, mem = net.lif(net.fc(x), syn, mem)
        out.append(spk)
    return torch.stack(out)


def alpha(net: Any, x: Tensor) -> Tensor:
    """Tutorial 4: two synapses, one that excites and one that inhibits."""
    (syn_exc, syn_inh, mem), out = net.lif.init_alpha(), []
    for _ in range(STEPS):
        spk, syn_exc, syn_inh, mem = net.lif(net.fc(x), syn_exc, syn_inh, mem)
        out.append(spk)
    return torch.stack(out)


def recurrent_synaptic(net: Any, x: Tensor) -> Tensor:
    """RSynaptic's page: a synapse that leaks, and feedback into it."""
    (spk, syn, mem), out = net.lif.init_rsynaptic(), []
    for _ in range(STEPS):
        spk, syn, mem = net.lif(net.fc1(x), spk, syn, mem)
        out.append(net.fc2(spk))
    return torch.stack(out)


def autoencoder(net: Any, x: Tensor) -> Tensor:
    """The spiking autoencoder: layers keep their own states, the picture is the last membrane."""
    membranes = [net.decoder(net.encoder(x)) for _ in range(STEPS)]
    return torch.stack([m[1] for m in membranes])[-1]


def sequence(classes: int, sides: int, *, channels: tuple[int, int, int], beta: float, kernel: int = 5) -> nn.Module:
    """Tutorials 6 and 7, and that of ST-MNIST: layers in a row that keep their own states."""
    c0, c1, c2 = channels
    grad = surrogate.fast_sigmoid(slope=25)
    after = ((sides - kernel + 1) // 2 - kernel + 1) // 2
    return nn.Sequential(
        nn.Conv2d(c0, c1, kernel), nn.MaxPool2d(2), leaky(beta, spike_grad=grad, init_hidden=True),
        nn.Conv2d(c1, c2, kernel), nn.MaxPool2d(2), leaky(beta, spike_grad=grad, init_hidden=True),
        nn.Flatten(), nn.Linear(c2 * after**2, classes), leaky(beta, spike_grad=grad, init_hidden=True, output=True),
    )  # fmt: skip


def two(run: Any, sizes: tuple[int, int, int], last: nn.Module, first: nn.Module | None = None) -> nn.Module:
    """Two dense layers of these inputs, hidden neurons and outputs."""
    inputs, hidden, outputs = sizes
    return Code(run, fc1=nn.Linear(inputs, hidden), lif1=first or leaky(), fc2=nn.Linear(hidden, outputs), lif2=last)


def tutorial_5(run: Any) -> Any:
    """784 - 1000 - 10."""
    return lambda by: two(run, (784, 1000 // by, 10), leaky(0.95), leaky(0.95))


def tutorial_6(by: int) -> nn.Module:
    """The class."""
    maps = 64 // by
    return Code(
        convolutional, conv1=nn.Conv2d(1, 12, 5), lif1=leaky(0.95), conv2=nn.Conv2d(12, maps, 5), lif2=leaky(0.95),
        fc1=nn.Linear(maps * 16, 10), lif3=leaky(0.95),
    )  # fmt: skip


def learned(by: int) -> nn.Module:
    """Regression 1: a beta and a threshold a neuron."""
    first = leaky(torch.rand(128), threshold=torch.rand(128) + 0.1, learn_beta=True, learn_threshold=True)
    return two(regression, (64, 128, 1), leaky(1.0, reset_mechanism="none"), first)


def alone(run: Any, neurons: nn.Module) -> nn.Module:
    """One dense layer before neurons."""
    return Code(run, fc=nn.Linear(64, 10), lif=neurons)


def with_feedback(run: Any, inputs: int, neurons: nn.Module, outputs: int) -> nn.Module:
    """Neurons with feedback between two dense layers."""
    size = neurons.recurrent.in_features
    return Code(run, fc1=nn.Linear(inputs, size), fc2=nn.Linear(size, outputs), lif=neurons)


def sae(by: int) -> nn.Module:
    """Encoder and decoder of the spiking autoencoder."""
    c = 32 // by
    encoder = nn.Sequential(
        nn.Conv2d(1, c, 3, padding=1, stride=2), nn.BatchNorm2d(c), leaky(init_hidden=True),
        nn.Conv2d(c, 2 * c, 3, padding=1, stride=2), nn.BatchNorm2d(2 * c), leaky(init_hidden=True),
        nn.Flatten(1, -1), nn.Linear(2 * c * 49, 32), leaky(init_hidden=True, output=False),
    )  # fmt: skip
    decoder = nn.Sequential(
        nn.Linear(32, 2 * c * 49), leaky(init_hidden=True), nn.Unflatten(1, (2 * c, 7, 7)),
        nn.ConvTranspose2d(2 * c, c, 3, padding=1, stride=2, output_padding=1), nn.BatchNorm2d(c),
        leaky(init_hidden=True),
        nn.ConvTranspose2d(c, 1, 3, padding=1, stride=2, output_padding=1),
        leaky(init_hidden=True, output=True, threshold=20000.0),
    )  # fmt: skip
    return Code(autoencoder, encoder=encoder, decoder=decoder)


TUTORIALS = (
    Network("tutorial 5", tutorial_5(dense), FLAT, STEPS, divided=10),
    Network("tutorial 5, read by its membranes", tutorial_5(dense_membranes), FLAT, STEPS, divided=10),
    Network("tutorial 6, a class", tutorial_6, DIGIT, STEPS, divided=8),
    Network(
        "tutorial 6, nn.Sequential", lambda by: sequence(10, 28, channels=(1, 12, 64 // by), beta=0.95), DIGIT, STEPS,
        divided=8,
    ),
    Network(
        "tutorial 7, N-MNIST", lambda by: sequence(10, 34, channels=(2, 12, 32 // by), beta=0.5), (2, 34, 34), STEPS,
        COUNTS, divided=4,
    ),
    Network("population coding", lambda by: two(dense, (784, 128, 500 // by), leaky()), FLAT, STEPS, divided=5),
    Network("regression 1, thresholds and betas learned", learned, (64,), STEPS),
    Network(
        "regression 2, RLeaky", lambda by: with_feedback(
            recurrent, 64, snn.RLeaky(beta=0.5, threshold=0.25, linear_features=128), 1), (64,), STEPS,
    ),
    Network("Lapicque", lambda by: alone(lapicque, snn.Lapicque(beta=0.5, threshold=0.2)), (64,), STEPS),
    Network("Synaptic", lambda by: alone(synaptic, snn.Synaptic(alpha=0.9, beta=0.8)), (64,), STEPS),
    Network(
        "RSynaptic", lambda by: with_feedback(
            recurrent_synaptic, 64, snn.RSynaptic(alpha=0.9, beta=0.8, linear_features=32), 10), (64,), STEPS,
    ),
    Network(
        "Alpha", lambda by: alone(alpha, snn.Alpha(alpha=0.9, beta=0.8)), (64,), STEPS,
        refused=r"lif: Alpha has no counterpart here\. Its reset also drops the current .*: train with Synaptic",
        why="its reset also drops the current of the step after a spike; train with Synaptic",
    ),
    Network(
        "LeakyParallel", lambda by: nn.Sequential(nn.Linear(64, 10), snn.LeakyParallel(10, 10)), (64,), STEPS,
        refused=r"1: LeakyParallel has no counterpart here\. It keeps the ReLU of a membrane, .*: train with Leaky",
        why="the ReLU of a membrane, which is never reset; train with Leaky",
    ),
    Network(
        "ST-MNIST, counts", lambda by: sequence(10, 10, channels=(2, 12, 32 // by), beta=0.95, kernel=3), (2, 10, 10),
        STEPS, COUNTS, divided=4,
    ),
    Network("spiking autoencoder", sae, DIGIT, STEPS, divided=8),
)  # fmt: skip
