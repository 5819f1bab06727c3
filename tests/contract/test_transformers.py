"""The transformers of the tests do what a test of integers needs: every neuron fires, ties occur, gradients flow."""

from __future__ import annotations

import pytest
import torch

from spikelet.neurons import LIF
from spikelet.neurons.neuron import neurons_of
from spikelet.nn import evaluation_mode
from tests.support.transformers import TRANSFORMERS, firing, images, transformer

every_transformer = pytest.mark.parametrize("name", TRANSFORMERS)


@every_transformer
@pytest.mark.parametrize("time_steps", [1, 2, 4])
def test_every_neuron_fires_and_not_always(name: str, time_steps: int):
    model, x = transformer(name, time_steps), images(2)
    rates = firing(model, x)
    assert rates.keys() == neurons_of(model).keys()
    assert {k: v for k, v in rates.items() if not 0.02 < v < 0.6} == {}
    with torch.no_grad():
        logits = model(x)
    assert logits.shape[-2:] == (2, 10)
    assert not torch.equal(logits[..., 0, :], logits[..., 1, :])


@every_transformer
@torch.no_grad()
def test_charges_lie_on_thresholds_and_on_levels(name: str):
    model, x, ties = transformer(name, 2), images(4), 0

    def count(neuron: LIF, args: tuple[torch.Tensor], spikes: torch.Tensor) -> None:
        nonlocal ties
        p = neuron.params
        assert isinstance(p.threshold, float)
        assert isinstance(p.spacing, float)
        above = (neuron.trace(args[0]).charge - p.threshold) / p.spacing
        ties += int(((above % 1 == 0) & (above >= 0) & (above < p.levels)).sum())

    for neuron in neurons_of(model).values():
        neuron.register_forward_hook(count)  # type: ignore[arg-type]
    model(x)
    assert ties > 100


@every_transformer
def test_every_parameter_learns(name: str):
    model = transformer(name, 2).train()
    model(images(4)).square().sum().backward()
    without = [n for n, p in model.named_parameters() if p.grad is None or not torch.isfinite(p.grad).all()]
    assert without == []
    silent = [n for n, p in model.named_parameters() if p.grad is not None and not (p.grad != 0).any()]
    assert len(silent) < 0.05 * len(list(model.parameters())), silent


@every_transformer
@torch.no_grad()
def test_a_sample_does_not_depend_on_its_neighbours_nor_on_the_precision(name: str):
    model, x = transformer(name, 2), images(3)
    with evaluation_mode(model):
        logits = model(x)
        assert torch.equal(logits[..., 1:2, :], model(x[1:2]))
    with evaluation_mode(model.double()):
        assert torch.equal(model(x), logits.double())
