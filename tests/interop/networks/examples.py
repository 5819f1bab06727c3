"""SpikingJelly's example scripts, 10 of them, written anew as their networks are."""

from __future__ import annotations

from typing import Any

import torch
from spikingjelly.activation_based import functional, layer, neuron, surrogate
from torch import Tensor, nn

from tests.interop.networks.network import Code, Network
from tests.interop.networks.zoo import in_mode_m


def fashion(by: int) -> nn.Module:
    """conv_fashion_mnist: the forward makes T steps of the image, and takes the mean over them."""
    c = 128 // by
    layers = nn.Sequential(
        layer.Conv2d(1, c, 3, padding=1, bias=False), layer.BatchNorm2d(c), neuron.IFNode(), layer.MaxPool2d(2, 2),
        layer.Conv2d(c, c, 3, padding=1, bias=False), layer.BatchNorm2d(c), neuron.IFNode(), layer.MaxPool2d(2, 2),
        layer.Flatten(), layer.Linear(c * 49, c * 16, bias=False), neuron.IFNode(),
        layer.Linear(c * 16, 10, bias=False), neuron.IFNode(),
    )  # fmt: skip
    return in_mode_m(Code(lambda net, x: net.layers(x.unsqueeze(0).expand(4, -1, -1, -1, -1)).mean(0), layers=layers))


def one_layer(by: int) -> nn.Module:
    """lif_fc_mnist: one layer, called once a step."""
    return nn.Sequential(layer.Flatten(), layer.Linear(784, 10, bias=False), neuron.LIFNode(tau=2.0, v_threshold=0.25))


def events(by: int) -> nn.Module:
    """memopt: a VGG that takes batches [N, T, ...] and transposes them itself."""
    c = 64 // by

    def block(inputs: int, outputs: int, *, pool: bool) -> list[nn.Module]:
        neurons = neuron.LIFNode(tau=4 / 3, decay_input=False, detach_reset=True, step_mode="m")
        before = [layer.AvgPool2d(2)] if pool else []
        return [*before, layer.Conv2d(inputs, outputs, 3, 1, 1), layer.BatchNorm2d(outputs), neurons]

    def run(net: Any, x: Tensor) -> Tensor:
        functional.reset_net(net)
        return net.classifier(torch.flatten(net.features(x.transpose(0, 1).contiguous()), 2))

    features = nn.Sequential(
        *block(2, c, pool=False), *block(c, 2 * c, pool=False), *block(2 * c, 4 * c, pool=True),
        *block(4 * c, 4 * c, pool=False), *block(4 * c, 8 * c, pool=True), *block(8 * c, 8 * c, pool=False),
        *block(8 * c, 8 * c, pool=True), *block(8 * c, 8 * c, pool=False), layer.AvgPool2d(2),
    )  # fmt: skip
    return in_mode_m(Code(run, features=features, classifier=nn.Sequential(nn.Dropout(0.25), nn.Linear(8 * c * 9, 10))))


def rows(*between: nn.Module, first: int = 32) -> nn.Module:
    """rsnn_sequential_fmnist: one row of the image a step."""
    layers = nn.Sequential(
        layer.Linear(28, first), neuron.IFNode(), *between, layer.Linear(first, 10), neuron.IFNode(v_threshold=0.25)
    )
    return in_mode_m(Code(lambda net, x: net.layers(x).mean(0), layers=layers))


def feedback(by: int) -> nn.Module:
    """rsnn_sequential_fmnist with a layer that reads its own spikes."""
    layers = nn.Sequential(
        layer.Linear(28, 32), layer.LinearRecurrentContainer(neuron.IFNode(), in_features=32, out_features=32),
        layer.Linear(32, 10), neuron.IFNode(v_threshold=0.25),
    )  # fmt: skip
    return in_mode_m(Code(lambda net, x: net.layers(x).mean(0), layers=layers))


