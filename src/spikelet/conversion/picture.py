"""Accuracy over time steps as a picture."""

from __future__ import annotations

from pathlib import Path

from spikelet.base.files import atomic_write
from spikelet.base.optional import need
from spikelet.conversion.accuracy import AccuracyOverSteps

INK, BARRIER, STREAM = "#22303c", "#2a6f97", "#e07a5f"


def require_matplotlib() -> None:
    """Raises MissingLibrary where matplotlib is not installed."""
    need("matplotlib", package="matplotlib", extra="fit", what="the picture")


def draw(curve: AccuracyOverSteps, title: str, path: Path) -> None:
    """Writes accuracy against steps as PNG; no window is opened.

    Raises:
        MissingLibrary: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=130)
    axes = figure.subplots()
    axes.axhline(100 * curve.network, color=INK, linestyle=":", linewidth=1, label="the network")
    for name, by, color in (("barrier", curve.barrier, BARRIER), ("stream", curve.stream, STREAM)):
        axes.plot(list(by), [100 * share for share in by.values()], marker="o", color=color, label=name)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(curve.stream), [str(t) for t in curve.stream])
    axes.set_xlabel("time steps")
    axes.set_ylabel(f"accuracy on {curve.samples:,} samples, %")
    axes.set_title(title, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(frameon=False)
    with atomic_write(path) as file:
        figure.savefig(file, format="png")
