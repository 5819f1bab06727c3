"""What fired when: a column a time step, a line a neuron, the samples side by side, a colour for each layer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import SpikeletError
from spikelet.base.whole import whole
from spikelet.plot.spikes import spikes_of
from spikelet.plot.style import COLORS, GRID, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_STEPS = 4096  # columns that a picture can still show
NUMBERED = 40  # columns that are all numbered
GAP, HALF = 6, 0.36  # lines between two layers; half the length of a mark, in columns


def raster(
    network: Any,
    x: Any = None,
    *,
    neurons: int = 48,
    ax: Axes | None = None,
) -> Axes:
    """The spikes of a network on some samples, as Axes: layers from bottom to top in the order in which they run.

        raster(spikelet.load("qsnn-vgg-s-cifar10"), images)       uint8 [B, C, H, W], a few of them
        raster(model, data.test.x[:10], neurons=100)
        raster({"mine": spikes})                                  [T, B, ...], from wherever they are

    A mark is a neuron that fired, once or more, at that step; beside each layer stands its firing rate: spikes a neuron
    and step over everything that was given, as a share.

    Args:
        network: an IntGraph, a Program or Reference; a PyTorch model of the package's neurons; or spikes [T, B, ...] by
            layer, as `Program.spikes` gives them.
        x: its input, as it takes it. None where spikes are given.
        neurons: lines a layer, of neurons evenly spread over it.
        ax: the Axes to draw on; None makes a figure.
    Raises:
        SpikeletError: an argument is of another kind; there is nothing to draw, or more than 4096 columns.
        MissingLibrary: matplotlib is not installed.
    """
    count = whole(neurons, "neurons", 1, error=SpikeletError)
    spikes = spikes_of(network, x)
    steps, samples = _extent(spikes)
    with drawing(ax, (8, 5)) as axes:
        top = 0
        middles: list[float] = []
        for layer, (name, spikes_TB) in enumerate(spikes.items()):
            some = _spread(spikes_TB, count)
            _marks(axes, some, top, COLORS[layer % len(COLORS)], name)
            middles.append(top + (some.shape[2] - 1) / 2)
            top += some.shape[2] + GAP
        names = [f"{name}\n{_rate(spikes_TB)}" for name, spikes_TB in spikes.items()]
        axes.set_yticks(middles, names, fontsize=9)
        for i, label in enumerate(axes.get_yticklabels()):
            label.set_color(COLORS[i % len(COLORS)])
        _columns(axes, steps, samples)
        axes.set(xlim=(-0.5, samples * steps - 0.5), ylim=(-GAP / 2, top - GAP / 2))
        lines = max(min(count, _flat(one).shape[2]) for one in spikes.values())
        axes.set_xlabel(f"time step of each sample  ·  {lines} neurons of each layer, with the layer's firing rate")
    return axes


def _extent(spikes: Mapping[str, NDArray[Any]]) -> tuple[int, int]:
    """T and B, which all layers share."""
    found = {one.shape[:2] for one in spikes.values()}
    if len(found) != 1:
        raise SpikeletError(f"raster needs layers of the same [T, B, ...], got {sorted(found)}.")
    steps, samples = found.pop()
    if not 0 < steps * samples <= MOST_STEPS:
        raise SpikeletError(
            f"raster draws 1 to {MOST_STEPS} columns, a time step of a sample each, got {samples} samples of {steps}. "
            "Give it a few samples."
        )
    return steps, samples


def _flat(spikes_TB: NDArray[Any]) -> NDArray[Any]:
    return spikes_TB.reshape(*spikes_TB.shape[:2], -1)


def _spread(spikes_TB: NDArray[Any], count: int) -> NDArray[Any]:
    """[T, B, at most `count`]: neurons evenly spread."""
    flat = _flat(spikes_TB)
    return flat[:, :, np.linspace(0, flat.shape[2] - 1, min(count, flat.shape[2])).astype(int)]


def _rate(spikes_TB: NDArray[Any]) -> str:
    return f"{spikes_TB.mean():.1%}" if spikes_TB.size else "-"


def _marks(axes: Axes, spikes_TBN: NDArray[Any], bottom: int, color: str, name: str) -> None:
    t, b, n = spikes_TBN.nonzero()
    column = b * len(spikes_TBN) + t
    axes.hlines(bottom + n, column - HALF, column + HALF, color=color, linewidth=1.6, label=name)


def _columns(axes: Axes, steps: int, samples: int) -> None:
    """Numbers of time steps, all of them where there is room, else the first of each sample; a line between samples."""
    shown = np.arange(samples * steps)
    if len(shown) > NUMBERED:
        shown = np.arange(0, samples * steps, max(steps, samples * steps // NUMBERED))
    axes.set_xticks(shown, [str(s % steps + 1) for s in shown], fontsize=8)
    for sample in range(1, samples):
        axes.axvline(sample * steps - 0.5, color=GRID, zorder=0)
    axes.tick_params(length=0)
    axes.spines["left"].set_visible(False)
