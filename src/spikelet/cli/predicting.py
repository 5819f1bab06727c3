"""Samples through an integer program: classes, integer logits and scores.

score[k] = softmax(integer logit * logit_scale)[k]

Where a network gives logits at every time step, their sum is shown, and the mean makes the score; of a running sum the
last step is the whole.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from spikelet.cli.images import Picture
from spikelet.graph.ir import IntGraph
from spikelet.runtime import Program

BATCH = 64


@dataclasses.dataclass(frozen=True)
class Guess:
    """One class of one sample."""

    index: int
    name: str
    logit: int
    score: float


@dataclasses.dataclass(frozen=True)
class Prediction:
    """What a network says of the sample `name`, which was read as `done` says: its classes, best first."""

    name: str
    done: str
    guesses: tuple[Guess, ...]


class Classifier:
    """A graph with its program; `top` classes of a sample are kept."""

    def __init__(self, graph: IntGraph, threads: int, top: int) -> None:
        self.graph, self.program, self.top = graph, Program(graph, threads), top

    def predictions(self, pictures: Iterable[Picture]) -> Iterator[Prediction]:
        """One for each, in their order; images and frames may follow each other."""
        for group in _alike(pictures):
            x = np.concatenate([picture.batch for picture in group], axis=int(group[0].has_time))
            logits_BK, steps = summed(self.graph, self.program(x))
            for picture, logits_K in zip(group, logits_BK, strict=True):
                scores_K = softmax(logits_K * (self.graph.logit_scale / steps))
                yield Prediction(picture.name, picture.done, self._guesses(logits_K, scores_K))

    def _guesses(self, logits_K: NDArray[np.int64], scores_K: NDArray[np.float64]) -> tuple[Guess, ...]:
        best = np.argsort(-scores_K, kind="stable")[: self.top]
        return tuple(
            Guess(int(k), name_of(int(k), self.graph.labels), int(logits_K[k]), float(scores_K[k])) for k in best
        )


def _alike(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    """Neighbours that can be one batch: images or frames, at most `BATCH`."""
    group: list[Picture] = []
    for picture in pictures:
        if group and (len(group) == BATCH or group[0].has_time != picture.has_time):
            yield group
            group = []
        group.append(picture)
    if group:
        yield group


def name_of(index: int, labels: Sequence[str]) -> str:
    """The name of a class, or its number where nobody named it."""
    return labels[index] if labels else str(index)


def summed(graph: IntGraph, logits: NDArray[np.int32]) -> tuple[NDArray[np.int64], int]:
    """Logits [B, K] of a whole run, summed where they are [T, B, K], and of how many steps they are the sum."""
    if logits.ndim < 3:
        return logits.astype(np.int64), 1
    node = next(node for node in graph.nodes if node.name == graph.output.name)
    if getattr(node, "running", False):
        return logits[-1].astype(np.int64), 1
    return logits.sum(0, dtype=np.int64), len(logits)


def softmax(logits_K: NDArray[np.float64]) -> NDArray[np.float64]:
    """The softmax of logits, exp(z) / sum exp(z), without overflow."""
    e = np.exp(logits_K - logits_K.max())
    return e / e.sum()
