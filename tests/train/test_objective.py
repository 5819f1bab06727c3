"""The loss by hand, the firing rates, and accuracy."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.neurons import LIF, LIFParams
from spikelet.train import DualRegulation, TrainConfig, evaluate
from spikelet.train.evaluate import predict
from spikelet.train.losses import LOSSES, firing_rates, mean_cross_entropy, rate_loss, step_cross_entropy
from spikelet.train.objective import Objective


def test_the_rate_loss_by_hand():
    rates = [torch.tensor(r) for r in (0.9, 0.1, 0.3, 0.6, 0.0)]
    assert rate_loss(rates).item() == pytest.approx((0.16 + 0.04 + 0.01) / 3)


def test_a_rate_is_asked_of_every_layer():
    assert rate_loss([torch.tensor(r) for r in (0.9, 0.1)], 0.2).item() == pytest.approx((0.49 + 0.01) / 2)
    assert rate_loss([], 0.2).item() == 0


@pytest.mark.parametrize("count", [0, 1, 2])
def test_without_hidden_layers_the_rate_loss_is_zero(count: int):
    assert rate_loss([torch.tensor(0.1)] * count).item() == 0


def test_the_cross_entropy_is_the_mean_over_every_step_and_sample():
    logits, y = torch.randn(3, 4, 5), torch.tensor([0, 4, 2, 2])
    by_hand = []
    for t, b in itertools.product(range(3), range(4)):
        total = sum(math.exp(v) for v in logits[t, b])
        by_hand.append(-math.log(math.exp(logits[t, b, y[b]]) / total))
    assert step_cross_entropy(logits, y, 0.0).item() == pytest.approx(sum(by_hand) / 12, rel=1e-5)


@pytest.mark.parametrize("loss", LOSSES.values(), ids=list(LOSSES))
def test_a_model_that_takes_its_own_mean_is_trained_and_evaluated(loss: Any):
    logits, y = torch.randn(4, 5), torch.tensor([0, 4, 2, 2])
    assert loss(logits, y, 0.1) == mean_cross_entropy(logits[None], y, 0.1)
    assert torch.equal(predict(nn.Identity(), logits), logits)


def test_the_cross_entropy_of_the_mean_is_that_of_one_step_of_mean_logits():
    logits, y = torch.randn(3, 4, 5), torch.tensor([0, 4, 2, 2])
    assert mean_cross_entropy(logits, y, 0.1).item() == pytest.approx(
        step_cross_entropy(logits.mean(0, keepdim=True), y, 0.1).item()
    )


def test_label_smoothing_by_hand():
    logits, y = torch.tensor([[[1.0, -1.0]]]), torch.tensor([0])
    p = 1 / (1 + math.exp(-2))
    smoothed = -0.95 * math.log(p) - 0.05 * math.log(1 - p)
    assert step_cross_entropy(logits, y, 0.1).item() == pytest.approx(smoothed, rel=1e-5)


def three_neurons() -> nn.Sequential:
    return nn.Sequential(*(LIF(2, LIFParams(leak=0.0, threshold=t)) for t in (0.25, 0.5, 0.75)))


def test_firing_rates_are_collected_in_order_with_gradient_and_only_inside():
    model = three_neurons()
    x = torch.rand(2, 3, 4, requires_grad=True)
    with firing_rates(model) as rates:
        first = model[0](x)
        model(x)
    assert [r.item() for r in rates[:2]] == [first.mean().item()] * 2
    assert len(rates) == 4
    assert all(r.requires_grad for r in rates)
    model(x)
    assert len(rates) == 4
    with pytest.raises(ValueError, match="time_steps"), firing_rates(model):
        model(torch.zeros(3, 1))
    assert all(not m._forward_hooks for m in model.modules())


class Tiny(nn.Module):
    """Three layers of neurons whose last spikes are the logits."""

    def __init__(self) -> None:
        super().__init__()
        self.body = three_neurons()

    def forward(self, x: Tensor) -> Tensor:
        return self.body(x)


@pytest.mark.parametrize("name", sorted(LOSSES))
@pytest.mark.parametrize(("spike", "rate"), [(0.0, None), (0.5, None), (0.5, 0.1)])
def test_the_objective_is_cross_entropy_plus_lambda_times_the_rate_loss(spike: float, rate: float | None, name: str):
    regulation = DualRegulation(spike=spike, rate=rate)
    config = TrainConfig("qsnn_vgg_s", {}, "digits", regulation=regulation, loss=name, label_smoothing=0.1)
    model, x, y = Tiny(), torch.rand(2, 6, 4), torch.arange(6) % 4
    loss, firing = Objective(model, config)(x, y)
    with firing_rates(model) as rates:
        expected = LOSSES[name](model(x), y, 0.1) + spike * rate_loss(rates, rate)
    assert loss.item() == pytest.approx(expected.item())
    assert firing.item() == pytest.approx(sum(r.item() for r in rates) / 3)
    assert not firing.requires_grad


class Table(nn.Module):
    """Logits [2, B, 3] that the input spells out; refuses to run in training."""

    def __init__(self) -> None:
        super().__init__()
        self.frozen = nn.BatchNorm1d(1).eval()

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        return torch.stack([x[:, :3], x[:, 3:]])


def test_accuracy_is_of_the_mean_over_time():
    x = torch.tensor([[1.0, 0, 0, 0, 0, 5], [3.0, 0, 0, 0, 0, 2], [0.0, 1, 0, 0, 1, 0]])
    model = Table().train()
    model.frozen.eval()
    assert evaluate(model, [(x[:2], torch.tensor([2, 2])), (x[2:], torch.tensor([1]))]) == pytest.approx(2 / 3)
    assert model.training
    assert not model.frozen.training
    assert torch.equal(predict(model.eval(), x)[0], torch.tensor([0.5, 0, 2.5]))


def test_modes_are_put_back_after_an_error():
    model = Table().train()
    model.frozen.eval()
    with pytest.raises(SpikeletError):
        evaluate(model, [(torch.zeros(2, 5), torch.zeros(2))])
    assert model.training
    assert not model.frozen.training


def test_no_samples_are_no_accuracy():
    with pytest.raises(ValueError, match="evaluate needs at least one sample, got an empty data set"):
        evaluate(Table(), [])
