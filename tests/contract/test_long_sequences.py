"""Training on many time steps: the gradient that is written out is the one that autograd finds."""

from __future__ import annotations

import pytest
import torch

from spikelet.neurons import LIF, ATan, LIFParams, Triangle
from spikelet.neurons.long import LONG
from spikelet.neurons.neuron import Neuron

T = LONG + 4
CASES = {
    "one leak": LIFParams(0.875),
    "leaks by channel": LIFParams((0.5, 0.75, 0.9375), surrogate=ATan()),
    "a gain and a threshold": LIFParams(0.75, (0.5, 1.0, 0.75), scale_input=True, surrogate=Triangle(0.5)),
}


@pytest.mark.parametrize("params", CASES.values(), ids=CASES)
def test_long_sequences_train_as_the_loop_does(params: LIFParams) -> None:
    torch.manual_seed(0)
    x = torch.randn(T, 5, 3).mul_(2).round_().div_(2)  # halves, so that membranes tie with thresholds
    weight, grads, spikes = torch.randn(T, 5, 3), [], []
    for forward in (LIF.forward, Neuron.forward):
        neuron, leaf = LIF(T, params).train(), x.clone().requires_grad_()
        s = forward(neuron, leaf)
        (s * weight).sum().backward()
        assert leaf.grad is not None
        grads.append(leaf.grad)
        spikes.append(s.detach())
    assert torch.equal(*spikes)
    assert 0 < float(spikes[0].mean()) < 1
    torch.testing.assert_close(*grads)
    assert grads[0].abs().max() > 0


def test_long_sequences_of_another_kind_take_the_loop() -> None:
    class Shifted(LIF):
        def initial(self, current: torch.Tensor) -> torch.Tensor:
            return torch.full_like(current, 0.5)

    x = torch.full((T, 1, 1), 0.5)
    assert Shifted(T).train()(x)[1].item() == LIF(T).train()(torch.cat([x[:1] * 1.5, x[1:]]))[1].item()
    with pytest.raises(ValueError, match=r"first axis is time and must be 1 .* or 20"):
        LIF(T).train()(torch.zeros(T - 1, 1, 1))
