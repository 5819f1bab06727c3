"""Which classes are taken for which: counts of true and predicted classes, accuracy by class, and top-5.

counts[i, j]    samples of class i that were taken for class j
accuracy of i   counts[i, i] / sum_j counts[i, j]
top-5           share of samples whose class is among the five largest logits; of equal logits the first wins
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.table import Table
from spikelet.cli.predicting import name_of
from spikelet.cli.printing import heading, percent, show, width

TOP = 5
WHOLE = 12  # classes whose counts are printed whole; of more the pairs that were mistaken most often
PAIRS = 12


@dataclasses.dataclass(frozen=True)
class Confusion:
    """counts: int64 [K, K], true by predicted; top5: samples whose class is among the best five."""

    classes: tuple[str, ...]
    counts: NDArray[np.int64]
    top5: int

    @staticmethod
    def of(logits: NDArray[Any], y: NDArray[np.int64], classes: Sequence[str]) -> Confusion:
        """From logits [N, K] and classes [N]; every class is named, by its number where nobody did."""
        n_classes = logits.shape[1]
        best = np.argsort(-logits, axis=1, kind="stable")[:, :TOP]
        pairs = np.bincount(y * n_classes + best[:, 0], minlength=n_classes * n_classes)
        names = tuple(name_of(k, classes) for k in range(n_classes))
        return Confusion(names, pairs.reshape(n_classes, n_classes), int((best == y[:, None]).any(1).sum()))

    @property
    def samples(self) -> int:
        """All that were counted."""
        return int(self.counts.sum())

    def show(self) -> None:
        """Prints accuracy by class, top-5 where it says something, and the counts."""
        heading("By class")
        show(self._by_class())
        if len(self.classes) <= WHOLE:
            heading("Samples of a class (rows) that were taken for each (columns)")
            whole = Table(("", *self.classes), tuple(map(self._row, range(len(self.classes)))))
            for part in whole.split(width()):
                show(part)
        elif len(pairs := self._pairs()):
            heading("Mistaken most often")
            show(Table(("class", "taken for", "samples"), pairs, prose=(0, 1)))

    def document(self) -> dict[str, Any]:
        """The same as JSON has it; the accuracy of a class without samples is null."""
        return {
            "top5_accuracy": self.top5 / self.samples,
            "classes": [
                {"class": name, "samples": n, "accuracy": hits / n if n else None}
                for name, n, hits in zip(self.classes, self._totals, np.diag(self.counts).tolist(), strict=True)
            ],
            "confusion": self.counts.tolist(),
        }

    @property
    def _totals(self) -> list[int]:
        return self.counts.sum(1).tolist()

    def _by_class(self) -> Table:
        rows = []
        for k, (name, total) in enumerate(zip(self.classes, self._totals, strict=True)):
            others = self.counts[k].copy()
            others[k] = 0
            worst = int(others.argmax())
            taken = f"{self.classes[worst]} ({others[worst]:,})" if others[worst] else ""
            rows.append((name, f"{total:,}", percent(self.counts[k, k] / total) if total else "-", taken))
        footer = () if len(self.classes) <= TOP else (("top-5", "", percent(self.top5 / self.samples), ""),)
        return Table(("class", "samples", "accuracy", "most often taken for"), tuple(rows), footer, prose=(0, 3))

    def _row(self, k: int) -> tuple[str, ...]:
        return self.classes[k], *(f"{n:,}" if n else "." for n in self.counts[k].tolist())

    def _pairs(self) -> tuple[tuple[str, str, str], ...]:
        mistakes = self.counts - np.diag(np.diag(self.counts))
        order = np.argsort(-mistakes, axis=None, kind="stable")[:PAIRS]
        cells = [divmod(int(cell), len(self.classes)) for cell in order]
        return tuple((self.classes[i], self.classes[j], f"{mistakes[i, j]:,}") for i, j in cells if mistakes[i, j])
