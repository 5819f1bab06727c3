"""Levels and QCFS: the published activation, its gradients, and the neuron and the integers that are the same."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor, nn

import spikelet
from spikelet.base.errors import SpikeletError
from spikelet.neurons import LIF, QCFS, Levels, LIFParams, Soft
from spikelet.nn import BatchNorm2d, Conv2d, Encode, Linear, Scale
from spikelet.quant import Uniform

ALL_LEVELS = (1, 2, 4, 8, 16, 32, 64, 128)
every_level = pytest.mark.parametrize("levels", ALL_LEVELS)


def inputs(levels: int, theta: float) -> Tensor:
    """Inputs around the range, every tie among them."""
    ties = (torch.arange(-1, levels + 2) + 0.5) * theta / levels
    return torch.cat([torch.linspace(-0.5, 1.5, 4001) * theta, ties])


@every_level
@pytest.mark.parametrize("theta", [0.25, 1.0, 2.0])
def test_levels_are_rounded_inputs_within_the_range_ties_up(levels: int, theta: float):
    z = inputs(levels, theta)
    expected = torch.floor(z * levels / theta + 0.5).clamp(0, levels) / levels
    assert torch.equal(Levels(levels, theta)(z), expected)
    assert torch.equal(QCFS(levels, theta)(z), theta * expected)
    on_grid = (z / theta * 4096).floor() / 4096
    rounded = torch.floor(on_grid * levels + 0.5).clamp(0, levels) / levels
    assert torch.equal(Levels(levels, theta).eval()(on_grid * theta), rounded)
    assert torch.equal(QCFS(levels, theta).eval()(on_grid * theta), theta * rounded)


@every_level
@pytest.mark.parametrize("theta", [0.0123, 0.7, 1.9, 3.0, 37.5])
def test_evaluation_is_a_gain_a_rounding_neuron_and_a_gain(levels: int, theta: float):
    z = inputs(levels, theta)[None]
    neuron = LIF(1, LIFParams.rounding(levels))
    divide = Scale(1.0)
    divide.gain = nn.Parameter(1 / torch.tensor(theta).double())  # Scale itself would hold it in float32
    once = nn.Sequential(divide, neuron).eval()
    assert torch.equal(Levels(levels, theta).eval()(z), once(z))
    assert torch.equal(QCFS(levels, theta).eval()(z), Scale(theta).eval()(once(z)))


@pytest.mark.parametrize("theta", [0.5, 2.0, 3.0])
def test_gradients_are_the_published_ones(theta: float):
    z = (torch.tensor([-0.7, -0.01, 0.01, 0.3, 0.52, 0.99, 1.01, 4.0]) * theta).requires_grad_()
    inside, above = (z > 0) & (z < theta), z > theta
    layer = QCFS(4, theta)
    h = layer(z)
    weights = torch.arange(1.0, 9.0)
    by_z, by_theta = torch.autograd.grad((h * weights).sum(), (z, layer.levels.threshold))
    assert torch.equal(by_z, weights * inside)
    slope = torch.where(inside, (h - z).detach() / theta, above.float())
    torch.testing.assert_close(by_theta, (weights * slope).sum())

    levels = Levels(4, theta)
    by_z, by_theta = torch.autograd.grad((levels(z) * weights).sum(), (z, levels.threshold))
    torch.testing.assert_close(by_z, weights * inside / theta)
    torch.testing.assert_close(by_theta, (-weights * z.detach() * inside).sum() / theta**2)


@pytest.mark.parametrize("shape", [(5,), (3, 4), (2, 3, 4, 5), (1, 2, 3, 4, 5), (2, 2, 2, 2, 2, 2)])
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_each_element_is_alone_whatever_the_axes(shape: tuple[int, ...], training: bool):
    z = torch.randn(shape) * 2
    for layer in (Levels(8, 1.7).train(training), QCFS(8, 1.7).train(training)):
        assert torch.equal(layer(z), layer(z.flatten()).reshape(shape))
        assert layer(z).dtype == z.dtype


@every_level
def test_integrate_and_fire_neurons_count_the_same(levels: int):
    """L steps of input, and only then the spikes: from theta / 2, each spike takes theta; nothing is lost."""
    theta, steps = 2.0, levels
    z = torch.randint(-64, 128 * 3, (2000,)) / 128 * theta
    parts = torch.randint(-256, 256, (steps, len(z))) / 128  # inputs of single steps, in any order, whose mean is z
    parts[-1] += steps * z - parts.sum(0)
    membrane, count = theta / 2 + parts.sum(0), torch.zeros(len(z))
    for _ in range(steps):
        fired = (membrane >= theta).float()
        membrane, count = membrane - theta * fired, count + fired
    assert torch.equal(membrane, theta / 2 + steps * z - theta * count)
    for layer in (Levels(levels, theta), Levels(levels, theta).eval()):
        assert torch.equal(layer(z) * levels, count)
    if levels > 1:  # the same with an input that stays, spikes as they come
        spikes = LIF(steps, LIFParams(1.0, reset=Soft(), start=0.5)).eval()(z[None] / theta)
        assert torch.equal(spikes.sum(0), count)


class Net(nn.Module):
    """A convolution, an activation, and a classifier."""

    def __init__(self, activation: nn.Module) -> None:
        super().__init__()
        self.encode, self.conv, self.norm = Encode(), Conv2d(2, 6, 3, Uniform(8)), BatchNorm2d(6)
        self.activation, self.fc = activation, Linear(6 * 16, 5, Uniform(8, per_channel=False), bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.activation(self.norm(self.conv(self.encode(x)))).flatten(2))


@pytest.mark.parametrize("activation", [(Levels, 16, 0.3), (Levels, 4, 2.7), (QCFS, 16, 0.3), (QCFS, 2, 1.0)])
def test_a_network_of_them_runs_as_integers(activation: tuple[type[nn.Module], int, float]):
    torch.manual_seed(0)
    net, x = Net(activation[0](*activation[1:])), torch.randint(0, 256, (40, 2, 6, 6), dtype=torch.uint8)
    net(x).sum().backward()  # moves the statistics of the norm
    net.eval()
    graph = spikelet.lower(net, x)
    report = spikelet.verify(graph, net, [(x, torch.zeros(40, dtype=torch.long))])
    assert report.spikes > 0
    assert report.not_compared == ()
    assert report.mismatches == 0
    name = "activation" if activation[0] is Levels else "activation.levels"
    assert name in spikelet.Program(graph).spikes(x.numpy())


def test_a_threshold_out_of_its_bounds_comes_back():
    layer = QCFS(4, 1.0)
    with torch.no_grad():
        layer.levels.threshold.fill_(-3.0)
    assert layer.theta == 2.0**-8
    layer(torch.tensor([1.0])).sum().backward()
    assert layer.levels.threshold.grad == 1.0  # the input is above: h is theta
    assert layer.eval()(torch.tensor([1.0])) == 2.0**-8


@pytest.mark.parametrize("kind", [Levels, QCFS])
@pytest.mark.parametrize("levels", [0, -2, 3, 12, 129, 256, 2.0, True, "16", None])
def test_levels_are_a_power_of_two(kind: type, levels: object):
    with pytest.raises(SpikeletError, match=r"Levels\.levels must be a power of two from 1 to 128, got"):
        kind(levels)


@pytest.mark.parametrize("threshold", [0.0, -1.0, 1e-9, 1e9, math.nan, math.inf, True, "2", None, [1.0, 2.0]])
def test_a_threshold_is_a_number_within_bounds(threshold: object):
    with pytest.raises(SpikeletError, match=r"Levels\.threshold must be a number from 2\^-8 to 2\^12, got"):
        QCFS(4, threshold)  # type: ignore[arg-type]


def test_half_precision_is_refused_in_evaluation():
    with pytest.raises(TypeError, match=r"Levels evaluates in float32 or float64, which are exact, got torch\.bf"):
        QCFS(4).eval()(torch.zeros(3, dtype=torch.bfloat16))