def strided(by: int) -> nn.Module:
    """lava_mnist: strides for pools, no norms, called once a step."""
    c = 16 // by
    return nn.Sequential(
        layer.Conv2d(1, c, 3, padding=1, bias=False), neuron.IFNode(),
        layer.Conv2d(c, c, 2, 2, bias=False), neuron.IFNode(),
        layer.Conv2d(c, c, 3, padding=1, bias=False), neuron.IFNode(),
        layer.Conv2d(c, c, 2, 2, bias=False), neuron.IFNode(),
        layer.Flatten(), layer.Linear(c * 49, 128 // by, bias=False), neuron.IFNode(),
        layer.Linear(128 // by, 10, bias=False), neuron.IFNode(v_threshold=0.25),
    )  # fmt: skip


def q_learning(by: int) -> nn.Module:
    """dsqn: values of actions are the last membranes of neurons that don't spike."""
    c = 32 // by

    def lif() -> nn.Module:
        return neuron.LIFNode(surrogate_function=surrogate.ATan(), detach_reset=True, v_threshold=0.25)

    network = nn.Sequential(
        layer.Conv2d(4, c, 8, 4), lif(), layer.Conv2d(c, 2 * c, 4, 2), lif(), layer.Conv2d(2 * c, 2 * c, 3, 1), lif(),
        layer.Flatten(), layer.Linear(2 * c * 49, 512 // by), lif(), layer.Linear(512 // by, 6),
        neuron.NonSpikingLIFNode(decode="last_mem"),
    )  # fmt: skip
    return in_mode_m(Code(lambda net, x: net.network(x.unsqueeze(0).expand(4, -1, -1, -1, -1)), network=network))


class OverFrames(nn.Module):
    """Neurons whose time is the second last axis of sound [N, C, T, F]."""

    def __init__(self, flatten: bool = False) -> None:
        super().__init__()
        self.neurons = neuron.LIFNode(tau=10 / 7, surrogate_function=surrogate.Sigmoid(10.0), step_mode="m")
        self.flatten = flatten

    def forward(self, x: Tensor) -> Tensor:
        """[N, C, T, F], or [N, T, C F]."""
        y = self.neurons(x.transpose(0, 2))
        return y.permute(2, 0, 1, 3).flatten(2) if self.flatten else y.transpose(0, 2)


def speech(by: int) -> nn.Module:
    """speech_commands, of 8 frequencies for 40: convolutions over time too, and the frames of sound are the steps."""
    c = 64 // by
    return Code(
        lambda net, x: net.fc(net.conv(x)).mean(dim=1),
        conv=nn.Sequential(
            nn.Conv2d(3, c, (4, 3), padding=(2, 1), bias=False), OverFrames(),
            nn.Conv2d(c, c, (4, 3), padding=(6, 3), dilation=(4, 3), bias=False), OverFrames(),
            nn.Conv2d(c, c, (4, 3), padding=(24, 9), dilation=(16, 9), bias=False), OverFrames(flatten=True),
        ),
        fc=nn.Linear(c * 8, 12),
    )  # fmt: skip


def static_convolution(by: int) -> nn.Module:
    """The style of the first tutorials: one convolution of the image, then a loop that adds up the answers."""
    c = 32 // by

    def run(net: Any, x: Tensor) -> Tensor:
        current = net.static(x)
        total = net.fc(net.conv(current))
        for _ in range(1, 4):
            total += net.fc(net.conv(current))
        return total / 4

    return Code(
        run, static=nn.Sequential(nn.Conv2d(1, c, 3, padding=1, bias=False), nn.BatchNorm2d(c)),
        conv=nn.Sequential(
            neuron.IFNode(), nn.MaxPool2d(2),
            nn.Conv2d(c, c, 3, padding=1, bias=False), nn.BatchNorm2d(c), neuron.IFNode(), nn.MaxPool2d(2),
        ),
        fc=nn.Sequential(nn.Flatten(), nn.Linear(c * 49, 10, bias=False), neuron.LIFNode(tau=2.0, v_threshold=0.25)),
    )  # fmt: skip


DIGIT, ROWS = (1, 28, 28), {"scale": 1 / 255, "time_axis": 0}
EXAMPLES = (
    Network("conv_fashion_mnist", fashion, DIGIT, divided=32),
    Network("lif_fc_mnist", one_layer, DIGIT, 100),
    Network("memopt, CIFAR10-DVS VGG", events, (2, 48, 48), 4, {"scale": 1.0, "time_axis": 1}, divided=16),
    Network("rsnn_sequential_fmnist", lambda by: rows(), (28,), 28, ROWS),
    Network(
        "rsnn_sequential_fmnist, synapse filter", lambda by: rows(layer.SynapseFilter(tau=2.0, learnable=True)), (28,),
        28, ROWS, refused=r"layers\.2: SynapseFilter has no counterpart here\. .*: train without it",
        why="its leak depends on its own input; train without it, or with snnTorch's Synaptic",
    ),
    Network("rsnn_sequential_fmnist, feedback", feedback, (28,), 28, ROWS),
    Network("lava_mnist", strided, DIGIT, divided=4),
    Network("dsqn, last membrane", q_learning, (4, 84, 84), 4, divided=8),
    Network(
        "speech_commands", speech, (3, 101, 8), 102, divided=16,
        refused=r"net\.conv\.2: mixes time steps, .* Let it read one step",
        why="convolutions over the axis that its neurons take for time; let them read one step",
    ),
    Network("static convolution before a loop", static_convolution, DIGIT, divided=8),
)  # fmt: skip
