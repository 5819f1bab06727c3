"""The progress of a fit: a protocol, what shows it, and what shows nothing."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Protocol, TextIO

from spikelet.base.errors import SpikeletError
from spikelet.base.watched import watched
from spikelet.train import Reporter, Silent, Training
from spikelet.train.progress_bar import reporter_for

if TYPE_CHECKING:
    from click._termui_impl import ProgressBar


class Watcher(Protocol):
    """Receives the progress of a fit."""

    def reporter(self, training: Training) -> Reporter:
        """The reporter of a training within a step."""
        ...

    def stage(self, name: str, steps: int) -> None:
        """A stage of `steps` steps begins."""

    def step(self) -> None:
        """A step is done."""


class Quiet:
    """A watcher that shows nothing: `fit(..., watcher=Quiet())`."""

    def reporter(self, training: Training) -> Reporter:
        """A reporter that ignores all progress."""
        return Silent()

    def stage(self, name: str, steps: int) -> None:
        """Does nothing."""

    def step(self) -> None:
        """Does nothing."""


class Shown:
    """A bar for the measurements on a terminal or in a notebook, a line a stage elsewhere, and each training as
    trainings are shown.

    Args:
        out: where to; None is the standard error.
    """

    def __init__(self, out: TextIO | None = None) -> None:
        self.out = sys.stderr if out is None else out
        self.bar: ProgressBar[int] | None = None

    def reporter(self, training: Training) -> Reporter:
        """A bar or lines for one training."""
        self._close()
        return reporter_for(training, self.out)

    def stage(self, name: str, steps: int) -> None:
        """Says what begins, with a bar over its steps."""
        import click

        self._close()
        screen = watched(self.out)
        if screen is None:
            click.echo(f"{name}: {steps} steps", file=self.out)
            return
        self.bar = click.progressbar(length=steps, label=name, show_pos=True, file=screen)
        self.bar.render_progress()

    def step(self) -> None:
        """Moves the bar."""
        if self.bar is not None:
            self.bar.update(1)
            if self.bar.finished:
                self._close()

    def _close(self) -> None:
        if self.bar is not None:
            self.bar.render_finish()
            self.bar = None


def require_watcher(watcher: object) -> None:
    """Raises SpikeletError unless `watcher` has a watcher's methods; names one that shows nothing."""
    if not all(callable(getattr(watcher, name, None)) for name in ("reporter", "stage", "step")):
        raise SpikeletError(
            f"fit.watcher must have the methods of spikelet.fitting.Watcher, got {type(watcher).__name__}. "
            "To show nothing: watcher=spikelet.fitting.Quiet()."
        )
