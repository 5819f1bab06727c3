"""Ordinary networks whose activations become quantized ones, wherever they run; the network stays as it was."""

from __future__ import annotations

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import ConversionError, SpikeletError
from spikelet.conversion import LeastError, calibrate
from spikelet.conversion.ordinary.called import Place, Substituted
from spikelet.neurons import QCFS


class Forms(nn.Module):
    """Every way in which a network calls an activation."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 6, 3, padding=1), nn.Conv2d(6, 6, 3, padding=1)
        self.shared, self.once, self.held = nn.ReLU(inplace=True), nn.GELU(), F.silu
        self.inner = nn.Sequential(nn.Conv2d(6, 6, 1), nn.ReLU())
        self.classifier = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        y = self.shared(self.a(x))
        y = self.shared(self.b(y) + y)
        y = F.relu(self.a(x), inplace=True) + self.inner(y)
        y = torch.relu(self.b(y)).clamp(min=0)
        y = self.held(self.once(y).relu_())
        return self.classifier(F.adaptive_avg_pool2d(y, 1).flatten(1))


SITES = 9


def images(count: int = 16, size: int = 6) -> Tensor:
    return torch.randn(count, 3, size, size, generator=torch.Generator().manual_seed(1))


def network() -> Forms:
    torch.manual_seed(0)
    return Forms()


def quantized(model: nn.Module) -> list[QCFS]:
    return [m for m in model.modules() if isinstance(m, QCFS)]


def thresholds(model: nn.Module) -> list[float]:
    return [q.theta.item() for q in quantized(model)]


def test_every_activation_gets_a_threshold_of_its_own():
    made = calibrate(network(), images())
    assert isinstance(made, Substituted)
    assert len(quantized(made)) == SITES
    assert len(set(thresholds(made))) == SITES - 2  # relu(a(x)) comes twice, and a clamp leaves a relu as it is
    assert not any(isinstance(m, nn.ReLU | nn.GELU) for m in made.modules())
    assert Place("", "relu", 1) in made.places
    assert isinstance(made.net.inner[1], QCFS)


@pytest.mark.parametrize("levels", [16, 128])
def test_many_levels_come_close_to_the_network(levels: int):
    net, x = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Flatten(), nn.Linear(8 * 16, 5)), images()
    torch.manual_seed(0)
    error = (calibrate(net, x, levels, LeastError())(x) - net(x)).abs().max()
    assert error < 2 / levels


def test_batches_and_labels_change_nothing():
    net, x = network(), images()
    whole, cut = calibrate(net, x), calibrate(net, [(x[:5], torch.zeros(5)), (x[5:], torch.zeros(11))])
    assert thresholds(whole) == pytest.approx(thresholds(cut), rel=0.01)
    assert thresholds(whole) == thresholds(calibrate(net, x.numpy()))


def test_a_thresholds_gradient_reaches_every_activation():
    made = calibrate(network(), images()).train()
    made(images()).square().sum().backward()
    assert all(q.levels.threshold.grad is not None for q in quantized(made))


def test_a_copy_and_its_weights_go_on_as_the_calibrated_network():
    made = calibrate(network(), images())
    again = copy.deepcopy(made)
    again.load_state_dict(made.state_dict())
    assert torch.equal(again(images()), made(images()))


def test_calibrating_again_finds_nothing_left():
    with pytest.raises(ConversionError, match="no activation to calibrate"):
        calibrate(calibrate(network(), images()), images())


class Own(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return 0.5 * x * (1 + torch.tanh(0.8 * x))


def test_classes_of_ones_own_are_activations_when_told():
    net = nn.Sequential(nn.Linear(4, 4), Own(), nn.Linear(4, 2))
    with pytest.raises(ConversionError, match=r"Pass classes of its own with activations="):
        calibrate(net, torch.randn(3, 4))
    assert len(quantized(calibrate(net, torch.randn(3, 4), activations=(Own,)))) == 1


class Loops(nn.Module):
    """Calls its activation as often as there are rows."""

    def __init__(self) -> None:
        super().__init__()
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        return torch.stack([self.relu(row) for row in x])


def test_a_call_that_calibration_did_not_see_is_refused():
    made = calibrate(Loops(), torch.randn(2, 3))
    made(torch.randn(2, 3))
    with pytest.raises(ConversionError, match="called more often in this pass"):
        made(torch.randn(3, 3))


class TwoNames(nn.Module):
    """One activation under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second, self.act = nn.Linear(3, 8), nn.Linear(8, 3), nn.ReLU()
        self.act2 = self.act

    def forward(self, x: Tensor) -> Tensor:
        return self.act2(self.second(self.act(self.first(x))))


def test_a_module_of_two_names_is_replaced_under_both():
    made = calibrate(TwoNames(), torch.randn(50, 3, generator=torch.Generator().manual_seed(0)), 4)
    assert sum(isinstance(m, QCFS) for m in made.modules()) == 2
    assert not any(isinstance(m, nn.ReLU) for m in made.modules())


class ReadsAgain(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        x = x * 1
        F.relu_(x)
        return x


BAD = {
    "levels below 1": (lambda: (network(), images(), 0), "levels must be a power of two from 1 to 128, got 0"),
    "levels of no power": (lambda: (network(), images(), 12), "levels must be a power of two from 1 to 128, got 12"),
    "no activation": (lambda: (nn.Linear(3, 3), images()[:, :, 0, 0]), "Linear has no activation to calibrate"),
    "no batch": (lambda: (network(), []), "batches holds no batch"),
    "another image size": (
        lambda: (nn.Sequential(nn.Flatten(), nn.ReLU(), nn.Linear(12, 2)), images()),
        r"does not run on a batch of shape \(16, 3, 6, 6\)",
    ),
    "images as bytes": (lambda: (network(), images().byte()), "torch.uint8"),
    "shapes that differ": (lambda: (network(), [images(), images(size=7)]), "samples of one shape"),
    "NaN": (lambda: (network(), images() * float("nan")), "NaN or infinity"),
    "a class": (lambda: (Forms, images()), "Make one of it: Forms"),
    "a word for a method": (lambda: (network(), images(), 16, "percentile"), "method must be Percentile"),
    "one class": (lambda: (network(), images(), 16, None, nn.Tanh), "activations must be classes of modules"),
    "a word for a class": (lambda: (network(), images(), 16, None, "relu"), "activations must be classes of modules"),
    "a tensor that is read again": (lambda: (ReadsAgain(), images()), "Write y = relu"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_input_is_one_sentence(name: str):
    arguments, message = BAD[name]
    with pytest.raises(SpikeletError, match=message):
        calibrate(*arguments())


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batches", [images(), [images(), images(size=1)]], ids=["success", "failure"])
def test_the_network_stays_as_it_was(batches, training: bool):
    net = network().train(training)
    net.inner.eval()
    before, state, printed = net(images()), copy.deepcopy(net.state_dict()), str(net)
    modes = [m.training for m in net.modules()]
    try:
        made = calibrate(net, batches)
    except ConversionError:
        assert isinstance(batches, list)
    else:
        assert made.training == training
    assert modes == [m.training for m in net.modules()]
    assert str(net) == printed
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all(torch.equal(a, b) for a, b in zip(state.values(), net.state_dict().values(), strict=True))
    assert torch.equal(net(images()), before)
