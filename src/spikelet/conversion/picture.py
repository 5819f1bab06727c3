"""Accuracy over time steps as a picture."""

from __future__ import annotations

from pathlib import Path

from spikelet.conversion.accuracy import AccuracyOverSteps
from spikelet.plot import style
from spikelet.plot.style import COLORS, INK


def draw(curve: AccuracyOverSteps, title: str, path: Path) -> None:
    """Writes accuracy against steps as PNG; no window is opened.

    Raises:
        MissingLibrary: matplotlib is not installed.
    """
    style.require_matplotlib()
    from matplotlib.figure import Figure

    with style.styled():
        figure = Figure(figsize=(7, 4.5), layout="constrained", dpi=130)
        axes = figure.subplots()
        axes.axhline(100 * curve.network, color=INK, linestyle=":", linewidth=1, label="the network")
        for (name, by), color in zip(curve.curves().items(), COLORS, strict=False):
            axes.plot(list(by), [100 * share for share in by.values()], marker="o", color=color, label=name)
        axes.set_xscale("log", base=2)
        axes.set_xticks(list(curve.stream), [str(t) for t in curve.stream])
        axes.set(xlabel="time steps", ylabel=f"accuracy on {curve.samples:,} samples, %", title=title)
        axes.legend()
        style.save(figure, path)
