"""Learning from a teacher: the loss by hand, the limits of its temperature, and what it leaves alone."""

from __future__ import annotations

import copy
import math

import pytest
import torch
from torch import Tensor, nn

from spikelet.train.distillation import Distillation
from spikelet.train.lessons import OUTPUT, SoftLogits, divergence


def test_the_divergence_by_hand():
    z, told = torch.tensor([[2.0, 0.0], [0.0, 0.0]]), torch.tensor([[0.0, 0.0], [0.0, 2.0]])
    p = 1 / (1 + math.exp(-1))  # of a difference of 2 at temperature 2
    first = 0.5 * math.log(0.5 / p) + 0.5 * math.log(0.5 / (1 - p))
    second = (1 - p) * math.log((1 - p) / 0.5) + p * math.log(p / 0.5)
    assert divergence(z, told, 2.0).item() == pytest.approx(4 * (first + second) / 2, rel=1e-5)


@pytest.mark.parametrize("temperature", [0.5, 1.0, 4.0])
def test_it_is_zero_where_both_agree_whatever_is_added_to_all_logits_and_above_it_elsewhere(temperature: float):
    z, told = torch.randn(2, 5, 7)
    assert divergence(z, z + 3, temperature).item() == pytest.approx(0, abs=1e-5)
    assert divergence(z, told, temperature).item() > 0


def test_at_a_high_temperature_its_gradient_is_the_difference_of_the_centred_logits():
    z, told = torch.randn(2, 4, 10, dtype=torch.float64)
    z.requires_grad_()
    divergence(z, told, 1e4).backward()
    assert z.grad is not None
    centred = z.detach() - z.detach().mean(1, keepdim=True) - told + told.mean(1, keepdim=True)
    assert torch.allclose(z.grad, centred / 10 / 4, rtol=1e-3)


class Told(nn.Module):
    """A teacher whose logits [T, B, K] are its input twice, in evaluation mode and without gradients only."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        assert not self.training
        assert not torch.is_grad_enabled()
        return torch.stack([x, 3 * x])


@pytest.mark.parametrize("weight", [0.25, 1.0])
def test_the_loss_mixes_the_labels_and_the_teachers_mean_over_time(weight: float):
    teacher, x, logits = Told(), torch.randn(4, 3), torch.randn(2, 4, 3, requires_grad=True)
    before = copy.deepcopy(teacher.state_dict())
    distillation = Distillation(teacher, SoftLogits(weight, temperature=3.0))
    loss = distillation(x, {OUTPUT: logits}, lambda given: torch.tensor(7.0))
    expected = (1 - weight) * 7 + weight * divergence(logits.mean(0), 2 * x, 3.0)
    assert loss.item() == pytest.approx(expected.item(), rel=1e-6)
    loss.backward()
    assert logits.grad is not None
    assert logits.grad.abs().sum() > 0
    assert all(p.grad is None and not p.requires_grad for p in distillation.teacher.parameters())
    assert all(torch.equal(v, before[k]) for k, v in distillation.teacher.state_dict().items())
    assert all(p.requires_grad for p in teacher.parameters()), "the caller's is left alone"
    assert teacher.training


def test_training_leaves_the_teacher_in_evaluation_mode():
    distillation = Distillation(Told(), SoftLogits()).train()
    assert not any(m.training for m in distillation.teacher.modules())


def test_an_inactive_teacher_is_not_asked():
    distillation = Distillation(nn.Identity(), SoftLogits())
    distillation.active = False
    loss = torch.tensor(7.0)
    assert distillation(torch.zeros(0), {OUTPUT: torch.zeros(0)}, lambda logits: loss) is loss


@pytest.mark.parametrize(
    ("weight", "temperature", "named"),
    [
        (0.0, 4.0, r"weight must lie in \(0, 1\], got 0\.0"),
        (0.9, 0.0, r"temperature must be a number above 0, got 0\.0"),
    ],
)
def test_a_setting_out_of_range_is_refused_by_name(weight: float, temperature: float, named: str):
    with pytest.raises(ValueError, match=rf"SoftLogits\.{named}"):
        SoftLogits(weight, temperature=temperature)
