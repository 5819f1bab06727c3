"""The split and the class of each picture of a folder, by its path alone.

    <class>/<picture>                 no split is named: all are the training set
    <split>/<class>/<picture>         <split> is train, validation or test, or a word for one (splits.py)

A picture that lies higher or deeper is refused by its name, as is a folder that can be read in both ways.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from spikelet.base.errors import DataError
from spikelet.data.readers.spelling import require_one_spelling
from spikelet.data.readers.splits import folders_as_splits, split_named

Layout = dict[str, list[tuple[str, PurePath]]]  # class and path of each picture, by split


def laid_out(pictures: Sequence[PurePath], where: str) -> Layout:
    """The pictures by split, each with its class, in the order given.

    Args:
        pictures: paths in the folder, at least one.
        where: the folder, for errors.
    Raises:
        DataError: a picture without a class or deeper than its class, folders that are splits and classes at once,
            two folders of one split, or classes that are hardly told apart.
    """
    tops = sorted({path.parts[0] for path in pictures if len(path.parts) > 1})
    splits = folders_as_splits(tops, where)
    depth = 3 if splits else 2
    found: Layout = {}
    for path in pictures:
        if len(path.parts) != depth:
            raise DataError(_misplaced(path, tops, depth, where))
        split = splits[path.parts[0]] if splits else "train"
        found.setdefault(split, []).append((path.parts[depth - 2], path))
    classes = {split: {name for name, _ in entries} for split, entries in found.items()}
    for name in set[str]().union(*classes.values()):
        if not _is_text(name):
            raise DataError(f"the class folder {name!r} of {where!r} has a name that is not UTF-8. Rename it.")
    require_one_spelling(classes, f"the folder {where!r}")
    return found


def _misplaced(path: PurePath, tops: Sequence[str], depth: int, where: str) -> str:
    expected = "<split>/<class>/<picture>" if depth == 3 else "<class>/<picture>"
    found = f"{path.as_posix()!r} of the folder {where!r}"
    if len(path.parts) < depth:
        as_split = f" ({path.parts[0]!r} is read as a split)" if len(path.parts) == 2 else ""
        return f"{found} lies in no class folder{as_split}; {expected} was expected. Move it into one."
    if split_named(path.parts[1]) and depth == 2:
        inner = f"Give the folder {path.parts[0]!r} itself" if len(tops) == 1 else "Put the splits' folders first"
        return f"{found} has its split below another folder; <split>/<class>/<picture> was expected. {inner}."
    return (
        f"{found} lies too deep; {expected} was expected. Move the pictures of each class into one folder, or name the "
        "first folders train, validation and test if they are splits."
    )


def _is_text(name: str) -> bool:
    try:
        return bool(name.encode())
    except UnicodeEncodeError:
        return False
