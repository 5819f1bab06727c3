"""How a training shows itself: a bar with loss and time left on a terminal or in a notebook, a line an epoch elsewhere.

The time left is estimated over the whole run: a step at T time steps is taken to cost T, 1 in one pass, and a teacher's
word a third, so that a run that starts at T = 1 and ends at T = 4 is not promised too early an end.
"""

from __future__ import annotations

import itertools
import sys
import time
from typing import TYPE_CHECKING, Any, TextIO

from spikelet.base.watched import watched
from spikelet.base.words import duration, percent
from spikelet.train.config import Training
from spikelet.train.progress import Reporter, Silent

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar

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
    """A progress bar over what is left of the run; `name` stands before its epochs. `out` is a terminal."""

    def __init__(self, config: Training, out: TextIO, name: str = "") -> None:
        self.config, self.out, self.name = config, out, name

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Shows the bar, empty: a resumed run counts what is still to do."""
        import click

        self.work, self.loss, self.validation = Work(self.config, steps_per_epoch), 0.0, "-"
        self.at = self.work.until(done)
        self.progress: ProgressBar[int] = click.progressbar(
            length=self.work.total - self.at, label=self.name.ljust(WORDS), file=self.out, item_show_func=self._figures
        )
        self.progress.render_progress()

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Moves the bar."""
        self.loss = SMOOTHING * self.loss + (1 - SMOOTHING) * loss if self.loss else loss
        self.progress.label = f"{self.name}epoch {epoch + 1}/{self.config.epochs}".ljust(WORDS)
        now = self.work.until(epoch, step + 1)
        self.progress.update(now - self.at, self)  # type: ignore[arg-type]
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
        self._say(f"{self.name}{epochs} epochs of {steps_per_epoch} steps{already}")

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Nothing: a line a step would be too many."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """The line, with the time left."""
        now, start = self.work.until(metrics["epoch"] + 1), self.work.until(self.done)
        left = (time.monotonic() - self.started) * (self.work.total - now) / (now - start)
        line = self.name + epoch_line(metrics, self.config.epochs)
        self._say(f"{line}  left {duration(left)}")

    def finish(self) -> None:
        """Nothing: each line is complete."""

    def _say(self, line: str) -> None:
        self.out.write(f"{line}\n")
        self.out.flush()


def reporter_for(config: Training, out: TextIO | None = None, name: str = "") -> Reporter:
    """A bar where `out` is a terminal or a notebook, lines where it is neither.

    out: None is the standard error, so that what a program prints stays its own.
    name: what stands before its epochs, such as "teacher".
    """
    stream = sys.stderr if out is None else out
    if stream is None:  # pythonw has none
        return Silent()
    screen, before = watched(stream), f"{name}  " if name else ""
    return Lines(config, stream, before) if screen is None else Bar(config, screen, before)
