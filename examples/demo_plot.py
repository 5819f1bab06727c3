"""The demo's picture: what the network saw, every spike it fired, how it learned, and what it weighs."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

import spikelet
from spikelet.data import Samples
from spikelet.graph.ir import IntGraph

DIGITS = 10  # test images shown
NEURONS = 48  # of each layer in the raster
INK, FAINT, GRID = "#22303c", "#8795a1", "#e4e9ed"
LAYERS = ("#2a6f97", "#e07a5f", "#3d9970", "#8e6bb0", "#c9a227")
STYLE = {
    "font.size": 10, "font.family": "DejaVu Sans", "text.color": INK, "axes.labelcolor": INK, "axes.edgecolor": FAINT,
    "xtick.color": INK, "ytick.color": INK, "axes.spines.top": False, "axes.spines.right": False,
    "axes.titlesize": 11, "axes.titleweight": "bold", "axes.titlelocation": "left",
}  # fmt: skip


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
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(12, 6.4), layout="constrained", dpi=130)
        figure.get_layout_engine().set(w_pad=0.06, h_pad=0.07)  # type: ignore[union-attr]
        left, right = figure.subfigures(1, 2, width_ratios=(1.75, 1), wspace=0.02)
        grid = left.add_gridspec(2, DIGITS, height_ratios=(1, 3.4))
        x = story.test.x[:DIGITS].numpy()
        program = spikelet.Program(story.graph)
        for i, k in enumerate(program(x).argmax(1)):
            label = story.test.labels[int(story.test.y[i])]
            _digit(left.add_subplot(grid[0, i]), x[i, 0], story.graph.labels[k], label)
        _raster(left.add_subplot(grid[1, :]), program.spikes(x), story.graph.time_steps)
        left.suptitle("Test digits, the predicted class, and the spikes of the integer program", **TITLE)
        learning, bytes_ = right.subplots(2, 1, height_ratios=(1.7, 1))
        _learning(learning, story)
        _bytes(bytes_, story)
        figure.savefig(path)


TITLE: dict[str, Any] = {"x": 0.01, "ha": "left", "fontsize": 12, "fontweight": "bold"}


def _digit(axes: Axes, image_HW: NDArray[np.uint8], predicted: str, label: str) -> None:
    axes.imshow(image_HW, cmap="gray_r", vmin=0, vmax=255)
    right = predicted == label
    axes.set_title(predicted, loc="center", fontsize=15, color=LAYERS[2] if right else "#c0392b")
    axes.set_xlabel("" if right else f"is {label}", color="#c0392b", fontsize=9)
    axes.set(xticks=[], yticks=[])
    for spine in axes.spines.values():
        spine.set(visible=True, color=GRID)


def _raster(axes: Axes, spikes: dict[str, NDArray[np.uint8]], time_steps: int) -> None:
    """One column a time step, one line a neuron; images side by side under their pictures, layers in colours."""
    top = 0
    for layer, spikes_TB in enumerate(spikes.values()):
        flat = spikes_TB.reshape(*spikes_TB.shape[:2], -1)
        some = flat[:, :, np.linspace(0, flat.shape[2] - 1, min(NEURONS, flat.shape[2])).astype(int)]
        t, b, n = some.nonzero()
        colour = LAYERS[layer % len(LAYERS)]
        step = b * time_steps + t
        axes.hlines(top + n, step - 0.36, step + 0.36, color=colour, linewidth=1.6)
        middle = top + some.shape[2] / 2
        name = f"LIF {layer + 1}\n{flat.mean():.0%}"
        axes.text(-0.8, middle, name, color=colour, ha="right", va="center", fontsize=9)
        top += some.shape[2] + 6
    for image in range(1, DIGITS):
        axes.axvline(image * time_steps - 0.5, color=GRID, zorder=0)
    steps = np.arange(DIGITS * time_steps)
    axes.set(xlim=(-0.5, DIGITS * time_steps - 0.5), ylim=(-4, top), yticks=[], xticks=steps)
    axes.set_xticklabels([str(s % time_steps + 1) for s in steps], fontsize=8)
    axes.set_xlabel(f"time step of each image  ·  {NEURONS} neurons of each layer, with the layer's firing rate")
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)


def _learning(axes: Axes, story: Story) -> None:
    epochs = [h["epoch"] + 1 for h in story.history]
    accuracy = [100 * h["validation_accuracy"] for h in story.history]
    axes.plot(epochs, accuracy, color=LAYERS[0], marker="o", markersize=4, label="validation, PyTorch")
    axes.axhline(100 * story.accuracy, color=LAYERS[1], linewidth=1.2, linestyle="--", label="test, integer program")
    axes.annotate(
        f"{100 * story.accuracy:.2f} %", (epochs[0], 100 * story.accuracy), xytext=(0, 4), textcoords="offset points",
        color=LAYERS[1], fontweight="bold",
    )  # fmt: skip
    axes.set(title="Accuracy by epoch", xlabel="epoch", ylabel="%")
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.set_ylim(min(accuracy) - 3, 100.5)
    axes.grid(axis="y", color=GRID)
    axes.legend(loc="lower right", frameon=False)


def _bytes(axes: Axes, story: Story) -> None:
    sizes = {"packed file": story.packed_bytes, "float32": story.float_bytes}
    bars = axes.barh(list(sizes), list(sizes.values()), color=[LAYERS[1], FAINT], height=0.55)
    axes.bar_label(bars, labels=[f" {size / 1000:,.1f} kB" for size in sizes.values()], fontweight="bold")
    axes.set(title=f"Bytes, {story.float_bytes / story.packed_bytes:.1f} times fewer", xticks=[])
    axes.set_xlim(0, 1.25 * story.float_bytes)
    axes.tick_params(length=0)
    axes.spines["bottom"].set_visible(False)
