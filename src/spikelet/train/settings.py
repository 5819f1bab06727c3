"""What a training configuration is made of: phases, an optimizer, a regulation, a teacher. Each checks itself."""

from __future__ import annotations

import dataclasses

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import flag, make_plain, not_negative, positive, share, whole
from spikelet.base.strict_json import shown

MAX_TIME_STEPS = 1024  # of every neuron


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
        make_plain(self)
        whole("Phase", epochs=self.epochs)
        whole("Phase", high=MAX_TIME_STEPS, time_steps=self.time_steps)
        flag("Phase", one_pass=self.one_pass)

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
        make_plain(self)
        positive("Optimizer", lr=self.lr, norm_lr=self.norm_lr)
        not_negative("Optimizer", weight_decay=self.weight_decay)
        if not isinstance(self.name, str) or self.name not in ("adamw", "sgd"):
            raise SpikeletError(f"Optimizer.name must be 'adamw' or 'sgd', got {shown(self.name)}.")
        share("Optimizer", " (It is a fraction of all steps.)", warmup=self.warmup)


@dataclasses.dataclass(frozen=True)
class DualRegulation:
    """Q-SNN's weight-spike dual regulation (arXiv:2406.13672), with a switch for each half.

    weight: standardise binary weights before their sign.
    spike: lambda of the loss on firing rates, 0 for none (the paper 1e-3).
    """

    weight: bool = True
    spike: float = 1e-3

    def __post_init__(self) -> None:
        make_plain(self)
        flag("DualRegulation", weight=self.weight)
        not_negative("DualRegulation", spike=self.spike)


def check_distillation(owner: str, weight: float, temperature: float) -> None:
    """Raises SpikeletError unless 0 < weight <= 1 and temperature > 0."""
    positive(owner, temperature=temperature)
    if type(weight) not in (int, float) or not 0 < weight <= 1:
        raise SpikeletError(f"{owner}.weight must lie in (0, 1], got {shown(weight)}. Without a teacher: teacher=None.")


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
        make_plain(self)
        whole("Teacher", epochs=self.epochs)
        check_distillation("Teacher", self.weight, self.temperature)
        whole("Teacher", 0, unit=" of epochs", after=self.after)
