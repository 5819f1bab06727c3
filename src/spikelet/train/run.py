"""A training run in a folder: a configuration in, checkpoints and weights out, continued bit for bit after a kill."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from torch import nn

from spikelet.data.samples import DataSplits
from spikelet.train.checkpoint import (
    CheckpointError,
    build,
    load_checkpoint,
    load_config,
    save_checkpoint,
    save_config,
    save_weights,
)
from spikelet.train.config import TrainConfig
from spikelet.train.loop import Loop
from spikelet.train.prepare import set_binary, set_phase, set_real_steps
from spikelet.train.progress import Reporter
from spikelet.train.whiten import whiten


class Run:
    """One training run in one folder; `Run(config, data, folder).train()` starts or continues it.

    Raises:
        CheckpointError: the folder holds a run of another configuration.
    """

    def __init__(
        self, config: TrainConfig, data: DataSplits, folder: str | Path, reporter: Reporter | None = None
    ) -> None:
        self.config, self.folder = config, Path(folder)
        if (self.folder / "config.json").exists() and load_config(self.folder).to_json() != config.to_json():
            raise CheckpointError(
                f"{self.folder} holds a run of another configuration. Choose another folder, or remove this one."
            )
        self.loop = Loop(build(config), data, config, reporter)
        self.history: list[dict[str, Any]] = []
        if config.whiten:
            whiten(self.model, data.train)  # a resumed run's checkpoint replaces it

    @property
    def model(self) -> nn.Module:
        """The module that is trained."""
        return self.loop.model

    def train(self) -> nn.Module:
        """Trains to the last epoch and returns the model in evaluation mode."""
        if self._is_main:
            save_config(self.folder, self.config)
        self.history = load_checkpoint(self.folder, self.model, self.loop.optimizer)
        try:
            model = self.loop.run(self.history, self._before_epoch, self._after_epoch)
        finally:
            set_real_steps(self.model)
        if self._is_main:
            save_weights(self.folder, model)
        return model

    @property
    def _is_main(self) -> bool:
        return self.loop.accelerator.is_main_process

    def _before_epoch(self, epoch: int) -> None:
        set_phase(self.model, self.config.phase(epoch))
        set_binary(self.model, self.config, epoch)

    def _after_epoch(self) -> None:
        if self._is_main:
            save_checkpoint(self.folder, self.model, self.loop.optimizer, self.history)
