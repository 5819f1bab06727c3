"""Which classes are taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import SpikeletError
from spikelet.base.words import percent
from spikelet.plot.style import INK, drawing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST_CLASSES = 1000
WRITTEN = 25  # classes whose counts are written into the picture


def confusion_matrix(
    labels: Any,
    predictions: Any,
    names: Sequence[str] = (),
    *,
    ax: Axes | None = None,
) -> Axes:
    """How often each class (a row) was taken for each class (a column), as Axes.

        logits = spikelet.Program(graph)(data.test.x.numpy())
        confusion_matrix(data.test.y, logits, graph.labels)

    The colour is the share of the row's samples, the number their count. Unlike scikit-learn's it takes logits, and
    draws classes without samples.

    Args:
        labels: the true classes, whole numbers [N].
        predictions: the predicted ones [N], or logits [N, K].
        names: of the classes; their numbers where empty.
        ax: the Axes to draw on; None makes a figure.
    Raises:
        SpikeletError: labels and predictions do not match, or are no classes.
        MissingLibrary: matplotlib is not installed.
    """
    true, predicted = _classes(labels, "labels"), _classes(predictions, "predictions")
    if true.shape != predicted.shape:
        raise SpikeletError(f"labels and predictions must be as many, got {len(true)} and {len(predicted)}.")
    logits = _array(predictions)
    count = max(len(names), int(max(true.max(), predicted.max())) + 1, logits.shape[1] if logits.ndim == 2 else 0)
    if count > MOST_CLASSES or (names and len(names) < count):
        raise SpikeletError(
            f"names must name all {count} classes, at most {MOST_CLASSES}, got {len(names)}: {list(names)[:3]} ..."
        )
    counts = np.zeros((count, count), np.int64)
    np.add.at(counts, (true, predicted), 1)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    with drawing(ax, (6.5, 6)) as axes:
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        _written(axes, counts, shares)
        ticks = range(count) if count <= WRITTEN else range(0, count, -(-count // WRITTEN))
        shown = [str(names[i] if names else i) for i in ticks]
        rotation = 45 if max(map(len, shown)) > 3 else 0
        axes.set_xticks(list(ticks), shown, rotation=rotation, ha="right" if rotation else "center")
        axes.set_yticks(list(ticks), shown)
        right = float((true == predicted).mean())
        axes.set(xlabel="predicted", ylabel="label", title=f"{percent(right)} of {len(true):,} samples are right")
        axes.tick_params(length=0)
        axes.spines[["left", "bottom"]].set_visible(False)
    return axes


def _written(axes: Axes, counts: NDArray[np.int64], shares: NDArray[np.float64]) -> None:
    """The counts that are not 0, white on dark squares."""
    if len(counts) > WRITTEN:
        return
    for row, column in np.argwhere(counts):
        color = "white" if shares[row, column] > 0.5 else INK
        axes.text(column, row, f"{counts[row, column]:,}", color=color, ha="center", va="center", fontsize=8)


def _array(values: Any) -> NDArray[Any]:
    """An array of an array, a tensor of any device, or a list."""
    return np.asarray(values.detach().cpu() if hasattr(values, "detach") else values)


def _classes(values: Any, what: str) -> NDArray[np.int64]:
    array = _array(values)
    if array.ndim == 2 and what == "predictions" and array.shape[1]:
        array = array.argmax(1)
    if array.ndim != 1 or not len(array) or array.dtype.kind not in "iu" or array.min() < 0:
        more = ", or logits [N, K]" if what == "predictions" else ""
        raise SpikeletError(
            f"{what} must be whole numbers [N] from 0 on{more}, got {array.dtype} of shape {list(array.shape)}."
        )
    return array.astype(np.int64)
