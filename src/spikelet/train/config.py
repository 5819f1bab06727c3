"""A training run as one frozen, JSON-able value. Recipes are functions that return one."""

from __future__ import annotations

import dataclasses
import json
import math
from typing import Any

from spikelet.train.augment import AUGMENTATIONS
from spikelet.train.objective import LOSSES

GRADIENTS = ("clip", "ede", "straight")  # of quant/binary.py
PRECISIONS = ("no", "bf16", "fp16")  # of Accelerate's mixed precision


def _positive(owner: str, **values: float) -> None:
    for name, value in values.items():
        if not (value > 0 and math.isfinite(value)):
            raise ValueError(f"{owner}.{name} must be a number above 0, got {value}.")


def _whole(owner: str, **values: int) -> None:
    for name, value in values.items():
        if not isinstance(value, int) or value < 1:
            raise ValueError(f"{owner}.{name} must be a whole number from 1 on, got {value!r}.")


@dataclasses.dataclass(frozen=True)
class Phase:
    """A stretch of training at one number of time steps.

    A direct-coded network at T = 1 costs half of T = 2 and learns the same weights, so a run may start there.
    one_pass: train on the firing rates of T steps, at about the cost of T = 1 (neurons/one_pass.py); for still images.
    """

    epochs: int
    time_steps: int
    one_pass: bool = False

    def __post_init__(self) -> None:
        _whole("Phase", epochs=self.epochs, time_steps=self.time_steps)
        if not isinstance(self.one_pass, bool):
            raise ValueError(f"Phase.one_pass must be True or False, got {self.one_pass!r}.")

    def __str__(self) -> str:
        return f"{self.epochs} at T = {self.time_steps}{' in one pass' if self.one_pass else ''}"

    @property
    def steps_computed(self) -> int:
        """What one sample costs in training, in passes through the network."""
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
        _positive("Optimizer", lr=self.lr, norm_lr=self.norm_lr)
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
    """Q-SNN's weight-spike dual regulation, its halves apart.

    weight: standardise binary weights before their sign.
    spike: lambda of the loss on firing rates, 0 for none (the paper 1e-3).
    """

    weight: bool = True
    spike: float = 1e-3

    def __post_init__(self) -> None:
        if not self.spike >= 0:
            raise ValueError(f"DualRegulation.spike must be 0 or more, got {self.spike}.")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained, whichever it is."""

    augment: str = "none"  # a name in train.augment.AUGMENTATIONS
    phases: tuple[Phase, ...] = (Phase(20, 2),)
    batch_size: int = 128  # of all processes together
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    regulation: DualRegulation = dataclasses.field(default_factory=DualRegulation)
    loss: str = "steps"  # a name in train.objective.LOSSES
    label_smoothing: float = 0.0
    gradient: str = "clip"  # estimator of the sign's gradient: one of GRADIENTS
    seed: int = 0
    mixed_precision: str = "no"
    compile: bool = False

    def __post_init__(self) -> None:
        owner = type(self).__name__
        _whole(owner, batch_size=self.batch_size)
        if not 0 <= self.label_smoothing < 1:
            raise ValueError(f"{owner}.label_smoothing must lie in [0, 1), got {self.label_smoothing}.")
        if self.loss not in LOSSES:
            raise ValueError(f"{owner}.loss must be one of {sorted(LOSSES)}, got {self.loss!r}.")
        if self.mixed_precision not in PRECISIONS:
            raise ValueError(f"{owner}.mixed_precision must be one of {PRECISIONS}, got {self.mixed_precision!r}.")
        if self.gradient not in GRADIENTS:
            raise ValueError(f"{owner}.gradient must be one of {GRADIENTS}, got {self.gradient!r}.")
        if self.augment not in AUGMENTATIONS:
            raise ValueError(f"{owner}.augment must be one of {sorted(AUGMENTATIONS)}, got {self.augment!r}.")
        if not self.phases:
            raise ValueError(f"{owner}.phases must hold at least one Phase(epochs, time_steps).")

    @property
    def epochs(self) -> int:
        """Of all phases."""
        return sum(p.epochs for p in self.phases)

    def phase(self, epoch: int) -> Phase:
        """The phase that `epoch` belongs to."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        return self.phases[-1]

    def time_steps(self, epoch: int) -> int:
        """T in `epoch`."""
        return self.phase(epoch).time_steps


@dataclasses.dataclass(frozen=True)
class TrainConfig(Training):
    """Everything that decides a run's result: a model by name, data by name, and how it is trained."""

    model: str
    model_options: dict[str, Any]
    data: str
    data_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    whiten: bool = False  # the first layer starts with the principal components of its pixels, see train/whiten.py

    def __post_init__(self) -> None:
        super().__post_init__()
        if not isinstance(self.whiten, bool):
            raise ValueError(f"TrainConfig.whiten must be True or False, got {self.whiten!r}.")

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON types."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """The text of config.json; two configurations are the same run where it is the same."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    @staticmethod
    def from_dict(d: dict[str, Any]) -> TrainConfig:
        """The inverse of `to_dict`."""
        return TrainConfig(
            **{
                **d,
                "phases": tuple(Phase(**p) for p in d["phases"]),
                "optimizer": Optimizer(**d["optimizer"]),
                "regulation": DualRegulation(**d["regulation"]),
            }
        )
