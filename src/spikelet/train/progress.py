"""The events of a run, for progress bars and logs: a protocol, and the reporter that ignores them all."""

from __future__ import annotations

from typing import Any, Protocol


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
    """A reporter that ignores every event."""

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Does nothing."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Does nothing."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """Does nothing."""

    def finish(self) -> None:
        """Does nothing."""
