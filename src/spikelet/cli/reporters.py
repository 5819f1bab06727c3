"""How a training run shows itself: a bar on a terminal, a line an epoch elsewhere, scalars for TensorBoard.

The time left is estimated over the whole run: a step at T time steps is taken to cost T, 1 in one pass, and a teacher's
word a third, so that a run that starts at T = 1 and ends at T = 4 is not promised too early an end.
"""

from __future__ import annotations

import contextlib
import itertools
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, TextIO

import click

from spikelet.base.optional import need
from spikelet.cli.outputs import side_file
from spikelet.cli.printing import duration, percent
from spikelet.train import Reporter, Training

SMOOTHING = 0.9  # of the loss that the bar shows
WORDS = 24  # columns that the bar's left side takes, so that the bar stays where it is


class Work:
    """The cost of a run, in optimisation steps times the passes that a sample takes (`Training.passes`)."""

    def __init__(self, config: Training, steps_per_epoch: int) -> None:
        self._per_step = [config.passes(epoch) for epoch in range(config.epochs)]
        self._before = [steps_per_epoch * n for n in itertools.accumulate(self._per_step, initial=0)]

    @property
    def total(self) -> int:
        """The cost of the whole run."""
        return self._before[-1]

    def until(self, epoch: int, steps: int = 0) -> int:
        """The cost of the epochs before `epoch` and of its first `steps` steps."""
        return self._before[epoch] + (steps * self._per_step[epoch] if steps else 0)


def epoch_line(metrics: dict[str, Any], epochs: int) -> str:
    """One epoch in words."""
    parts = [f"epoch {metrics['epoch'] + 1}/{epochs}", f"T {metrics['time_steps']}", f"loss {metrics['loss']:.4f}"]
    if "validation_accuracy" in metrics:
        parts.append(f"validation {percent(metrics['validation_accuracy'])}")
    return "  ".join([*parts, f"firing rate {metrics['firing_rate']:.3f}", f"{metrics['seconds']:.1f} s"])


class Bar:
    """A progress bar over what is left of the run; `name` stands before its epochs."""

    def __init__(self, config: Training, out: TextIO, name: str = "") -> None:
        self.config, self.out, self.name = config, out, name

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Shows the bar, empty: a resumed run counts what is still to do."""
        self.work, self.loss, self.validation = Work(self.config, steps_per_epoch), 0.0, "-"
        self.at = self.work.until(done)
        self.progress = click.progressbar(
            length=self.work.total - self.at, label=self.name.ljust(WORDS), file=self.out, item_show_func=self._figures
        )
        self.progress.render_progress()

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Moves the bar."""
        self.loss = SMOOTHING * self.loss + (1 - SMOOTHING) * loss if self.loss else loss
        self.progress.label = f"{self.name}epoch {epoch + 1}/{self.config.epochs}".ljust(WORDS)
        now = self.work.until(epoch, step + 1)
        self.progress.update(now - self.at, self)
        self.at = now

    def epoch(self, metrics: dict[str, Any]) -> None:
        """Shows the validation accuracy."""
        if "validation_accuracy" in metrics:
            self.validation = percent(metrics["validation_accuracy"])
            self.progress.render_progress()

    def finish(self) -> None:
        """Leaves the bar as it stands."""
        self.progress.render_finish()

    def _figures(self, shown: object) -> str:
        return f"loss {self.loss:.3f}  validation {self.validation}" if shown else ""


class Lines:
    """One line an epoch, for files and pipes; `name` stands before each."""

    def __init__(self, config: Training, out: TextIO, name: str = "") -> None:
        self.config, self.out, self.name = config, out, name

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Says what will be done."""
        self.work, self.done, self.started = Work(self.config, steps_per_epoch), done, time.monotonic()
        already = f", {done} of them done" if done else ""
        click.echo(f"{self.name}{epochs} epochs of {steps_per_epoch} steps{already}", file=self.out)

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Nothing: a line a step would be too many."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """The line, with the time left."""
        now, start = self.work.until(metrics["epoch"] + 1), self.work.until(self.done)
        left = (time.monotonic() - self.started) * (self.work.total - now) / (now - start)
        line = self.name + epoch_line(metrics, self.config.epochs)
        click.echo(f"{line}  left {duration(left)}", file=self.out)

    def finish(self) -> None:
        """Nothing: each line is complete."""


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


def reporter_for(config: Training, name: str = "", out: TextIO | None = None) -> Reporter:
    """A bar where `out` (None: the standard output) is a terminal, lines where it is not."""
    stream = sys.stdout if out is None else out
    return Bar(config, stream, name) if stream.isatty() else Lines(config, stream, name)
