"""A training's numbers for the experiment trackers that Accelerate knows: TensorBoard, W&B, MLflow, trackio and more.

    Run(config, data, folder, log_with="tensorboard").train()        tensorboard --logdir folder

    loss of a step             "step/loss", at the number of steps so far
    an epoch's metrics         "epoch/...", at the number of steps after it
    the configuration          once, before the first step; its lists and dicts as JSON

Trackers that write files write them below the run's folder, in `logs`.
"""

from __future__ import annotations

import dataclasses
import json
import warnings
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikelet.base.errors import MissingLibrary, SpikeletError
from spikelet.base.optional import need
from spikelet.base.strict_json import shown
from spikelet.train.config import Training

if TYPE_CHECKING:
    from accelerate import Accelerator

PROJECT = "spikelet"
LOGS = "logs"


@dataclasses.dataclass(frozen=True)
class Tracking:
    """Which trackers a training tells, and the folder for those that write files.

    log_with: as Accelerate takes it: a tracker's name, "all" for those installed, a `GeneralTracker`, or a list.

    Raises:
        SpikeletError: a name is no tracker's.
        MissingLibrary: a tracker is not installed.
    """

    log_with: Any
    folder: Path

    def __post_init__(self) -> None:
        require_trackers(self.log_with)

    @property
    def by_name(self) -> list[str]:
        """The trackers that were named, of which every training makes its own."""
        return [asked for asked in _listed(self.log_with) if isinstance(asked, str)]


class Trackers:
    """A reporter that tells an accelerator's trackers. See the module's table.

    Where they can't write, a warning says so once, and the training goes on without them.
    """

    def __init__(self, accelerator: Accelerator, training: Training) -> None:
        self.accelerator, self.training, self.is_writing = accelerator, training, True

    def start(self, epochs: int, steps_per_epoch: int, done: int) -> None:
        """Opens the trackers and tells them the configuration."""
        self.steps_per_epoch = steps_per_epoch
        self._try(lambda: self.accelerator.init_trackers(PROJECT, _flat(dataclasses.asdict(self.training))))

    def step(self, epoch: int, step: int, loss: float) -> None:
        """The loss of an optimisation step."""
        self._log({"step/loss": loss}, epoch * self.steps_per_epoch + step + 1)

    def epoch(self, metrics: dict[str, Any]) -> None:
        """All metrics of an epoch."""
        values = {f"epoch/{name}": value for name, value in metrics.items() if name != "epoch"}
        self._log(values, (metrics["epoch"] + 1) * self.steps_per_epoch)

    def finish(self) -> None:
        """Closes the trackers, not the accelerator."""
        for tracker in self.accelerator.trackers:
            self._try(tracker.finish)

    def _log(self, values: dict[str, Any], step: int) -> None:
        self._try(lambda: self.accelerator.log(values, step))

    def _try(self, write: Callable[[], Any]) -> None:
        if not self.is_writing:
            return
        try:
            write()
        except OSError as error:
            self.is_writing = False
            names = ", ".join(str(getattr(one, "value", getattr(one, "name", ""))) for one in self.accelerator.log_with)
            warnings.warn(f"{names} was not written ({error.strerror or error}).", UserWarning, stacklevel=2)


def _flat(config: dict[str, Any]) -> dict[str, Any]:
    """What trackers take: numbers, words and flags by name."""
    return {
        name: value if isinstance(value, bool | int | float | str) else json.dumps(value)
        for name, value in config.items()
    }


def _listed(log_with: Any) -> list[Any]:
    return list(log_with) if isinstance(log_with, list | tuple) else [log_with]


def require_trackers(log_with: Any) -> None:
    """Raises what `Tracking` raises, before any work."""
    for asked in _listed(log_with):
        _require(asked)


def _require(asked: Any) -> None:
    need("accelerate", package="accelerate", extra="train", what="a tracker")
    from accelerate.tracking import GeneralTracker
    from accelerate.utils import LoggerType

    if isinstance(asked, GeneralTracker):
        return
    if not isinstance(asked, str) or asked not in LoggerType.list():
        raise SpikeletError(
            f"log_with must name trackers of Accelerate, {', '.join(LoggerType.list())}, or hold its GeneralTrackers; "
            f"got {shown(asked)}."
        )
    if asked == "tensorboard":
        need("tensorboard", package="tensorboard", extra="tensorboard", what="the tracker tensorboard")
    elif asked != "all" and find_spec(asked) is None:
        raise MissingLibrary(
            f"the tracker {asked} needs its library. Install it with: pip install {asked.replace('_', '-')}"
        )
