"""The events of a run, for progress bars and logs: a protocol, and the reporter that ignores them all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

from spikelet.base.errors import SpikeletError

EVENTS = ("start", "step", "epoch", "finish")


class Reporter(Protocol):
    """Receives a run's events."""

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Before the first epoch; `done` epochs were restored."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """After an optimisation step."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """After an epoch's validation and checkpoint."""

    def finish(self) -> None:
        """After the last epoch, or on the way out of an error."""


class Silent:
    """A reporter that shows nothing: `Run(config, data, folder, Silent()).train()`."""

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Does nothing."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Does nothing."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """Does nothing."""

    def finish(self) -> None:
        """Does nothing."""


def require_reporter(reporter: object) -> None:
    """Raises SpikeletError unless `reporter` hears every event; names the one that shows nothing."""
    if isinstance(reporter, type) or not all(callable(getattr(reporter, event, None)) for event in EVENTS):
        got = reporter.__name__ if isinstance(reporter, type) else type(reporter).__name__
        raise SpikeletError(
            f"reporter must have the methods of spikelet.train.Reporter, got {got}. To show nothing: "
            "reporter=spikelet.train.Silent()."
        )


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
