"""A training run in a folder: a configuration in, checkpoints and weights out, continued bit for bit after a kill."""

from __future__ import annotations

import copy
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import instance
from spikelet.base.paths import path_of
from spikelet.data.load import load
from spikelet.data.readers.objects import is_data_set
from spikelet.data.samples import DataSplits
from spikelet.nn.device import device_of
from spikelet.train.checkpoint import (
    CHECKPOINT,
    CheckpointError,
    build,
    load_checkpoint,
    load_config,
    save_checkpoint,
    save_config,
)
from spikelet.train.compare import fitting
from spikelet.train.config import TrainConfig
from spikelet.train.distillation import Distillation
from spikelet.train.lessons import lessons_of
from spikelet.train.loop import Loop
from spikelet.train.origin import Origin, load_origin
from spikelet.train.phases import set_binary, set_phase, set_real_steps
from spikelet.train.progress import Reporter, Silent
from spikelet.train.progress_bar import reporter_for
from spikelet.train.trackers import Tracking
from spikelet.train.weights import save_weights
from spikelet.train.whiten import whiten

TEACHER = "teacher"  # its folder in the run's


class Run:
    """One training run in one folder; `Run(config, data, folder).train()` starts or continues it.

    Args:
        config: what decides the result; written to the folder.
        data: as `spikelet.data.load` gives it; or a data set of another library, which is loaded with
            `config.data_options`.
        folder: of the run.
        reporter: is told of the network's own epochs. None shows them, and those of its teacher: a bar on a terminal or
            in a notebook, a line an epoch elsewhere. `Silent()` shows nothing. Where one is given, the teacher's epochs
            are told to `run.taught_by.loop.reporter`, which is silent until another is put there.
        model: a module of your own, which is trained in place of one from the catalogue: from uint8 [B, C, H, W] to
            logits [T, B, K] or [B, K]. `config.model` is what it is called, and `config.model_options` {}. Its neurons
            get the T of the phases. What the run folder holds is read by `load_run(folder, model)`.
        log_with: experiment trackers that are told of the epochs, as Accelerate takes them: "tensorboard", "wandb",
            "all", a `GeneralTracker`, or a list (trackers.py). A teacher tells those given by name.

        config = TrainConfig("my_net", {}, "shapes", phases=(Phase(8, 2),), batch_size=16)
        Run(config, spikelet.data.load("shapes", image_size=32), "runs/mine", model=MyNet()).train()

    Raises:
        CheckpointError: the folder holds a run of another configuration, of other data, or of another number of
            processes.
        SpikeletError: the configuration makes no model, or the data does not fit it; or the given module has nothing to
            train; or log_with names no tracker.
        MissingLibrary: a tracker is not installed.

    Warns where the folder is from before data was compared, and where another version of spikelet or torch began it.
    """

    prunes = False  # whether a configuration's larger network is trained and pruned first (compression/pruned_run.py)

    def __init__(
        self,
        config: TrainConfig,
        data: Any,
        folder: str | Path,
        reporter: Reporter | None = None,
        *,
        model: nn.Module | None = None,
        log_with: Any = None,
    ) -> None:
        instance("Run", TrainConfig, config=config)
        if not isinstance(data, DataSplits) and is_data_set(data):
            data = load(data, **config.data_options)  # type: ignore[arg-type]
        instance("Run", DataSplits, data=data)
        if config.unpruned is not None and not self.prunes:
            raise SpikeletError(
                "Run trains one network, and this configuration prunes a larger one before. Train it with "
                "spikelet.compression.PrunedRun(config, data, folder), or leave unpruned= out."
            )
        self.config, self.folder = config, path_of(folder, "Run.folder")
        if self.folder.exists() and not self.folder.is_dir():
            raise SpikeletError(f"Run.folder must be a folder or nothing yet, and {self.folder} is something else.")
        if (self.folder / "config.json").exists() and load_config(self.folder).to_json() != config.to_json():
            raise CheckpointError(
                f"{self.folder} holds a run of another configuration. Choose another folder, or remove this one."
            )
        before = load_origin(self.folder)
        if before is not None:
            data = data.by_name(before.classes)
        if model is not None:
            _require_trainable(model)
        twin = copy.deepcopy(model) if config.teacher and config.teacher.model is None else None
        tracking = Tracking(log_with, self.folder) if log_with else None
        self._is_shown, self._named = reporter is None, tracking.by_name if tracking else None
        self.loop = Loop(build(config, model), data, config, reporter, tracking)
        self.origin = Origin.of(data, self.loop.accelerator.num_processes)
        if before is not None:
            self.origin.require_same(before, self.folder)
        elif (self.folder / CHECKPOINT).exists():
            warnings.warn(
                f"{self.folder} does not say on which data it was trained: whether it is this data can't be compared.",
                UserWarning,
                stacklevel=2,
            )
        self.history: list[dict[str, Any]] = []
        self.distillation: Distillation | None = None
        if config.whiten:
            whiten(self.model, data.train)  # a resumed run's checkpoint replaces it
        self.taught_by = self._earlier(config.of_teacher(), data, TEACHER, twin) if config.teacher else None

    def _earlier(self, config: TrainConfig, data: DataSplits, name: str, model: nn.Module | None = None) -> Run:
        """A run that is trained before this one, in the folder `name` of its own: shown under that name where this one
        is shown, and told to the trackers that were given by name."""
        heard = reporter_for(config, name=name) if self._is_shown and self._is_main else Silent()
        return Run(config, data, self.folder / name, heard, model=model, log_with=self._named)

    @property
    def model(self) -> nn.Module:
        """The module that is trained."""
        return self.loop.model

    def train(self) -> nn.Module:
        """Trains to the last epoch, its teacher first if it has one, and returns the model, evaluating, on the CPU."""
        if self._is_main:
            self.folder.mkdir(parents=True, exist_ok=True)
            self.origin.save(self.folder)  # first: where there is a configuration, there is an origin
            save_config(self.folder, self.config)
        self.history = load_checkpoint(self.folder, self._state)
        if len(self.history) < self.config.epochs:
            self.rehearse()
            self.distillation = self._distilled()
            if not self.history:
                self.begin()
        try:
            model = self.loop.run(self.history, self._before_epoch, self._after_epoch, self.distillation)
        finally:
            set_real_steps(self.model)
        if self._is_main:
            save_weights(self.folder, model)
        return model

    @property
    def before(self) -> tuple[Run, ...]:
        """The runs that are trained before this one: its teacher's, where it has one."""
        return () if self.taught_by is None else (self.taught_by,)

    def begin(self) -> None:
        """Is called before the first epoch of a new run; a subclass puts weights into the model here."""

    @property
    def _state(self) -> dict[str, Any]:
        """What a checkpoint keeps."""
        scaler = self.loop.accelerator.scaler
        return {"model": self.model, "optimizer": self.loop.optimizer} | ({"scaler": scaler} if scaler else {})

    @property
    def _is_main(self) -> bool:
        return self.loop.accelerator.is_main_process

    def _distilled(self) -> Distillation | None:
        teacher = self.config.teacher
        if teacher is None or self.taught_by is None:
            return None
        try:
            network = self.taught_by.train().to(self.loop.accelerator.device)
        except FloatingPointError as e:
            raise FloatingPointError(f"the teacher: {e}") from e
        return Distillation(network, *lessons_of(teacher), labels=teacher.labels)

    def rehearse(self) -> None:
        """Lets the lessons find their modules, and runs two samples through a copy in every phase, so that a refusal
        comes before any training."""
        if self.config.teacher is not None and self.taught_by is not None:
            for lesson in lessons_of(self.config.teacher):
                lesson.meet(self.model, self.taught_by.model)
        model = copy.deepcopy(self.model).train()
        count = min(2, self.config.batch_size, len(self.loop.data.train))
        x = self.loop.data.train.batch(torch.arange(count))[0].to(device_of(model))
        with torch.random.fork_rng(devices=[]), torch.no_grad(), fitting(model, x, self.loop.data.train.name):
            for phase in self.config.phases:
                set_phase(model, phase)
                model(x)

    def _before_epoch(self, epoch: int) -> None:
        if self.distillation is not None and self.config.teacher is not None:
            self.distillation.active = epoch >= self.config.teacher.after
        set_phase(self.model, self.config.phase(epoch))
        set_binary(self.model, self.config, epoch)

    def _after_epoch(self) -> None:
        if self._is_main:
            save_checkpoint(self.folder, self._state, self.history)


def _require_trainable(model: nn.Module) -> None:
    instance("Run", nn.Module, model=model)
    if not any(p.requires_grad for p in model.parameters()):
        raise SpikeletError(
            f"Run.model has no parameter that training could change, got {type(model).__name__}. Call "
            "model.requires_grad_(True), or evaluate it as it is."
        )
