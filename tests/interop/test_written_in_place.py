"""What code writes in place into the image's currents, or into constants of its own, is what PyTorch writes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Uniform

neuron = pytest.importorskip(
    "spikingjelly.activation_based.neuron", reason="needs SpikingJelly, installed with --no-deps"
)
T = 4
Code = Callable[[Tensor, Tensor], Tensor]


class Net(nn.Module):
    """Currents, what `code` makes of them and of a constant a channel, neurons, classes."""

    constant: Tensor

    def __init__(self, code: Code) -> None:
        super().__init__()
        self.conv, self.fc = nn.Conv2d(2, 4, 3, padding=1), nn.Linear(256, 5)
        self.one, self.two = (neuron.IFNode(v_threshold=v, step_mode="m") for v in (0.3, 0.1))
        self.register_buffer("constant", torch.full((1, 4, 1, 1), 0.3))
        self.code = code

    def forward(self, x: Tensor) -> Tensor:
        current = self.conv(x.flatten(0, 1))
        current = self.code(current, self.constant)
        return self.two(self.fc(self.one(current.unflatten(0, (T, -1))).flatten(2)))


def written(name: str, first: int) -> Code:
    """The method `name` of one of the two, called for what it writes alone."""

    def code(current: Tensor, constant: Tensor) -> Tensor:
        both = current, constant.expand(current.shape).clone() if first else constant
        getattr(both[first], name)(both[1 - first])
        return both[first]

    return code


def multiplied(current: Tensor, constant: Tensor) -> Tensor:
    """The constant is written; the current stays what it is."""
    scaled = constant.expand(current.shape).clone()
    scaled *= current
    return scaled + current


GOES: dict[str, Code] = {
    "currents times constants": written("mul_", 0),
    "currents over constants": written("div_", 0),
    "currents plus constants": written("add_", 0),
    "constants plus currents": written("add_", 1),
    "constants minus currents": written("sub_", 1),
}
CODES = GOES | {"constants times currents": written("mul_", 1), "a current that stays": multiplied}


@pytest.mark.parametrize("code", CODES.values(), ids=list(CODES))
def test_spikes_are_the_original_s_and_the_integers_(code: Code) -> None:
    torch.manual_seed(0)
    x, labels = torch.randint(0, 256, (T, 2, 2, 8, 8), dtype=torch.uint8), torch.tensor([0, 1])
    model = spikelet.from_spikingjelly(Net(code).eval(), time_steps=T, time_axis=0, scale=1 / 255)
    report = model.compare([(x, labels)])
    assert report.different <= 0.01 * report.compared, str(report)
    assert sum(spikes.original for spikes in report.layers) > 0
    if code not in GOES.values():
        return
    for module in model.modules():
        if isinstance(module, Conv2d | Linear):
            module.quantizer = Uniform(4)
    assert spikelet.verify(spikelet.lower(model, x), model, [(x, labels)]).mismatches == 0
