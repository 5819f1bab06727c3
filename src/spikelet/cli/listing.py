"""How `spikelet run` lists what it found: tables, lines of JSON, or CSV. Each listing is given one prediction after
another, and is finished at the end.

few samples       a table each, of the best classes
more              a row each, and how many there are of each class
very many         the classes, and the samples that were least sure
--json            one object a line, as jq reads a stream
--csv             one row a sample, the best class first
"""

from __future__ import annotations

import collections
import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from spikelet.base.files import atomic_write
from spikelet.base.table import Table
from spikelet.base.text import printable
from spikelet.cli.answers import json_text
from spikelet.cli.errors import naming
from spikelet.cli.inputs import STDIN
from spikelet.cli.predicting import Guess, Prediction
from spikelet.cli.printing import heading, lines, note, percent, show

FEW, MANY = 4, 60  # samples that get a table each, and a row each
LEAST_SURE = 10  # of very many
BAR = 24  # characters of a score of 1


class Listing(Protocol):
    """Takes predictions, one after another."""

    def add(self, prediction: Prediction) -> None:
        """Takes one."""

    def finish(self) -> None:
        """Ends the list."""


class Tables:
    """Tables for people. `is_whole`: every sample gets a table of its own, however many there are."""

    def __init__(self, is_whole: bool, is_short: bool) -> None:
        self.is_whole, self.is_short = is_whole, is_short
        self.predictions: list[Prediction] = []

    def add(self, prediction: Prediction) -> None:
        """Remembers it: how it is shown depends on how many there are."""
        self.predictions.append(prediction)

    def finish(self) -> None:
        """Prints them."""
        found = self.predictions
        if self.is_whole or (len(found) <= FEW and not self.is_short):
            for prediction in found:
                note(f"{prediction.name}: {prediction.done}", dim=True)
                show(best_classes(prediction.guesses))
            return
        if len(found) <= MANY or self.is_short:
            show(one_row_each(found))
        else:
            heading(f"The {LEAST_SURE} of {len(found):,} samples that are least sure")
            show(one_row_each(sorted(found, key=lambda p: p.guesses[0].score)[:LEAST_SURE]))
            note("every sample: --csv FILE, --json\n", dim=True)
        if len(found) > FEW:
            note(f"{len(found):,} samples by class", bold=True)
            if not self.is_short:
                show(by_class(found))


class JsonLines:
    """One JSON object a sample and line, printed at once."""

    def add(self, prediction: Prediction) -> None:
        """Prints it."""
        lines(json_text(document_of(prediction), indent=None))

    def finish(self) -> None:
        """Nothing: each line is complete."""


class Csv:
    """Rows of `input`, then `class`, `score` and `logit` of the best class, and of as many as `top`.

    `where` is a file, written at the end and whole, or "-" for the standard output.
    """

    def __init__(self, where: str, top: int) -> None:
        self.where, self.top, self.rows = where, top, io.StringIO()
        self.writer = csv.writer(self.rows, lineterminator="\n")
        self.is_begun = False

    def add(self, prediction: Prediction) -> None:
        """Writes its row, and the titles before the first."""
        guesses = prediction.guesses[: self.top]
        if not self.is_begun:
            numbers = ["", *(f"_{k}" for k in range(2, len(guesses) + 1))]
            self.writer.writerow(["input", *(f"{t}{n}" for n in numbers for t in ("class", "score", "logit"))])
            self.is_begun = True
        cells = ((printable(g.name), f"{g.score:.6f}", g.logit) for g in guesses)
        self.writer.writerow([printable(prediction.name), *(cell for guess in cells for cell in guess)])
        if self.where == STDIN:
            lines(self.rows.getvalue())
            self.rows.seek(0)
            self.rows.truncate()

    def finish(self) -> None:
        """Writes the file."""
        if self.where != STDIN:
            with naming(self.where), atomic_write(Path(self.where)) as file:
                file.write(self.rows.getvalue().encode("utf-8", "backslashreplace"))
            note(f"saved {self.where}")


def document_of(prediction: Prediction) -> dict[str, Any]:
    """A prediction as JSON has it."""
    best = prediction.guesses[0]
    top = [{"class": g.name, "index": g.index, "score": g.score, "logit": g.logit} for g in prediction.guesses]
    return {"input": prediction.name, "class": best.name, "score": best.score, "top": top, "read": prediction.done}


def best_classes(guesses: Sequence[Guess]) -> Table:
    """The classes of one sample, with bars."""
    rows = tuple((g.name, f"{g.logit:,}", percent(g.score), "━" * round(BAR * g.score)) for g in guesses)
    return Table(("class", "logit", "score", ""), rows, prose=(0, 3))


def one_row_each(predictions: Sequence[Prediction]) -> Table:
    """A row a sample: its best class, and the next where one is kept."""
    rows = []
    for p in predictions:
        first, *more = p.guesses
        then = (more[0].name, percent(more[0].score)) if more else ("", "")
        rows.append((p.name, first.name, percent(first.score), *then))
    return Table(("input", "class", "score", "next", "score"), tuple(rows), prose=(0, 1, 3))


def by_class(predictions: Sequence[Prediction]) -> Table:
    """How many samples each class got, and how sure of them the network was."""
    scores: dict[str, list[float]] = collections.defaultdict(list)
    for p in predictions:
        scores[p.guesses[0].name].append(p.guesses[0].score)
    rows = tuple(
        (name, f"{len(of):,}", percent(len(of) / len(predictions)), percent(sum(of) / len(of)))
        for name, of in sorted(scores.items(), key=lambda item: -len(item[1]))
    )
    return Table(("class", "samples", "share", "mean score"), rows)
