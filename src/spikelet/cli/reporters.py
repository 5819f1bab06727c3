"""How a training run shows itself: a bar on a terminal, a line an epoch elsewhere, scalars for TensorBoard.

The time left is estimated over the whole run: a step at T time steps is taken to cost T, 1 in one pass, and a teacher's
word a third, so that a run that starts at T = 1 and ends at T = 4 is not promised too early an end.
"""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from spikelet.cli.printing import duration, percent
from spikelet.train import Reporter, Training

SMOOTHING = 0.9  # of the loss that the bar shows
ESTIMATE_OVER_S = 300.0


class Work:
    """The cost of a run, in optimisation steps times the passes that a sample takes (`Training.passes`)."""

    def __init__(self, config: Training, steps_per_epoch: int) -> None:
        self._per_step = [config.passes(epoch) for epoch in range(config.epochs)]
        self._before = [steps_per_epoch * n for n in itertools.accumulate(self._per_step, initial=0)]

    @property
    def total(self) -> int:
        """Of the whole run."""
        return self._before[-1]

    def until(self, epoch: int, steps: int = 0) -> int:
        """Of the epochs before `epoch` and of its first `steps` steps."""
        return self._before[epoch] + (steps * self._per_step[epoch] if steps else 0)


def epoch_line(metrics: dict[str, Any], epochs: int) -> str:
    """One epoch in words."""
    parts = [f"epoch {metrics['epoch'] + 1}/{epochs}", f"T {metrics['time_steps']}", f"loss {metrics['loss']:.4f}"]
    if "validation_accuracy" in metrics:
        parts.append(f"validation {percent(metrics['validation_accuracy'])}")
    return "  ".join([*parts, f"firing rate {metrics['firing_rate']:.3f}", f"{metrics['seconds']:.1f} s"])


class Bar:
    """A progress bar over the whole run; `name` stands before its epochs."""

    def __init__(self, config: Training, console: Console, name: str = "") -> None:
        self.config, self.name = config, name
        self.progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            TextColumn("{task.percentage:>3.0f} %  loss {task.fields[loss]}  validation {task.fields[validation]} "),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=console,
            speed_estimate_period=ESTIMATE_OVER_S,
        )

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Shows the bar, filled as far as `done` epochs."""
        self.work, self.loss = Work(self.config, steps_per_epoch), 0.0
        self.task = self.progress.add_task(
            self.name, total=self.work.total, completed=self.work.until(done), loss="-", validation="-"
        )
        self.progress.start()

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Moves the bar."""
        self.loss = SMOOTHING * self.loss + (1 - SMOOTHING) * loss if self.loss else loss
        self.progress.update(
            self.task,
            completed=self.work.until(epoch, step + 1),
            description=f"{self.name}epoch {epoch + 1}/{self.config.epochs}",
            loss=f"{self.loss:.3f}",
        )

    def epoch(self, metrics: dict[str, Any]) -> None:
        """Shows the validation accuracy."""
        if "validation_accuracy" in metrics:
            self.progress.update(self.task, validation=percent(metrics["validation_accuracy"]))

    def finish(self) -> None:
        """Leaves the bar as it stands."""
        self.progress.stop()


class Lines:
    """One line an epoch, for files and pipes; `name` stands before each."""

    def __init__(self, config: Training, console: Console, name: str = "") -> None:
        self.config, self.console, self.name = config, console, name

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Says what will be done."""
        self.work, self.done, self.started = Work(self.config, steps_per_epoch), done, time.monotonic()
        already = f", {done} of them done" if done else ""
        self.console.print(f"{self.name}{epochs} epochs of {steps_per_epoch} steps{already}", soft_wrap=True)

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Nothing: a line a step would be too many."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """The line, with the time left."""
        now, start = self.work.until(metrics["epoch"] + 1), self.work.until(self.done)
        left = (time.monotonic() - self.started) * (self.work.total - now) / (now - start)
        line = self.name + epoch_line(metrics, self.config.epochs)
        self.console.print(f"{line}  left {duration(left)}", soft_wrap=True)

    def finish(self) -> None:
        """Nothing: each line is complete."""


class TensorBoard:
    """Scalars in `folder`: the loss of each step, and each epoch's metrics.

    Raises:
        ImportError: tensorboard is not installed.
    """

    def __init__(self, folder: Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise ImportError(
                "--tensorboard needs tensorboard. Install it with: pip install 'spikelet[tensorboard]'"
            ) from error
        self.writer = SummaryWriter(str(folder))

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Remembers how long an epoch is."""
        self.steps_per_epoch = steps_per_epoch

    def step(self, epoch: int, step: int, loss: float) -> None:
        """The loss by optimisation step."""
        self.writer.add_scalar("step/loss", loss, epoch * self.steps_per_epoch + step)

    def epoch(self, metrics: dict[str, Any]) -> None:
        """All metrics by epoch."""
        for name, value in metrics.items():
            if name != "epoch":
                self.writer.add_scalar(f"epoch/{name}", value, metrics["epoch"])
        self.writer.flush()

    def finish(self) -> None:
        """Closes the files."""
        self.writer.close()


class Together:
    """Several reporters as one."""

    def __init__(self, reporters: Sequence[Reporter]) -> None:
        self.reporters = tuple(reporters)

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """To each."""
        for reporter in self.reporters:
            reporter.start(epochs, steps_per_epoch, done)

    def step(self, epoch: int, step: int, loss: float) -> None:
        """To each."""
        for reporter in self.reporters:
            reporter.step(epoch, step, loss)

    def epoch(self, metrics: dict[str, Any]) -> None:
        """To each."""
        for reporter in self.reporters:
            reporter.epoch(metrics)

    def finish(self) -> None:
        """To each."""
        for reporter in self.reporters:
            reporter.finish()


def reporter_for(config: Training, console: Console, name: str = "") -> Reporter:
    """A bar where `console` is a terminal, lines where it is not."""
    return Bar(config, console, name) if console.is_terminal else Lines(config, console, name)
