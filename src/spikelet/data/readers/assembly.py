"""Encoded pictures and labels, by split, to a data set in memory."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import torch

from spikelet.data.readers.decoding import decoded, kind_of, spread
from spikelet.data.readers.encoded import Encoded
from spikelet.data.readers.labels import numbered
from spikelet.data.readers.reader import Request
from spikelet.data.readers.splits import WORDS
from spikelet.data.reading import LeftOut, Reading, bounded
from spikelet.data.samples import DataSplits, Samples


@dataclasses.dataclass(frozen=True)
class Source:
    """What a reader found: pictures and labels by split, no split empty; the classes' names if labels are numbers that
    have some; and the files it was found in."""

    pictures: Mapping[str, Encoded]
    labels: Mapping[str, Sequence[Any]]
    names: Sequence[str] | None
    files: int = 0
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()


def assembled(source: Source, request: Request) -> DataSplits:
    """The data set, with the report on its reading. A split whose labels are all missing is left out by name.

    Raises:
        SpikeletError: labels or pictures are missing, damaged, of several sizes, or too many to be held in memory.
    """
    y, labels = numbered(source.labels, source.names, request.name)
    parts = {split: decoded(source.pictures[split], request, split) for split in WORDS if split in y}
    channels = max(part.pixels.shape[1] for part in parts.values())
    note = f"{kind_of(source.pictures[next(iter(parts))], request)} images"
    if transparent := sum(part.transparent for part in parts.values()):
        note = f"{note}, {transparent} of them transparent, laid on {request.ground}"
    made = {
        split: Samples(
            torch.from_numpy(spread(part.pixels, channels)), torch.from_numpy(y[split]), labels, request.name, note
        )
        for split, part in parts.items()
    }
    empty = next(iter(made.values())).subset(torch.arange(0))
    return DataSplits(**{split: made.get(split, empty) for split in WORDS}, reading=_report(source, made, request.name))


def _report(source: Source, made: Mapping[str, Samples], name: str) -> Reading:
    labels = next(iter(made.values())).labels
    counts = {split: torch.bincount(part.y, minlength=len(labels)).tolist() for split, part in made.items()}
    unlabelled = [
        LeftOut(split, f"a split of {len(values)} samples without labels")
        for split, values in source.labels.items()
        if split not in made
    ]
    return Reading(
        name,
        source.files,
        labels,
        tuple((split, tuple(by_class)) for split, by_class in counts.items()),
        (*source.left_out, *unlabelled),
        (*source.remarks, *_never_seen(counts, labels, name)),
    )


def _never_seen(counts: Mapping[str, Sequence[int]], labels: Sequence[str], name: str) -> list[str]:
    """A sentence for each split with classes that the training set, where there is one, lacks."""
    said = []
    for split in set(counts) - {"train"} if "train" in counts else ():
        new = [repr(label) for k, label in enumerate(labels) if counts[split][k] and not counts["train"][k]]
        if new:
            said.append(
                f"{name}: {len(new)} of the classes of the {split} set, {bounded(new)}, have no training sample."
            )
    return sorted(said)
