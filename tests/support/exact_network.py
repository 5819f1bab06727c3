"""A network whose numbers lie close to what float32 can hold: every rounding shows in its logits."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.neurons import LIF, LIFParams
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, evaluation_mode
from spikelet.quant import Uniform


class Attention(nn.Module):
    """A small network whose products would not survive 8 bits: 8-bit weights on pixels, and counts of attention."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(Encode(), Conv2d(3, 32, 3, Uniform(8), padding=1), BatchNorm2d(32))
        self.neuron = LIF(3, LIFParams(0.5, 0.03125))
        self.mix = LIF(3, LIFParams(0.5, 500.0))
        self.head = Linear(32 * 64, 10, Uniform(8, per_channel=False), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        s = self.neuron(self.stem(x)).flatten(3)
        scores = s.transpose(2, 3) @ s  # [T, B, N, N]
        return self.head(self.mix(s @ scores).flatten(2))


def network() -> tuple[Attention, Tensor]:
    torch.manual_seed(5)
    model, x = Attention().eval(), torch.randint(0, 256, (4, 3, 8, 8), dtype=torch.uint8)
    return model, x


def traced(model: Attention, x: Tensor) -> list[Tensor]:
    """Every neuron's spikes, and the logits."""
    made: list[Tensor] = []
    hooks = [m.register_forward_hook(lambda m, a, y: made.append(y)) for m in (model.neuron, model.mix)]
    with torch.no_grad(), evaluation_mode(model):
        made.append(model(x))
    for hook in hooks:
        hook.remove()
    return made
