"""Training, validation and test set, told by words in names. Capitals do not matter.

folders of pictures   the first folder's whole name                       Train/ant/1.png
tables                a whole word anywhere in the path                   data/mnist-test-00000-of-00001.parquet
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import PurePath

from spikelet.base.errors import DataError
from spikelet.data.reading import bounded

WORDS = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}
_MEANING = {word: split for split, words in WORDS.items() for word in words}


def split_named(name: str) -> str | None:
    """The split that `name` is a word for, or None."""
    return _MEANING.get(name.casefold())


def split_of_table(path: PurePath) -> str | None:
    """The split that the words of a table's path name, or None.

    Raises:
        DataError: they name two, or one within a longer word.
    """
    words = re.split(r"[^a-z]+", path.with_suffix("").as_posix().casefold())
    named = {split for word in words if (split := split_named(word))}
    if len(named) > 1 or (not named and re.search("train|valid|test", path.stem.casefold())):
        what = f"names both {' and '.join(sorted(named))}" if named else "names a split within a longer word"
        raise DataError(
            f"{path.as_posix()!r} {what}. Name each table by one split, such as train.parquet or test.parquet."
        )
    return next(iter(named), None)


def folders_as_splits(tops: Sequence[str], where: str) -> dict[str, str]:
    """The split of each of the first folders `tops`; {} where they are classes.

    Raises:
        DataError: some are named as splits and others are not, or two name one split.
    """
    found = {top: split for top in tops if (split := split_named(top))}
    classes = [top for top in tops if top not in found]
    if found and classes:
        raise DataError(
            f"the folder {where!r} can be read in two ways: {bounded(sorted(map(repr, found)))} as splits, which "
            f"leaves out {bounded(list(map(repr, classes)))}, or all as classes. If they are classes, put them into a "
            "folder 'train'; if not, move the others out."
        )
    for split in WORDS:
        same = sorted(top for top in found if found[top] == split)
        if len(same) > 1:
            raise DataError(
                f"the folders {' and '.join(map(repr, same))} of {where!r} both name the {split} set. Join them."
            )
    return found
