"""The demo's picture: what the network saw, every spike it fired, how it learned, and what it weighs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import spikelet
from spikelet.data import Samples
from spikelet.graph.ir import IntGraph
from spikelet.plot.style import FAINT, GREEN, GRID, ORANGE, WRONG, save, styled

DIGITS = 10  # test images shown


@dataclasses.dataclass(frozen=True)
class Story:
    """What there is to draw. Bytes are of the parameters as float32, and of the packed file."""

    graph: IntGraph
    test: Samples
    history: list[dict[str, Any]]
    accuracy: float
    float_bytes: int
    packed_bytes: int


def plot(story: Story, path: Path) -> None:
    """Writes the picture as PNG; no window is opened."""
    with styled():
        figure = Figure(figsize=(12, 6.4), layout="constrained", dpi=130)
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.07)  # type: ignore[union-attr]
        left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1), wspace=0.02)
        grid = left.add_gridspec(2, DIGITS, height_ratios=(1, 3.4))
        x = story.test.x[:DIGITS].numpy()
        program = spikelet.Program(story.graph)
        for i, k in enumerate(program(x).argmax(1)):
            label = story.test.labels[int(story.test.y[i])]
            _digit(left.add_subplot(grid[0, i]), x[i, 0], story.graph.labels[k], label)
        layers = {f"LIF {n}": spikes for n, spikes in enumerate(program.spikes(x).values(), 1)}
        spikelet.plot.raster(layers, ax=left.add_subplot(grid[1, :]))
        left.suptitle("Test digits, the predicted class, and the spikes of the integer program", **TITLE)
        learning, bytes_ = right.subplots(2, 1, height_ratios=(1.7, 1))
        _learning(learning, story)
        _bytes(bytes_, story)
        save(figure, path)


TITLE: dict[str, Any] = {"x": 0.01, "ha": "left", "fontsize": 12, "fontweight": "bold"}


def _digit(axes: Axes, image_HW: NDArray[np.uint8], predicted: str, label: str) -> None:
    axes.imshow(image_HW, cmap="gray_r", vmin=0, vmax=255)
    right = predicted == label
    axes.set_title(predicted, loc="center", fontsize=15, color=GREEN if right else WRONG)
    axes.set_xlabel("" if right else f"is {label}", color=WRONG, fontsize=9)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)


def _learning(axes: Axes, story: Story) -> None:
    spikelet.plot.learning_curve(story.history, label="validation, PyTorch", ax=axes)
    test = 100 * story.accuracy
    axes.axhline(test, color=ORANGE, linewidth=1.2, linestyle="--", label="test, integer program")
    axes.annotate(
        f"{test:.2f} %", (story.history[0]["epoch"] + 1, test), xytext=(0, 4), textcoords="offset points",
        color=ORANGE, fontweight="bold",
    )  # fmt: skip
    axes.set(title="Accuracy by epoch", ylabel="%")
    axes.set_ylim(min(100 * h["validation_accuracy"] for h in story.history) - 3, 100.5)
    axes.legend(loc="lower right")


def _bytes(axes: Axes, story: Story) -> None:
    sizes = {"packed file": story.packed_bytes, "float32": story.float_bytes}
    bars = axes.barh(list(sizes), list(sizes.values()), color=[ORANGE, FAINT], height=0.55)
    axes.bar_label(bars, labels=[f" {size / 1000:,.1f} kB" for size in sizes.values()], fontweight="bold")
    axes.set(title=f"Bytes, {story.float_bytes / story.packed_bytes:.1f} times fewer", xticks=[])
    axes.set_xlim(0, 1.25 * story.float_bytes)
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
