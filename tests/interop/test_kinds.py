"""Which class a user's subclass behaves as, and what of it would be lost."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import ConversionError, LoweringError, WrongType
from spikelet.interop.kinds import kind_of

pytest.importorskip("snntorch", reason="needs snnTorch")
import snntorch as snn


class Defaults(nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 2)

    def extra_repr(self) -> str:
        return "mine"

    def helper(self) -> int:
        """Nothing of Linear's calls it."""
        return 3


class Deeper(Defaults):
    """Nothing of its own."""


class Changed(Defaults):
    def forward(self, x: Tensor) -> Tensor:
        return 2 * super().forward(x)


class BelowChanged(Changed):
    """Nothing of its own, and its base has."""


@pytest.mark.parametrize(
    ("cls", "kind"),
    [
        (nn.Linear, nn.Linear), (Defaults, nn.Linear), (Deeper, nn.Linear), (Changed, Changed),
        (BelowChanged, BelowChanged), (nn.ReLU, nn.ReLU),
    ],
)  # fmt: skip
def test_a_subclass_without_code_of_its_own_behaves_as_its_base(cls: type[nn.Module], kind: type[nn.Module]) -> None:
    assert kind_of(cls, lambda base: base is nn.Linear) is kind


def test_code_of_a_subclass_is_kept_and_its_parameters_are_of_the_network() -> None:
    net = nn.Sequential(BelowChanged(), snn.Leaky(0.5, threshold=0.25, init_hidden=True))
    model = spikelet.from_snntorch(net, time_steps=2, scale=1 / 256)
    x = torch.randint(0, 256, (8, 4), dtype=torch.uint8)
    report = model.compare([(x, torch.zeros(8, dtype=torch.long))])
    assert (report.different, report.layers[0].original > 0) == (0, True)
    assert torch.equal(model.net.written_0.weight, net[0].weight)
    assert {"net.0.weight", "net.0.bias"} <= set(dict(model.named_parameters()))
    assert model.train().net[0].training, "a layer that has code of its own is in its network's mode"
    assert not model.eval().net[0].layer.training


class Gained(nn.Linear):
    """Its network tells it a factor, and training draws noise."""

    gain = 0.0

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x + torch.randn_like(x) if self.training else x) * self.gain


class TellsGain(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc, self.neuron = Gained(4, 8), snn.Leaky(0.5, threshold=0.25, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        self.fc.gain = 2.0
        return self.neuron(self.fc(x))


def test_code_of_a_subclass_is_in_the_mode_of_its_network_and_is_told_what_its_network_says() -> None:
    model = spikelet.from_snntorch(TellsGain().train(), time_steps=2, scale=1 / 256)
    x = torch.randint(0, 256, (8, 4), dtype=torch.uint8)
    report = model.compare([(x, torch.zeros(8, dtype=torch.long))])
    assert (report.different, report.layers[0].original > 0) == (0, True)
    assert model.training
    assert model.net.fc.layer.training


def test_code_of_a_subclass_of_another_layer_is_refused() -> None:
    class Mine(nn.MaxPool2d):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(-x)

    with pytest.raises(ConversionError, match=r"1: Mine is a MaxPool2d with code of its own"):
        spikelet.from_snntorch(nn.Sequential(nn.Conv2d(1, 1, 3), Mine(2)), time_steps=2)


def test_an_array_is_refused_with_the_way_out() -> None:
    model = spikelet.from_snntorch(nn.Sequential(nn.Linear(4, 2), snn.Leaky(0.5, init_hidden=True)), time_steps=2)
    with pytest.raises(WrongType, match=r"takes a uint8 tensor, got ndarray\. Use torch\.from_numpy\(x\)"):
        model(np.zeros((2, 4), np.uint8))


class Hidden(nn.Module):
    """Code between layers that leaves torch's functions."""

    def __init__(self) -> None:
        super().__init__()
        self.fc, self.lif = nn.Linear(4, 2), snn.Leaky(0.5, init_hidden=True)

    def forward(self, x: Tensor) -> Tensor:
        return torch.from_numpy(2 * self.lif(self.fc(x)).detach().numpy())


def test_code_that_no_tensor_function_shows_is_refused_with_the_way_out() -> None:
    model = spikelet.from_snntorch(Hidden(), time_steps=2)
    for layer in model.modules():
        if isinstance(layer, spikelet.nn.Linear):
            layer.quantizer = spikelet.quant.Uniform(4)
    with pytest.raises(LoweringError, match=r"net \(Hidden\): its code computes what no tensor function shows"):
        spikelet.lower(model, torch.zeros((2, 4), dtype=torch.uint8))
