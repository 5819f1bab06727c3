"""A figure of a training by epoch."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikelet.base.errors import SpikeletError
from spikelet.plot.style import FAINT, GRID, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

ACCURACY = "validation_accuracy"
LABELS = {ACCURACY: "validation accuracy, %", "loss": "training loss", "firing_rate": "firing rate"}
History = Sequence[Mapping[str, Any]]


def learning_curve(
    run: Any,
    *,
    figure: str | None = None,
    label: str | None = None,
    ax: Axes | None = None,
) -> Axes:
    """A figure of a training by epoch, as Axes. Call it again with `ax` to draw another run beside.

        ax = learning_curve("runs/a", label="a")
        learning_curve("runs/b", label="b", ax=ax)

    Dotted lines stand where training went on with another number of time steps.

    Args:
        run: the folder of a run, finished or not; a `spikelet.train.Run`; or a history, as `train_further` returns it.
        figure: "validation_accuracy", "loss", "firing_rate", "learning_rate" or "seconds". None is the accuracy, or the
            loss of a training without validation samples.
        label: of the curve, in a legend.
        ax: the Axes to draw on; None makes a figure.
    Raises:
        SpikeletError: there is no finished epoch, or none with that figure.
        CheckpointError: the folder's metrics are damaged.
        MissingLibrary: matplotlib is not installed.
    """
    history = _history(run)
    name = figure or (ACCURACY if ACCURACY in history[0] else "loss")
    if any(name not in epoch for epoch in history):
        raise SpikeletError(f"figure must be one of {', '.join(_figures(history))} of this training, got {name!r}.")
    unit = 100 if name == ACCURACY else 1
    with drawing(ax, (6, 4)) as axes:
        epochs = [epoch["epoch"] + 1 for epoch in history]
        axes.plot(epochs, [unit * epoch[name] for epoch in history], marker="o", markersize=4, label=label)
        steps = [epoch.get("time_steps") for epoch in history]  # a history of one's own may lack them
        for before, after, at in zip(steps, steps[1:], epochs, strict=False):
            if before != after:
                axes.axvline(at + 0.5, color=FAINT, linestyle=":", linewidth=1)
        axes.set(xlabel="epoch", ylabel=LABELS.get(name, name.replace("_", " ")))
        axes.locator_params(axis="x", integer=True)
        axes.grid(axis="y", color=GRID)
        if label is not None:
            axes.legend()
    return axes


def _figures(history: History) -> list[str]:
    return sorted(name for name in history[0] if name not in ("epoch", "time_steps"))


def _history(run: Any) -> History:
    history = getattr(run, "history", run)
    if not history:
        history = getattr(run, "folder", history)  # a Run that has not been trained in this process
    if isinstance(history, str | os.PathLike):
        from spikelet.train.checkpoint import load_history

        folder = Path(history)
        if not folder.is_dir():
            raise SpikeletError(f"run must be the folder of a `spikelet train` run, and there is no folder {folder}.")
        history = load_history(folder)
    elif not isinstance(history, list | tuple) or not all(isinstance(epoch, Mapping) for epoch in history):
        raise SpikeletError(f"run must be a run's folder, a Run, or a history, got {type(run).__name__}.")
    if not history:
        raise SpikeletError("the run has no finished epoch to draw.")
    return history
