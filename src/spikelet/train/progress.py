"""What a run tells the outside while it goes on. The loop only knows this protocol."""

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
    """Tells nothing."""

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Nothing."""

    def step(self, epoch: int, step: int, loss: float) -> None:
        """Nothing."""

    def epoch(self, metrics: dict[str, Any]) -> None:
        """Nothing."""

    def finish(self) -> None:
        """Nothing."""
