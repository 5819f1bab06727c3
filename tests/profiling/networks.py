"""Small spiking networks, and the counts of NeuroBench's rule by plain loops."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from spikelet.models import create_model
from spikelet.neurons import LIF, QuantizedMembrane
from spikelet.nn import BatchNorm2d, Linear
from spikelet.quant import Uniform

SMALL = {
    "qsnn_resnet19": {"width": 4, "image_size": 8},
    "qsnn_vggsnn": {"widths": (4, 8, 8, 8), "image_size": 12},
    "qsnn_vgg_s": {"widths": (8, 12), "image_size": 11},
    "qsnn_vgg_s_avg": {"widths": (8, 12), "image_size": 11},
    "qsnn_vgg_s_max": {"widths": (8, 12, 16), "image_size": 11},
}


def images(channels: int, size: int, batch: int) -> Tensor:
    """uint8 noise."""
    return torch.randint(0, 256, (batch, channels, size, size), dtype=torch.uint8)


def trained(model: nn.Module, x: Tensor, bias: float = 0.5) -> nn.Module:
    """`model` with batch norms that have seen `x` and let neurons fire, in evaluation mode."""
    for module in model.modules():
        if isinstance(module, BatchNorm2d):
            nn.init.constant_(module.bias, bias)
    model.train()(x)
    return model.eval()


def small_model(name: str, **options: int) -> tuple[nn.Module, Tensor]:
    """A model of the catalogue, narrow, and four images or event frames for it."""
    options = {"time_steps": 3, **SMALL[name], **options}
    model = create_model(name, **options)
    x = images(2 if name == "qsnn_vggsnn" else 3, options["image_size"], 4)
    return trained(model, x), x


class TwoLayers(nn.Module):
    """3 inputs, 2 neurons with 2-bit membranes over 2 steps, 2 outputs; all weights written down.

    w1 = [[1, 0, -1], [1, 1, 0]] at 2 bits, w2 = [[1, 1], [1, -1]] at 8 bits; leak 1/2, threshold 1, hard reset.
    """

    def __init__(self) -> None:
        super().__init__()
        self.first = Linear(3, 2, Uniform(2))
        self.neurons = LIF(2, membrane=QuantizedMembrane(2))
        self.second = Linear(2, 2, Uniform(8))
        with torch.no_grad():
            self.first.weight.copy_(torch.tensor([[1.0, 0.0, -1.0], [1.0, 1.0, 0.0]]))
            self.second.weight.copy_(torch.tensor([[1.0, 1.0], [1.0, -1.0]]))

    def forward(self, x: Tensor) -> Tensor:
        """Spikes [2, B, 3] -> [2, B, 2]."""
        return self.second(self.neurons(self.first(x)))


def two_steps_of_spikes() -> Tensor:
    """[2, 1, 3]: 1 0 1, then 0 1 1."""
    return torch.tensor([[[1.0, 0.0, 1.0]], [[0.0, 1.0, 1.0]]])


def conv_operations(weight: Tensor, x: Tensor, stride: int, padding: int, groups: int) -> int:
    """Pairs of a weight and an input that are not zero and meet, by loops over every output."""
    outputs, inputs, kh, kw = weight.shape
    height = (x.shape[2] + 2 * padding - kh) // stride + 1
    width = (x.shape[3] + 2 * padding - kw) // stride + 1
    pairs = 0
    for b, o, i, j in itertools.product(range(len(x)), range(outputs), range(height), range(width)):
        group = o // (outputs // groups)
        for c, u, v in itertools.product(range(inputs), range(kh), range(kw)):
            row, column = i * stride + u - padding, j * stride + v - padding
            if 0 <= row < x.shape[2] and 0 <= column < x.shape[3]:
                pairs += bool(weight[o, c, u, v] != 0) and bool(x[b, group * inputs + c, row, column] != 0)
    return pairs
