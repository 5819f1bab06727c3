"""A training run as one frozen, JSON-able value. Recipes are functions that return one."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from spikelet.data.augment.names import AUGMENTATIONS
from spikelet.train.losses import LOSSES
from spikelet.train.settings import DualRegulation, Optimizer, Phase, Teacher, whole

GRADIENTS = ("clip", "ede", "straight")  # of quant/binary.py
PRECISIONS = ("no", "bf16", "fp16")  # of Accelerate's mixed precision


@dataclasses.dataclass(frozen=True, kw_only=True)
class Training:
    """How a network is trained: everything that does not name the network or its data."""

    augment: str = "none"  # a name in data.augment.names.AUGMENTATIONS
    phases: tuple[Phase, ...] = (Phase(20, 2),)
    batch_size: int = 128  # of all processes together
    optimizer: Optimizer = dataclasses.field(default_factory=Optimizer)
    regulation: DualRegulation = dataclasses.field(default_factory=DualRegulation)
    loss: str = "steps"  # a name in train.losses.LOSSES
    label_smoothing: float = 0.0
    gradient: str = "clip"  # estimator of the sign's gradient: one of GRADIENTS
    seed: int = 0
    mixed_precision: str = "no"
    compile: bool = False

    def __post_init__(self) -> None:
        owner = type(self).__name__
        whole(owner, batch_size=self.batch_size)
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

    def plain(self) -> Training:
        """The settings of this class alone, without a configuration's model, data and teacher."""
        return Training(**{field.name: getattr(self, field.name) for field in dataclasses.fields(Training)})

    @property
    def epochs(self) -> int:
        """Total epochs of all phases."""
        return sum(p.epochs for p in self.phases)

    def phase(self, epoch: int) -> Phase:
        """The phase that `epoch` belongs to."""
        for phase in self.phases:
            if epoch < phase.epochs:
                return phase
            epoch -= phase.epochs
        return self.phases[-1]

    def passes(self, epoch: int) -> int:
        """Forward and backward passes per sample in `epoch`; a backward pass counts as two."""
        return 3 * self.phase(epoch).steps_computed

    def time_steps(self, epoch: int) -> int:
        """Time steps T of `epoch`."""
        return self.phase(epoch).time_steps


@dataclasses.dataclass(frozen=True)
class TrainConfig(Training):
    """Everything that decides a run's result: a model by name, data by name, and how it is trained."""

    model: str
    model_options: dict[str, Any]
    data: str
    data_options: dict[str, Any] = dataclasses.field(default_factory=dict)
    whiten: bool = False  # start the first layer from the principal components of its pixels (train/whiten.py)
    analog: bool = False  # train the model's analog twin in its place (train/analog.py)
    teacher: Teacher | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in (("whiten", self.whiten), ("analog", self.analog)):
            if not isinstance(value, bool):
                raise ValueError(f"TrainConfig.{name} must be True or False, got {value!r}.")
        if self.teacher is not None:
            self._check(self.teacher)

    def _check(self, teacher: Teacher) -> None:
        if not isinstance(teacher, Teacher):
            raise ValueError(f"TrainConfig.teacher must be Teacher(epochs, ...) or None, got {teacher!r}.")
        if self.analog:
            raise ValueError(
                "TrainConfig.analog and TrainConfig.teacher exclude each other: an analog twin is a teacher."
            )
        if teacher.after >= self.epochs:
            raise ValueError(
                f"Teacher.after must be less than the {self.epochs} epochs of the phases, got {teacher.after}: "
                "the teacher would never be asked. Lower it, or leave the teacher out."
            )

    def passes(self, epoch: int) -> int:
        """Forward and backward passes per sample in `epoch`, plus one forward pass of the teacher once it is active."""
        return super().passes(epoch) + (self.teacher is not None and epoch >= self.teacher.after)

    def of_teacher(self) -> TrainConfig:
        """The configuration that trains the teacher.

        Raises:
            ValueError: this configuration has no teacher.
        """
        if self.teacher is None:
            raise ValueError(
                "this configuration has no teacher. Give it one: TrainConfig(..., teacher=Teacher(epochs))."
            )
        phases = (Phase(self.teacher.epochs, 1),)
        return dataclasses.replace(self, analog=True, teacher=None, phases=phases, label_smoothing=0.0, loss="mean")

    def to_dict(self) -> dict[str, Any]:
        """This configuration in plain JSON types."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """The text of config.json. Two configurations with the same text are the same run."""
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
                "teacher": Teacher(**d["teacher"]) if d.get("teacher") is not None else None,
            }
        )
