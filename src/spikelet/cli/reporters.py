"""Reporters that commands add to a training's own: scalars for TensorBoard, and several reporters as one."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from spikelet.base.optional import need
from spikelet.cli.outputs import side_file
from spikelet.train import Reporter


class TensorBoard:
    """Scalars in `folder`: the loss of each step, and each epoch's metrics.

    Where they can't be written, a warning says so once, and the training goes on without them.

    Raises:
        MissingLibrary: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        need("tensorboard", package="tensorboard", extra="tensorboard", what="--tensorboard")
        from torch.utils.tensorboard import SummaryWriter

        self.folder, self.is_writing = folder, True
        self.writer = SummaryWriter(str(folder))

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Remembers how long an epoch is."""
        self.steps_per_epoch = steps_per_epoch

    def step(self, epoch: int, step: int, loss: float) -> None:
        """The loss by optimisation step."""
        with self._writing() as writer:
            writer.add_scalar("step/loss", loss, epoch * self.steps_per_epoch + step)

    def epoch(self, metrics: dict[str, Any]) -> None:
        """All metrics by epoch."""
        with self._writing() as writer:
            for name, value in metrics.items():
                if name != "epoch":
                    writer.add_scalar(f"epoch/{name}", value, metrics["epoch"])
            writer.flush()

    def finish(self) -> None:
        """Closes the files."""
        with self._writing() as writer:
            writer.close()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Any]:
        with side_file(self.folder) if self.is_writing else contextlib.suppress(OSError):
            try:
                yield self.writer
            except OSError:
                self.is_writing = False
                raise


class Together:
    """Several reporters as one."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self.reporters = tuple(reporters)

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Told to each."""
        for reporter in self.reporters:
            reporter.start(epochs, steps_per_epoch, done)

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Told to each."""
        for reporter in self.reporters:
            reporter.step(epoch, step, loss)

    def epoch(self, metrics: dict[str, Any]) -> None:
        """Told to each."""
        for reporter in self.reporters:
            reporter.epoch(metrics)

    def finish(self) -> None:
        """Told to each."""
        for reporter in self.reporters:
            reporter.finish()
