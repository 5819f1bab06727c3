"""Learning from a teacher's logits, besides the labels.

    L = (1 - w) L_labels + w tau^2 KL(softmax(z_teacher / tau) || softmax(z / tau)),   z the mean over time

The teacher sees the very images that the network sees, augmented as they are. tau^2 keeps the gradient's size whatever
tau is (Hinton, Vinyals, Dean, "Distilling the knowledge in a neural network", arXiv:1503.02531). The loss of firing
rates is added to L (objective.py).
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import instance, plain
from spikelet.data.classes import class_names_of, numbers_by_name
from spikelet.train.losses import mean_over_time
from spikelet.train.settings import check_distillation


def divergence(logits_BK: Tensor, teacher_BK: Tensor, temperature: float) -> Tensor:
    """tau^2 KL(teacher || student) of both at temperature tau, the mean over the batch."""
    student = F.log_softmax(logits_BK / temperature, dim=-1)
    teacher = F.log_softmax(teacher_BK / temperature, dim=-1)
    return temperature**2 * F.kl_div(student, teacher, reduction="batchmean", log_target=True)


class Distillation(nn.Module):
    """A teacher beside a network in training.

    Args:
        teacher: from the network's input to logits [T, B, K] or [B, K], such as the network before it was compressed. A
            copy is taken, in evaluation mode; it does not learn.
        weight: w, in (0, 1].
        temperature: tau, above 0.
    Raises:
        SpikeletError: a setting is out of range, or the teacher is no module.

    While `active` is False the loss of the labels is the loss.
    """

    def __init__(self, teacher: nn.Module, weight: float, temperature: float) -> None:
        super().__init__()
        weight, temperature = plain(weight, "Distillation.weight"), plain(temperature, "Distillation.temperature")
        check_distillation("Distillation", weight, temperature)
        instance("Distillation", nn.Module, teacher=teacher)
        self.teacher = copy.deepcopy(teacher).eval().requires_grad_(False)
        self.weight, self.temperature = weight, temperature
        self.active = True
        self.columns: list[int] | None = None  # of the teacher's logits, where its classes stand in another order

    def meet(self, classes: Sequence[str]) -> None:
        """Lets the teacher's `class_names`, where it has some, meet those of the data by name.

        Raises:
            SpikeletError: the teacher lacks a class.
        """
        known = class_names_of(self.teacher)
        self.columns = None
        if known and known != tuple(classes):
            self.columns = numbers_by_name(classes, [1] * len(classes), known, "the data", "the teacher")

    def train(self, mode: bool = True) -> Distillation:
        """The teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, x: Tensor, logits: Tensor, loss_of_labels: Tensor) -> Tensor:
        """The loss L of logits [T, B, K] that the network gave for `x`."""
        if not self.active:
            return loss_of_labels
        with torch.no_grad():
            told = mean_over_time(self.teacher(x))
        told = told if self.columns is None else told[:, self.columns]
        own = mean_over_time(logits)
        if told.shape != own.shape:
            raise SpikeletError(
                f"the teacher gives logits of shape {tuple(told.shape)}, and the network of {tuple(own.shape)}. A "
                "teacher must tell the same classes apart."
            )
        learned = divergence(own, told, self.temperature)
        return (1 - self.weight) * loss_of_labels + self.weight * learned
