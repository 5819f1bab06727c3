"""`spikelet run`: pictures through the native integer program, classes out.

score[k] = softmax(integer logit * logit_scale)[k]
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelet.cli.images import read_picture
from spikelet.cli.printing import console, percent, say, table
from spikelet.runtime import Program
from spikelet.zoo import load

BAR = 24  # characters of a score of 1


def run(model: str, images: list[Path], top: int, threads: int) -> None:
    """Prints the `top` classes of each image.

    Raises:
        ValueError, OSError, ImportError: the model or an image can't be read.
    """
    graph = load(model)
    program = Program(graph, threads)
    screen = console()
    for path in images:
        picture = read_picture(path, graph.input.shape, graph.time_steps)
        say(f"{path}: {picture.done}", "dim")
        scores = softmax(program(picture.batch)[0] * graph.logit_scale)
        names = graph.labels or [str(k) for k in range(len(scores))]
        best = np.argsort(-scores, kind="stable")[:top]
        rows = [(names[k], percent(float(scores[k])), "━" * round(BAR * float(scores[k]))) for k in best]
        made = table(("class", "score", ""), rows)
        made.columns[2].justify = "left"
        screen.print(made)


def softmax(logits_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(z) / sum exp(z), without overflow."""
    e = np.exp(logits_K - logits_K.max())
    return e / e.sum()
