"""A training run as one frozen, JSON-able value. Recipes are functions that return one."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypeVar

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import flag, instance, make_plain, one_of, seed, share, whole_numbers
from spikelet.base.strict_json import shown
from spikelet.data.augment.names import AUGMENTATIONS
from spikelet.train.losses import LOSSES
from spikelet.train.settings import DualRegulation, Optimizer, Phase, Teacher, Unpruned, phases_of, require_json

Made = TypeVar("Made")
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
        make_plain(self)
        owner = type(self).__name__
        whole_numbers(owner, batch_size=self.batch_size)
        seed(owner, seed=self.seed)
        share(owner, label_smoothing=self.label_smoothing)
        flag(owner, compile=self.compile)
        one_of(owner, sorted(LOSSES), loss=self.loss)
        one_of(owner, PRECISIONS, mixed_precision=self.mixed_precision)
        one_of(owner, GRADIENTS, gradient=self.gradient)
        one_of(owner, sorted(AUGMENTATIONS), augment=self.augment)
        instance(owner, Optimizer, optimizer=self.optimizer)
        instance(owner, DualRegulation, regulation=self.regulation)
        object.__setattr__(self, "phases", phases_of(owner, self.phases))
        whole_numbers(owner, epochs=self.epochs)

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
    unpruned: Unpruned | None = None  # the larger network that this one comes from

    def __post_init__(self) -> None:
        super().__post_init__()
        flag("TrainConfig", whiten=self.whiten, analog=self.analog)
        instance("TrainConfig", str, model=self.model, data=self.data)
        for name, options in (("model_options", self.model_options), ("data_options", self.data_options)):
            if not isinstance(options, dict) or not all(isinstance(key, str) for key in options):
                raise SpikeletError(f"TrainConfig.{name} must be a dict of options by name, got {shown(options)}.")
            require_json("TrainConfig", name, options)
        if self.teacher is not None:
            self._check(self.teacher)
        if self.unpruned is not None:
            self._check_unpruned(self.unpruned)

    def _check(self, teacher: Teacher) -> None:
        if not isinstance(teacher, Teacher):
            raise SpikeletError(f"TrainConfig.teacher must be Teacher(epochs, ...) or None, got {shown(teacher)}.")
        if self.analog:
            raise SpikeletError(
                "TrainConfig.analog and TrainConfig.teacher exclude each other: an analog twin is a teacher."
            )
        if teacher.after >= self.epochs:
            raise SpikeletError(
                f"Teacher.after must be less than the {self.epochs} epochs of the phases, got {teacher.after}: "
                "the teacher would never be asked. Lower it, or leave the teacher out."
            )

    def _check_unpruned(self, unpruned: Unpruned) -> None:
        if not isinstance(unpruned, Unpruned):
            raise SpikeletError(f"TrainConfig.unpruned must be Unpruned(phases, ...) or None, got {shown(unpruned)}.")
        if self.analog or self.teacher is not None:
            raise SpikeletError(
                f"TrainConfig.{'analog' if self.analog else 'teacher'} and TrainConfig.unpruned exclude each other: "
                "fine-tuning after pruning has the labels alone."
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
            raise SpikeletError(
                "this configuration has no teacher. Give it one: TrainConfig(..., teacher=Teacher(epochs))."
            )
        phases = (Phase(self.teacher.epochs, 1),)
        alike = dataclasses.replace(self, analog=True, teacher=None, phases=phases, label_smoothing=0.0, loss="mean")
        if self.teacher.model is None:
            return alike
        return dataclasses.replace(alike, model=self.teacher.model, model_options=self.teacher.model_options)

    def of_unpruned(self) -> TrainConfig:
        """The configuration that trains the network before pruning.

        Raises:
            SpikeletError: this configuration prunes nothing.
        """
        if self.unpruned is None:
            raise SpikeletError(
                "this configuration prunes nothing. To let it: TrainConfig(..., unpruned=Unpruned(phases, ...))."
            )
        return dataclasses.replace(
            self,
            unpruned=None,
            phases=self.unpruned.phases,
            optimizer=self.unpruned.optimizer or self.optimizer,
            model_options={**self.model_options, **self.unpruned.model_options},
        )

    def to_dict(self) -> dict[str, Any]:
        """This configuration in plain JSON types."""
        return dataclasses.asdict(self)

    def to_json(self) -> str:
        """The text of config.json. Two configurations with the same text are the same run."""
        return json.dumps(self.to_dict(), indent=1) + "\n"

    @staticmethod
    def from_dict(d: dict[str, Any]) -> TrainConfig:
        """The inverse of `to_dict`.

        Raises:
            SpikeletError: a field is missing, unknown, or of another form; names it.
        """
        names = {field.name for field in dataclasses.fields(TrainConfig)}
        given = dict(_fields(d, names, "the configuration"))
        for name, kind in (("optimizer", Optimizer), ("regulation", DualRegulation), ("teacher", Teacher)):
            if given.get(name) is not None:
                given[name] = _made(kind, given[name], name)
        given["phases"] = _phases(given.get("phases"), "phases")
        if given.get("unpruned") is not None:
            given["unpruned"] = _unpruned(given["unpruned"])
        return _made(TrainConfig, given, "the configuration")


def _phases(value: Any, what: str) -> tuple[Phase, ...]:
    if not isinstance(value, list | tuple):
        raise SpikeletError(f"{what} must be a list, got {shown(value)}.")
    return tuple(_made(Phase, phase, f"{what}[{i}]") for i, phase in enumerate(value))


def _unpruned(value: Any) -> Unpruned:
    given = dict(_fields(value, {field.name for field in dataclasses.fields(Unpruned)}, "unpruned"))
    given["phases"] = _phases(given.get("phases"), "unpruned.phases")
    if given.get("optimizer") is not None:
        given["optimizer"] = _made(Optimizer, given["optimizer"], "unpruned.optimizer")
    return _made(Unpruned, given, "unpruned")


def _fields(value: Any, names: set[str], what: str) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SpikeletError(f"{what} must be an object, got {shown(value)}.")
    if unknown := sorted(value.keys() - names):
        raise SpikeletError(f"{what} has no field {shown(unknown[0])}; known are {', '.join(sorted(names))}.")
    return value


def _made(kind: type[Made], value: Any, what: str) -> Made:
    """A dataclass from its fields as a dict."""
    fields = dataclasses.fields(kind)  # type: ignore[arg-type]
    given = _fields(value, {field.name for field in fields}, what)
    needed = [f.name for f in fields if f.default is f.default_factory is dataclasses.MISSING]
    if missing := [name for name in needed if name not in given]:
        raise SpikeletError(f"{what} lacks the field {missing[0]!r}.")
    return kind(**given)
