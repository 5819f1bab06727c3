"""A gain in a neuron's threshold is the neuron behind a current times the gain, in values and in gradients."""

from __future__ import annotations

import pytest
import torch

from spikelet.models.blocks import Precision
from spikelet.models.transformer_parts import NEURONS, Fire


@pytest.mark.parametrize("gain", [0.125, 0.25, 1.0])
@pytest.mark.parametrize("kind", NEURONS)
def test_a_gain_in_the_threshold_is_a_gain_of_the_current(kind: str, gain: float):
    fire = Fire(Precision(3, 1, 32), kind)
    torch.manual_seed(0)
    counts = torch.randint(0, 24, (3, 4, 50)).float().requires_grad_()
    told = torch.randn(3, 4, 50)
    inside, outside = fire(0.5, gain=gain)(counts), fire(0.5)(gain * counts)
    assert 0 < float(inside.detach().mean()) < 1
    assert torch.equal(inside, outside)
    for ours, theirs in zip(*(torch.autograd.grad(s, counts, told) for s in (inside, outside)), strict=True):
        torch.testing.assert_close(ours, theirs)
