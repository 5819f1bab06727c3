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

from spikelet.base.errors import DataError
from spikelet.data.readers.spelling import require_one_spelling

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
        DataError: some labels of a split are missing and others are not, no split has any, some are words and others
            integers, a number has no name, or a class is spelled in two ways.
    """
    there = {split: values for split, values in columns.items() if not all(v in _MISSING for v in values)}
    if not there:
        raise DataError(f"{where} has no labels: all of them are missing. Use a split that has some.")
    lacking = (None,) if names is None else _MISSING  # among plain integers -1 may be a class
    for split, values in there.items():
        k = next((k for k, v in enumerate(values) if v in lacking), None)
        if k is not None:
            raise DataError(f"{where}/{split} lacks the label of sample {k}. Take such samples out.")
    if names is None:
        return _by_value(there, where)
    for split, values in there.items():
        _require_named(values, len(names), f"{where}/{split}")
    return {split: np.asarray(values, np.int64) for split, values in there.items()}, tuple(names)


def _by_value(columns: Mapping[str, Sequence[Any]], where: str) -> tuple[dict[str, np.ndarray], tuple[str, ...]]:
    values_of = {split: set(values) for split, values in columns.items()}
    distinct = set().union(*values_of.values())
    if (kinds := {type(value) for value in distinct}) not in ({int}, {str}):
        found = " and ".join(sorted(kind.__name__ for kind in kinds))
        raise DataError(f"{where} has labels of type {found}. Labels are integers, or words, in all splits alike.")
    if kinds == {str}:
        require_one_spelling(values_of, where)
    number = {value: k for k, value in enumerate(sorted(distinct))}
    numbers = {split: np.asarray([number[v] for v in values], np.int64) for split, values in columns.items()}
    return numbers, tuple(map(str, number))


def _require_named(values: Sequence[Any], count: int, where: str) -> None:
    wrong = next((k for k, v in enumerate(values) if not isinstance(v, int) or not 0 <= v < count), None)
    if wrong is not None:
        raise DataError(
            f"{where} gives sample {wrong} the label {str(values[wrong])[:80]!r}, and its classes are numbered "
            f"0 .. {count - 1}. Mend or take out such samples."
        )
