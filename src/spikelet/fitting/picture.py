"""The Pareto front as a picture: accuracy, bytes and operations of what was trained, predicted loss of what was not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikelet.base.optional import need
from spikelet.fitting.fitted import Fitted, Measured
from spikelet.plot import style
from spikelet.plot.style import BLUE, FAINT, INK, ORANGE, VIOLET

if TYPE_CHECKING:
    from matplotlib.axes import Axes

START, PROBE, RESULT = VIOLET, BLUE, ORANGE


def require_matplotlib() -> None:
    """Raises MissingLibrary where matplotlib is not installed."""
    need("matplotlib", package="matplotlib", extra="fit", what="the picture")


def draw(fitted: Fitted, path: Path) -> None:
    """Writes the picture as PNG; no window is opened.

    Raises:
        MissingLibrary: matplotlib is not installed.
    """
    require_matplotlib()
    from matplotlib.figure import Figure

    with style.styled():
        figure = Figure(figsize=(9, 6.5), layout="constrained", dpi=130)
        above, below = figure.subplots(2, 1, sharex=True)
        _measured(above, fitted)
        _predicted(below, fitted)
        for axes in (above, below):
            _limits(axes, fitted)
            _kilobytes(axes, fitted)
        style.save(figure, path)


def _measured(axes: Axes, fitted: Fitted) -> None:
    most = max(m.sops for m in [fitted.start, fitted.result, *(p.measured for p in fitted.probes)])

    def dot(m: Measured, color: str, label: str, **style: Any) -> None:
        axes.scatter(m.size / 1000, 100 * m.accuracy, 30 + 250 * m.sops / most, color=color, label=label, **style)

    dot(fitted.start, START, "start")
    for i, probe in enumerate(fitted.probes):
        dot(probe.measured, PROBE, "" if i else "tried: trained briefly, on validation images", alpha=0.7)
    dot(fitted.result, RESULT, "result")
    axes.set_title(f"Measured on {fitted.judged_on}; a dot's area is its SOPs")
    axes.set_ylabel("accuracy, %")
    axes.legend()


def _predicted(axes: Axes, fitted: Fitted) -> None:
    sizes, increases = [c.cost.size / 1000 for c in fitted.front], [c.loss_increase for c in fitted.front]
    axes.scatter(sizes, increases, 10, color=FAINT, label="Pareto front")
    tried = [p.candidate for p in fitted.probes]
    axes.scatter([c.cost.size / 1000 for c in tried], [c.loss_increase for c in tried], 40, color=PROBE, label="tried")
    axes.set_title(f"Predicted, before any training: {len(sizes)} plans of the Pareto front")
    axes.set_xlabel("packed file, kB")
    axes.set_ylabel("added loss, nats")
    axes.legend()


def _limits(axes: Axes, fitted: Fitted) -> None:
    if fitted.budget.max_bytes is not None:
        axes.axvline(fitted.budget.max_bytes / 1000, color=INK, linestyle=":", linewidth=1)


def _kilobytes(axes: Axes, fitted: Fitted) -> None:
    """A log scale whose numbers read 3, 5, 10 and not 3 x 10^0: those of a few even ratios."""
    from matplotlib.ticker import NullFormatter, NullLocator

    sizes = [m.size for m in (fitted.start, fitted.result)] + [c.cost.size for c in fitted.front]
    low, high = min(sizes) / 1000, max(sizes) / 1000
    steps = 6 if high > low else 0
    ticks = [low * (high / low) ** (i / max(steps, 1)) for i in range(steps + 1)]
    axes.set_xscale("log")
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xticks(ticks, [f"{tick:.3g}" for tick in ticks])
