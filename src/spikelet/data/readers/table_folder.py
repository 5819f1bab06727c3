"""A folder of parquet or arrow files, as Hugging Face's hub has them: the split of each is a word in its path.

Where no path has such a word, all are the training set. The tables lie in one folder, or in one folder for each split:
several of them are several data sets. README.md is not read, and no library looks through the folder but listing.py.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from pathlib import PurePath
from typing import Any

from spikelet.base.errors import DataError
from spikelet.base.optional import need
from spikelet.data.readers.assembly import Source, assembled
from spikelet.data.readers.columns import image_and_label
from spikelet.data.readers.encoded import Encoded, of_cells
from spikelet.data.readers.listing import Listing
from spikelet.data.readers.reader import Request
from spikelet.data.readers.splits import WORDS, split_named, split_of_table
from spikelet.data.readers.tables import ENDINGS, Table, open_table
from spikelet.data.reading import LeftOut, bounded
from spikelet.data.samples import DataSplits

PICTURES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".avif")


def tables_in(listing: Listing) -> tuple[PurePath, ...]:
    """The files of a folder that are tables, by their names."""
    return tuple(path for path in listing.files if path.suffix.casefold() in ENDINGS)


def read_tables(listing: Listing, request: Request) -> DataSplits:
    """The tables of a folder as a data set.

    Raises:
        DataError: no split or two are named by a path, there are several data sets, the tables have other columns than
            each other, a table or a sample is damaged, or a sample's file lies outside of the folder.
        SpikeletError: a picture cannot be used, or there are too many to be held in memory.
    """
    paths, unknown = _by_split(tables_in(listing), request.name)
    _require_one_set([path for of_split in paths.values() for path in of_split], str(listing.root))
    tables = {split: [open_table(listing.root / path) for path in of_split] for split, of_split in paths.items()}
    image, label = _columns([table for of_split in tables.values() for table in of_split], request)
    labels, names = _labels(tables, label)
    filled = {split: values for split, values in labels.items() if values}
    if not filled:
        raise DataError(f"the tables of {str(listing.root)!r} have no rows.")
    source = Source(
        {
            split: _pictures(tables[split], image, len(values), f"{request.name}/{split}", listing)
            for split, values in filled.items()
        },
        filled,
        names,
        len(listing.files) + len(listing.left_out),
        (*listing.left_out, *unknown, *_others(listing)),
        tuple(f"{request.name}: the {split} set has no rows." for split in labels if split not in filled),
    )
    return assembled(source, request)


def _by_split(paths: Sequence[PurePath], name: str) -> tuple[dict[str, list[PurePath]], list[LeftOut]]:
    """The tables of each split, and those of other splits, which a set that has training and test may leave out."""
    found = {path: split_of_table(path) for path in paths}
    if not any(found.values()):
        return {"train": list(paths)}, []
    by_split = {split: [path for path in paths if found[path] == split] for split in WORDS}
    by_split = {split: of_split for split, of_split in by_split.items() if of_split}
    unknown = [path for path in paths if found[path] is None]
    if unknown and not {"train", "test"} <= set(by_split):
        raise DataError(
            f"{name} has the splits {sorted(by_split)}; train, validation and test are known, and "
            f"{bounded([path.as_posix() for path in unknown])} would be left out. Rename them."
        )
    return by_split, [LeftOut(path.as_posix(), "a table of no known split") for path in unknown]


def _require_one_set(paths: Sequence[PurePath], where: str) -> None:
    homes = {PurePath(*(part for part in path.parts[:-1] if split_named(part) is None)).as_posix() for path in paths}
    if len(homes) > 1:
        raise DataError(
            f"the folder {where!r} holds a data set in each of {bounded(sorted(map(repr, homes)))}. Give one of them."
        )


def _columns(tables: Sequence[Table], request: Request) -> tuple[str, str]:
    """The columns of images and labels, which all tables have and of one type."""
    datasets = need("datasets", package="datasets", extra="data", what="a folder of tables")
    kinds = (datasets.Image, datasets.ClassLabel)
    first = tables[0]
    image, label = image_and_label(first.features, request.columns, request.name, kinds)
    for table in tables[1:]:
        for column in (image, label):
            kind, other = type(first.features[column]), type(table.features.get(column))
            if kind is not other:
                raise DataError(
                    f"the column {column!r} is of type {kind.__name__} in {str(first.path)!r} and "
                    f"{'is missing' if column not in table.features else f'of type {other.__name__}'} in "
                    f"{str(table.path)!r}. Give all tables the same columns."
                )
    return image, label


def _labels(tables: dict[str, list[Table]], column: str) -> tuple[dict[str, list[Any]], list[str] | None]:
    """The labels by split, and the names of their numbers. Tables that number their classes otherwise than each other
    meet by name: their labels become words."""
    names = [getattr(table.features[column], "names", None) for of_split in tables.values() for table in of_split]
    alike = all(one == names[0] for one in names)

    def of(table: Table) -> Iterator[Any]:
        own = None if alike else table.features[column].names
        return (value if own is None else _word(value, own, table, k) for k, value in enumerate(table.labels(column)))

    found = {split: [value for table in of_split for value in of(table)] for split, of_split in tables.items()}
    return found, names[0] if alike else None


def _word(value: Any, names: Sequence[str], table: Table, row: int) -> str | None:
    if value is None or value == -1:
        return None
    if not isinstance(value, int) or not 0 <= value < len(names):
        raise DataError(
            f"row {row} of {str(table.path)!r} has the label {value!r:.80}, and classes 0 .. {len(names) - 1}."
        )
    return names[value]


def _pictures(tables: Sequence[Table], column: str, count: int, where: str, listing: Listing) -> Encoded:
    def cells() -> Iterator[Any]:
        return itertools.chain.from_iterable(table.cells(column) for table in tables)

    return of_cells(count, cells, where, [listing.root])


def _others(listing: Listing) -> Iterator[LeftOut]:
    for path in listing.files:
        suffix = path.suffix.casefold()
        if suffix not in ENDINGS:
            why = "a picture beside tables, read only where one of them names it" if suffix in PICTURES else "no table"
            yield LeftOut(path.as_posix(), why)
