"""The pictures of a split before they are decoded: a number of them, and a way to go through them again and again."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from spikelet.base.errors import DataError, SpikeletError
from spikelet.base.picture import MAX_FILE_BYTES
from spikelet.base.regular import read_regular


@dataclasses.dataclass(frozen=True)
class Encoded:
    """`count` pictures; each pass over `read()` gives their names, for errors, and the bytes of their files."""

    count: int
    read: Callable[[], Iterator[tuple[str, bytes]]]


def of_files(paths: Sequence[Path]) -> Encoded:
    """The pictures in files, each of which must be regular and at most 256 MiB long."""

    def read() -> Iterator[tuple[str, bytes]]:
        return ((str(path), read_regular(path, MAX_FILE_BYTES)) for path in paths)

    return Encoded(len(paths), read)


def of_cells(count: int, cells: Callable[[], Iterator[Any]], where: str, places: Sequence[Path]) -> Encoded:
    """The pictures in the cells of a table's column.

    A cell holds the bytes of a file, the path of one, or both. Bytes are taken first. A path is taken where it leads to
    a regular file in one of the folders `places`, and no other file is ever opened.

    Args:
        count: of the cells.
        cells: starts a pass over them.
        where: the data set and split, for errors.
        places: a path is understood from the first of them.
    """

    def read() -> Iterator[tuple[str, bytes]]:
        for k, cell in enumerate(cells()):
            yield _of_cell(cell, f"sample {k} of {where}", places)

    return Encoded(count, read)


def _of_cell(cell: Any, sample: str, places: Sequence[Path]) -> tuple[str, bytes]:
    data, path = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, None)
    if isinstance(data, str):
        data, path = None, data
    if isinstance(data, bytes):
        if len(data) > MAX_FILE_BYTES:
            raise DataError(f"{sample} is a picture of {len(data)} bytes, more than the {MAX_FILE_BYTES} read here.")
        name = f" ({path.rpartition('/')[2]!r})" if isinstance(path, str) and path else ""
        return f"{sample}{name}", data
    if not isinstance(path, str) or not path:
        raise DataError(f"{sample} has no image: its cell is empty. Take such samples out.")
    return f"{sample} ({path[:200]!r})", _inside(path, sample, places)


def _inside(path: str, sample: str, places: Sequence[Path]) -> bytes:
    """The bytes of a regular file that lies in one of `places`."""
    asked = f"the picture of {sample} is said to lie at {path[:200]!r}"
    try:
        real = (places[0] / path).resolve()
        if not any(real.is_relative_to(place.resolve()) for place in places):
            raise DataError(f"{asked}, outside of {str(places[0])!r}. Only files of the data set are read.")
        return read_regular(real, MAX_FILE_BYTES)
    except SpikeletError as error:
        raise error if isinstance(error, DataError) else DataError(f"{asked}: {error}") from error
    except (OSError, ValueError, RuntimeError) as error:  # no such file, a NUL in its name, links in a circle
        raise DataError(f"{asked}, which cannot be read: {getattr(error, 'strerror', None) or error}.") from error
