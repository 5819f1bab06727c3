"""Class numbers from whatever a label column holds.

    numbers with names (a ClassLabel)    as the source has them
    integers or words                    the distinct values of all splits, in order, are the classes 0 .. K-1;
                                         a class's name is its value

A split whose labels are all missing (None, or -1 as competitions have it) has none, and counts as absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

_MISSING = (None, -1)


def numbered(
    columns: Mapping[str, Sequence[Any]], names: Sequence[str] | None, where: str
) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    """Labels int64 [N] of every split that has some, and the classes' names.

    Args:
        columns: the labels as they are, by split.
        names: of a ClassLabel's numbers, or None.
        where: the data set, for the error.
    Raises:
        ValueError: some labels of a split are missing and others are not, or no split has any.
    """
    there = {split: values for split, values in columns.items() if not all(v in _MISSING for v in values)}
    if not there:
        raise ValueError(f"{where} has no labels: all of them are missing. Use a split that has some.")
    lacking = (None,) if names is None else _MISSING  # among plain integers -1 may be a class
    for split, values in there.items():
        k = next((k for k, v in enumerate(values) if v in lacking), None)
        if k is not None:
            raise ValueError(f"{where}/{split} lacks the label of sample {k}. Take such samples out.")
    if names is not None:
        return {split: np.asarray(values, np.int64) for split, values in there.items()}, tuple(names)
    distinct = sorted({v for values in there.values() for v in values})
    number = {value: k for k, value in enumerate(distinct)}
    numbers = {split: np.asarray([number[v] for v in values], np.int64) for split, values in there.items()}
    return numbers, tuple(map(str, distinct))
