"""How every picture of the package looks: its colours, its axes, and how it is written to a file."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spikelet.base.errors import SpikeletError
from spikelet.base.files import atomic_write
from spikelet.base.optional import need

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, FAINT, GRID, WRONG = "#22303c", "#8795a1", "#e4e9ed", "#c0392b"
COLORS = BLUE, ORANGE, GREEN, VIOLET, GOLD = ("#2a6f97", "#e07a5f", "#3d9970", "#8e6bb0", "#c9a227")
SETTINGS: Any = {
    "font.size": 10, "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT,
    "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left", "axes.titlecolor": INK,
    "legend.frameon": False,
}  # fmt: skip


def require_matplotlib() -> None:
    """Raises MissingLibrary where matplotlib is not installed."""
    need("matplotlib", package="matplotlib", extra="plot", what="spikelet.plot")


@contextlib.contextmanager
def styled() -> Iterator[None]:
    """What is drawn inside looks as our pictures do; matplotlib's settings are as before after it."""
    import matplotlib as mpl

    with mpl.rc_context(SETTINGS):
        yield


@contextlib.contextmanager
def drawing(ax: Axes | None, size: tuple[float, float]) -> Iterator[Axes]:
    """The Axes to draw on: `ax`, or those of a new figure of pyplot of `size` inches.

    Raises:
        MissingLibrary: matplotlib is not installed.
        SpikeletError: `ax` is no Axes.
    """
    require_matplotlib()
    with styled():
        if ax is None:
            from matplotlib import pyplot

            ax = pyplot.subplots(figsize=size, layout="constrained")[1]
        if not hasattr(ax, "transData"):
            raise SpikeletError(f"ax must be the Axes of a matplotlib figure, got {type(ax).__name__}.")
        ax.spines[["top", "right"]].set_visible(False)
        if not ax.lines:
            ax.set_prop_cycle(color=COLORS)
        yield ax


def save(figure: Figure, path: Path) -> None:
    """Writes a figure as PNG, whole or not at all; no window is opened."""
    with atomic_write(path) as file:
        figure.savefig(file, format="png")
