"""What a training configuration is made of: phases, an optimizer, a regulation, a teacher, a network to prune. Each
checks itself."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import flag, instance, make_plain, not_negative, one_of, positive, share, whole_numbers
from spikelet.base.strict_json import shown

MAX_TIME_STEPS = 1024  # of every neuron
CRITERIA = ("svs", "membrane_l1", "norm_scale", "weight_l1")  # of compression/pruned_run.py


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
        whole_numbers("Phase", epochs=self.epochs)
        whole_numbers("Phase", high=MAX_TIME_STEPS, time_steps=self.time_steps)
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
    rate: the firing rate, in 0..1, that the loss pulls every layer to. None is the paper's: 1/2, and the first and the
        last layer are left alone. A low one makes a network that costs less where spikes are events, as in exported
        C; `spikelet train --firing-rate` takes a lambda of 1 / (10 rate^2).
    """

    weight: bool = True
    spike: float = 1e-3
    rate: float | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        flag("DualRegulation", weight=self.weight)
        not_negative("DualRegulation", spike=self.spike)
        if self.rate is not None:
            share("DualRegulation", rate=self.rate)


@dataclasses.dataclass(frozen=True)
class Teacher:
    """A teacher that is trained first, on the same data, and what is learned from it (lessons.py).

    epochs: length of its own training, with the recipe's data, augmentation, batches and optimizer, on labels alone,
        without label smoothing, which costs a teacher's logits information (Mueller et al., NeurIPS 2019,
        arXiv:1906.02629).
    weight: w, the share of the teacher's logits in the total; the labels have 1 - w.
    temperature: tau of soft logits.
    after: epochs in which the network learns without the teacher.
    logits: "soft", its distribution; "hard", its most likely class; "none", features alone.
    head: the module of the network whose logits learn from it; "" for the network's own.
    labels: the module of the network whose logits learn the labels; "" for the network's own.
    gram: lambda of the matching of q, k and v; 0 for none.
    model, model_options: the network whose analog twin (analog.py) teaches; None is the one that is taught.
    """

    epochs: int
    weight: float = 0.9
    temperature: float = 4.0
    after: int = 0
    logits: str = "soft"
    head: str = ""
    labels: str = ""
    gram: float = 0.0
    model: str | None = None
    model_options: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        make_plain(self)
        whole_numbers("Teacher", epochs=self.epochs)
        positive("Teacher", temperature=self.temperature)
        if type(self.weight) not in (int, float) or not 0 < self.weight <= 1:
            raise SpikeletError(
                f"Teacher.weight must lie in (0, 1], got {shown(self.weight)}. Without a teacher: teacher=None; "
                'without its logits: logits="none".'
            )
        whole_numbers("Teacher", 0, unit=" of epochs", after=self.after)
        one_of("Teacher", ("soft", "hard", "none"), logits=self.logits)
        instance("Teacher", str, head=self.head, labels=self.labels)
        not_negative("Teacher", gram=self.gram)
        if self.logits == "none" and not self.gram:
            raise SpikeletError('Teacher.logits="none" leaves features to learn from: give gram a weight above 0.')
        if self.model is not None:
            instance("Teacher", str, model=self.model)
        if not isinstance(self.model_options, dict) or (self.model_options and self.model is None):
            raise SpikeletError(
                "Teacher.model_options must be a dict of the options of Teacher.model, got "
                f"{shown(self.model_options)}."
            )


@dataclasses.dataclass(frozen=True)
class Unpruned:
    """The larger network that a configuration's own comes from. It is trained first, on the same data; then channels
    leave until it has the shapes of the configuration's network, whose phases fine-tune it
    (compression/pruned_run.py).

    phases: of its training.
    optimizer: of its training; None is the configuration's.
    model_options: where its options differ from the configuration's, such as {"pruning": None}.
    criterion: what a channel is worth: a name in CRITERIA.
    """

    phases: tuple[Phase, ...]
    optimizer: Optimizer | None = None
    model_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    criterion: str = "svs"

    def __post_init__(self) -> None:
        make_plain(self)
        object.__setattr__(self, "phases", phases_of("Unpruned", self.phases))
        if self.optimizer is not None:
            instance("Unpruned", Optimizer, optimizer=self.optimizer)
        options = self.model_options
        if not isinstance(options, dict) or not options or not all(isinstance(key, str) for key in options):
            raise SpikeletError(
                "Unpruned.model_options must be a dict of the options that differ before pruning, such as "
                f'{{"pruning": None}}, got {shown(options)}.'
            )
        require_json("Unpruned", "model_options", options)
        one_of("Unpruned", CRITERIA, criterion=self.criterion)


def require_json(owner: str, name: str, options: dict[str, Any]) -> None:
    """Raises SpikeletError where `options` hold what config.json can't keep."""
    try:
        json.dumps(options, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise SpikeletError(
            f"{owner}.{name} must hold numbers, strings, lists and dicts, which config.json can keep, got "
            f"{shown(options)} ({error})."
        ) from error


def phases_of(owner: str, phases: Any) -> tuple[Phase, ...]:
    """`phases`, of which there is at least one, as a tuple; `owner` begins the error."""
    found = tuple(phases) if isinstance(phases, list) else phases
    if not isinstance(found, tuple) or not all(isinstance(phase, Phase) for phase in found):
        raise SpikeletError(f"{owner}.phases must be Phase(epochs, time_steps) in a tuple, got {shown(found)}.")
    if not found:
        raise SpikeletError(f"{owner}.phases must hold at least one Phase(epochs, time_steps).")
    return found
