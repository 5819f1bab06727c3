"""Neurons that read their own spikes of the step before."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from spikelet.neurons import LIF, LIFParams, Soft
from spikelet.nn import BatchNorm1d, Conv2d, Linear, Recurrent
from spikelet.quant import FullPrecision, Uniform


def by_hand(layer: Recurrent, x: torch.Tensor) -> torch.Tensor:
    """The recurrence written out, on one neuron of T = 1."""
    s, v, spikes = torch.zeros_like(x[:1]), None, []
    for current in x:
        s, v = layer.neuron.step(current[None] + layer.norm(layer.synapses(s)), v)
        spikes.append(s)
    return torch.cat(spikes)


@pytest.mark.parametrize("training", [False, True])
def test_the_spikes_of_a_step_reach_the_next(training: bool):
    layer = Recurrent(LIF(6, LIFParams(0.5)), Linear(5, 5, Uniform(4)), BatchNorm1d(5)).eval()
    layer.neuron.train(training)
    x = torch.rand(6, 3, 5) * 2 - 0.3
    spikes = layer(x)
    assert torch.equal(spikes, by_hand(layer, x))
    assert 0.05 < spikes.mean() < 0.95
    assert not torch.equal(spikes, layer.neuron(x))


def test_a_neuron_that_excites_itself_by_hand():
    layer = Recurrent(LIF(4, LIFParams(0.0)), Linear(1, 1, FullPrecision())).eval()
    with torch.no_grad():
        layer.synapses.weight.fill_(1.0)  # type: ignore[union-attr]
    assert layer(torch.tensor([1.0, 0.0, 0.0, -1.0]).view(4, 1, 1)).flatten().tolist() == [1, 1, 1, 0]


def test_feedback_through_a_convolution_and_a_still_current():
    layer = Recurrent(LIF(3, LIFParams(0.5, reset=Soft())), Conv2d(2, 2, 3, Uniform(4), padding=1)).eval()
    x = torch.rand(1, 2, 2, 4, 4)
    assert torch.equal(layer(x), layer(x.expand(3, -1, -1, -1, -1)))


def test_gradients_go_round():
    layer = Recurrent(LIF(4, LIFParams(0.5)), Linear(3, 3, Uniform(4)))
    x = torch.rand(4, 2, 3).requires_grad_()
    layer(x)[-1].sum().backward()
    assert isinstance(layer.synapses, Linear)
    assert layer.synapses.weight.grad is not None
    assert (layer.synapses.weight.grad != 0).any()
    assert x.grad is not None
    assert (x.grad[0] != 0).any()


def test_feedback_of_another_shape_is_refused():
    with pytest.raises(
        ValueError, match=r"Recurrent's synapses must keep the shape of its current, \(1, 2, 3\) a step"
    ):
        Recurrent(LIF(2), Linear(3, 4, Uniform(4)))(torch.zeros(2, 2, 3))
    with pytest.raises(ValueError, match="LIF with time_steps=2 got a current"):
        Recurrent(LIF(2), nn.Identity())(torch.zeros(3, 2, 3))
