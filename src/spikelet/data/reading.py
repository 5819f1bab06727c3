"""What became of a source: the files it has, the samples read from them by split and class, and what was left out.

files = used + left out          every file is counted once; a folder of pictures gives one sample a used file
"""

from __future__ import annotations

import dataclasses

NAMED = 5  # of what was left out, as many are named; the others are counted


@dataclasses.dataclass(frozen=True)
class LeftOut:
    """A file or a split that was left out, by its path in the source, and why."""

    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.what!r} ({self.why})"


@dataclasses.dataclass(frozen=True)
class Reading:
    """The report on a source that was read.

    name: of the data set.
    files: that were found in the folder; 0 where the source is no folder.
    labels: the classes' names.
    samples: their number in each class, by split, before a validation part is held out.
    left_out: files that gave no sample.
    remarks: whole sentences about anything else that may surprise.
    """

    name: str
    files: int
    labels: tuple[str, ...]
    samples: tuple[tuple[str, tuple[int, ...]], ...]
    left_out: tuple[LeftOut, ...] = ()
    remarks: tuple[str, ...] = ()

    def warnings(self) -> tuple[str, ...]:
        """What has to be said to whoever reads the data set, a sentence each."""
        if not self.left_out:
            return self.remarks
        what = f"{self.name}: {len(self.left_out)} left out: {bounded([str(one) for one in self.left_out])}."
        return (what, *self.remarks)

    def __str__(self) -> str:
        counts = ", ".join(f"{sum(by_class)} {split}" for split, by_class in self.samples)
        return f"{self.name}: {counts or 'no'} samples of {len(self.labels)} classes, {len(self.left_out)} left out"


def bounded(parts: list[str]) -> str:
    """The first of `parts`, and the number of the others."""
    more = f" and {len(parts) - NAMED} more" if len(parts) > NAMED else ""
    return ", ".join(parts[:NAMED]) + more
