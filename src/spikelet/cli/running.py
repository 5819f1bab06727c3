"""`spikelet run`: images through the native integer program; classes, logits and scores out.

score[k] = softmax(integer logit * logit_scale)[k]

Where a network gives logits at every time step, their sum is shown, and the mean makes the score.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelet.base.ground import Ground
from spikelet.base.table import Table
from spikelet.cli.errors import naming
from spikelet.cli.grounds import ground_for
from spikelet.cli.images import Picture, read_picture
from spikelet.cli.opening import opened
from spikelet.cli.printing import percent, say, show
from spikelet.graph.ir import IntGraph
from spikelet.runtime import Program

BAR = 24  # characters of a score of 1
COLUMNS = ("class", "logit", "score", "")
PROSE = (0, 3)  # the class and the bar


def run(model: str, images: Sequence[Path], top: int, threads: int, ground: str | None = None) -> None:
    """Prints the `top` classes of each image; transparency is laid on `ground`, None for the one of the training.

    Raises:
        ValueError, OSError, ImportError: the model or an image can't be read.
    """
    with naming(model):
        graph = opened(model)
    program, under = Program(graph, threads), ground_for(graph.meta, ground)
    for path in images:
        picture = picture_for(graph, path, under)
        say(f"{path}: {picture.done}", dim=True)
        logits_BK, steps = summed(program(picture.batch))
        show(_table(logits_BK[0], softmax(logits_BK[0] * (graph.logit_scale / steps)), graph.labels, top))


def picture_for(graph: IntGraph, path: Path, ground: Ground) -> Picture:
    """What is in the file `path`, in the shape that `graph` takes; transparency is laid on `ground`.

    Raises:
        ValueError, OSError: it can't be read; names it.
    """
    with naming(path):
        return read_picture(path, graph.input.shape, graph.time_steps, ground)


def _table(logits_K: NDArray[np.int64], scores_K: NDArray[np.float64], labels: Sequence[str], top: int) -> Table:
    names = list(labels) or [str(k) for k in range(len(scores_K))]
    best = np.argsort(-scores_K, kind="stable")[:top]
    return Table(COLUMNS, tuple(_row(names[k], int(logits_K[k]), float(scores_K[k])) for k in best), prose=PROSE)


def _row(name: str, logit: int, score: float) -> tuple[str, ...]:
    return name, f"{logit:,}", percent(score), "━" * round(BAR * score)


def summed(logits: NDArray[np.int32]) -> tuple[NDArray[np.int64], int]:
    """Logits [B, K] of a whole run, summed where they are [T, B, K], and of how many steps they are the sum."""
    return (logits.sum(0, dtype=np.int64), len(logits)) if logits.ndim == 3 else (logits.astype(np.int64), 1)


def softmax(logits_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """The softmax of logits, exp(z) / sum exp(z), without overflow."""
    e = np.exp(logits_K - logits_K.max())
    return e / e.sum()
