"""Learning from a teacher beside the labels.

    L = (1 - sum w) L_labels + sum of the lessons' terms          lessons.py

The teacher sees the very images that the network sees, augmented as they are. The loss of firing rates is added to L
(objective.py).

    Distillation(teacher, SoftLogits(0.9, temperature=4.0))
    Distillation(teacher, HardLogits(0.5, head="heads.1"), labels="heads.0")      two heads, as BESTformer has them
    Distillation(teacher, GramMatrices())                                         q, k and v, as QSD-Transformer
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import instance
from spikelet.base.strict_json import shown
from spikelet.data.classes import class_names_of, numbers_by_name
from spikelet.train.features import features, require_names
from spikelet.train.lessons import OUTPUT, Lesson
from spikelet.train.losses import mean_over_time


class Distillation(nn.Module):
    """A teacher beside a network in training.

    Args:
        teacher: from the network's input to logits [T, B, K] or [B, K], such as the network before it was compressed. A
            copy is taken, in evaluation mode; it does not learn.
        lessons: what is learned from it, at least one.
        labels: the module whose logits learn the labels; the network's own by default.
    Raises:
        SpikeletError: the teacher is no module, there is no lesson, or the lessons' shares are more than 1 together.

    While `active` is False the loss of the labels, on the network's own logits, is the loss.
    """

    def __init__(self, teacher: nn.Module, *lessons: Lesson, labels: str = OUTPUT) -> None:
        super().__init__()
        instance("Distillation", nn.Module, teacher=teacher)
        if not lessons or not all(isinstance(lesson, Lesson) for lesson in lessons):
            raise SpikeletError(
                "Distillation.lessons must be one or more of SoftLogits(...), HardLogits(...) and GramMatrices(...), "
                f"got {shown(lessons)}."
            )
        if (shares := sum(lesson.share for lesson in lessons)) > 1:
            raise SpikeletError(f"Distillation.lessons must leave the labels 0 or more, got weights of {shares}.")
        instance("Distillation", str, labels=labels)
        self.teacher = copy.deepcopy(teacher).eval().requires_grad_(False)
        self.lessons, self.labels = lessons, labels
        self.active = True
        self.columns: list[int] | None = None  # of the teacher's logits, where its classes stand in another order

    def meet(self, network: nn.Module, classes: Sequence[str]) -> None:
        """Lets the lessons find their modules, and the teacher's `class_names`, where it has some, meet those of the
        data by name.

        Raises:
            SpikeletError: the teacher lacks a class, or the network or the teacher a module.
        """
        if self.labels:
            require_names(network, [self.labels], "Distillation.labels")
        self.lessons = tuple(lesson.meet(network, self.teacher) for lesson in self.lessons)
        known = class_names_of(self.teacher)
        self.columns = None
        if known and known != tuple(classes):
            self.columns = numbers_by_name(classes, [1] * len(classes), known, "the data", "the teacher")

    @property
    def of_network(self) -> list[str]:
        """Names of the network's modules whose outputs the loss reads."""
        named = [self.labels] if self.labels else []
        return [*named, *(name for lesson in self.lessons for name in lesson.of_network)]

    def train(self, mode: bool = True) -> Distillation:
        """The teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    def forward(self, x: Tensor, network: Mapping[str, Tensor], classify: Callable[[Tensor], Tensor]) -> Tensor:
        """The loss L.

        Args:
            x: what the network was given.
            network: its logits [T, B, K] under the name "", and what its modules `of_network` gave.
            classify: the loss of the labels, of logits.
        """
        if not self.active:
            return classify(network[OUTPUT])
        total = (1 - sum(lesson.share for lesson in self.lessons)) * classify(network[self.labels])
        told = self._told(x)
        for lesson in self.lessons:
            total = total + lesson.loss(network, told)
        return total

    def _told(self, x: Tensor) -> dict[str, Tensor]:
        names = [name for lesson in self.lessons for name in lesson.of_teacher]
        with torch.no_grad(), features(self.teacher, names) as seen:
            logits = mean_over_time(self.teacher(x))
        return {**seen, OUTPUT: logits if self.columns is None else logits[:, self.columns]}
