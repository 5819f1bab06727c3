"""What a training configuration is made of: phases, an optimizer, a regulation, a teacher. Each checks itself."""

from __future__ import annotations

import dataclasses
import math


def positive(owner: str, **values: float) -> None:
    """Raises ValueError unless every value is a finite number above 0; names the owner and the field."""
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{owner}.{name} must be a number above 0, got {value}.")


def whole(owner: str, **values: int) -> None:
    """Raises ValueError unless every value is a whole number from 1 on; names the owner and the field."""
    for name, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{owner}.{name} must be a whole number from 1 on, got {value!r}.")


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of training at one number of time steps.

    A network that reads static inputs costs half as much at T = 1 as at T = 2 and learns the same weights, so a run may
    start there.

    one_pass: train on the firing rates of T steps, at about the cost of T = 1 (neurons/one_pass.py); for still images.
    """

    epochs: int
    time_steps: int
    one_pass: bool = False

    def __post_init__(self) -> None:
        whole("Phase", epochs=self.epochs, time_steps=self.time_steps)
        if not isinstance(self.one_pass, bool):
            raise ValueError(f"Phase.one_pass must be True or False, got {self.one_pass!r}.")

    def __str__(self) -> str:
        return f"{self.epochs} at T = {self.time_steps}{' in one pass' if self.one_pass else ''}"

    @property
    def steps_computed(self) -> int:
        """Forward passes per sample: T, or 1 in one pass."""
        return 1 if self.one_pass else self.time_steps


@dataclasses.dataclass(frozen=True)
class Optimizer:
    """AdamW or SGD with Nesterov momentum 0.9; weight decay on convolution and linear weights only."""

    name: str = "adamw"
    lr: float = 2e-3  # peak
    weight_decay: float = 0.0
    warmup: float = 0.1  # fraction of all steps, linear; then a cosine to 0
    norm_lr: float = 1.0  # learning rate of parameters of one axis (batch norms, biases), in units of `lr`

    def __post_init__(self) -> None:
        positive("Optimizer", lr=self.lr, norm_lr=self.norm_lr)
        if not self.weight_decay >= 0:
            raise ValueError(f"Optimizer.weight_decay must be 0 or more, got {self.weight_decay}.")
        if self.name not in ("adamw", "sgd"):
            raise ValueError(f"Optimizer.name must be 'adamw' or 'sgd', got {self.name!r}.")
        if not 0 <= self.warmup < 1:
            raise ValueError(
                f"Optimizer.warmup must lie in [0, 1), got {self.warmup}. (It is a fraction of all steps.)"
            )


@dataclasses.dataclass(frozen=True)
class DualRegulation:
    """Q-SNN's weight-spike dual regulation (arXiv:2406.13672), with a switch for each half.

    weight: standardise binary weights before their sign.
    spike: lambda of the loss on firing rates, 0 for none (the paper 1e-3).
    """

    weight: bool = True
    spike: float = 1e-3

    def __post_init__(self) -> None:
        if not self.spike >= 0:
            raise ValueError(f"DualRegulation.spike must be 0 or more, got {self.spike}.")


def check_distillation(owner: str, weight: float, temperature: float) -> None:
    """Raises ValueError unless 0 < weight <= 1 and temperature > 0."""
    positive(owner, temperature=temperature)
    if not 0 < weight <= 1:
        raise ValueError(f"{owner}.weight must lie in (0, 1], got {weight}. Without a teacher: teacher=None.")


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A teacher: the network's analog twin (analog.py), trained first on the same data (distillation.py).

    epochs: length of its own training, with the recipe's data, augmentation, batches and optimizer, on labels alone,
        without label smoothing, which costs a teacher's logits information (Mueller et al., NeurIPS 2019,
        arXiv:1906.02629).
    after: epochs in which the network learns without the teacher.
    """

    epochs: int
    weight: float = 0.9  # w: share of the teacher's loss in the total; the labels have 1 - w
    temperature: float = 4.0
    after: int = 0

    def __post_init__(self) -> None:
        whole("Teacher", epochs=self.epochs)
        check_distillation("Teacher", self.weight, self.temperature)
        if not isinstance(self.after, int) or self.after < 0:
            raise ValueError(f"Teacher.after must be a whole number of epochs from 0 on, got {self.after!r}.")
