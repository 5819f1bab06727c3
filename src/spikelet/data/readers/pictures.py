"""A folder of pictures: <class>/<picture> or <split>/<class>/<picture>, as layout.py says.

A picture is a file whose name ends as pictures' names do, or any other that begins as pictures do. All else is left
out by name; what would hide pictures or labels is refused: archives, and metadata files with labels of their own.
"""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path, PurePath

from spikelet.base.errors import DataError
from spikelet.base.picture import KINDS, MAX_FILE_BYTES, endings
from spikelet.base.regular import open_regular
from spikelet.data.readers.assembly import Source, assembled
from spikelet.data.readers.encoded import Encoded, of_files
from spikelet.data.readers.layout import laid_out
from spikelet.data.readers.listing import Listing
from spikelet.data.readers.reader import Request
from spikelet.data.reading import LeftOut, bounded
from spikelet.data.samples import DataSplits

_ARCHIVES = (".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar")
_METADATA = ("metadata.csv", "metadata.jsonl", "metadata.parquet")


@dataclasses.dataclass(frozen=True)
class Sorted:
    """The files of a folder: those that are pictures, and the others."""

    pictures: tuple[PurePath, ...]
    left_out: tuple[LeftOut, ...]


def sorted_out(listing: Listing) -> Sorted:
    """Which files of a folder are pictures.

    Raises:
        DataError: the folder holds an archive or a metadata file.
    """
    known = endings()
    pictures, left_out = [], list(listing.left_out)
    for path in listing.files:
        require_plain(path, repr(str(listing.root / path)))
        if path.suffix.casefold() in known or _begins_like_one(listing.root / path):
            pictures.append(path)
        else:
            left_out.append(LeftOut(path.as_posix(), "not a picture of a kind that is read here"))
    return Sorted(tuple(pictures), tuple(left_out))


def read_pictures(listing: Listing, found: Sorted, request: Request) -> DataSplits:
    """The pictures of a folder as a data set; the names of the classes, in their order, are its labels.

    Raises:
        DataError: a folder's layout is not one of the two, or `columns` was given.
        SpikeletError: a picture is damaged, of another size, or there are too many to be held in memory.
    """
    if request.columns is not None:
        raise DataError(
            f"columns={request.columns!r} chooses columns of tables, and {str(listing.root)!r} has pictures."
        )
    about = Found(
        str(listing.root),
        len(listing.files) + len(listing.left_out),
        found.left_out,
        _without_pictures(listing, found.pictures, request.name),
    )
    return of_layout(found.pictures, about, lambda paths: of_files([listing.root / path for path in paths]), request)


@dataclasses.dataclass(frozen=True)
class Found:
    """Where pictures lie, how many files lie there, which were left out, and what may surprise."""

    where: str
    files: int
    left_out: tuple[LeftOut, ...]
    remarks: tuple[str, ...] = ()


def of_layout(
    pictures: Sequence[PurePath], found: Found, encoded: Callable[[Sequence[PurePath]], Encoded], request: Request
) -> DataSplits:
    """The data set of `pictures`, whose splits and classes their paths say; `encoded` reads some of them.

    Raises what `laid_out` and `assembled` do.
    """
    layout = laid_out(pictures, found.where)
    names = sorted({name for entries in layout.values() for name, _ in entries})
    number = {name: k for k, name in enumerate(names)}
    source = Source(
        {split: encoded([path for _, path in entries]) for split, entries in layout.items()},
        {split: [number[name] for name, _ in entries] for split, entries in layout.items()},
        names,
        found.files,
        found.left_out,
        found.remarks,
    )
    return assembled(source, request)


def require_plain(path: PurePath, where: str) -> None:
    """Raises DataError where a file, which errors call `where`, is an archive or gives pictures labels of its own."""
    if path.suffix.casefold() in _ARCHIVES:
        raise DataError(f"{where} is an archive, and archives are not read. Unpack it, or move it out.")
    if path.name.casefold() in _METADATA:
        raise DataError(
            f"{where} gives pictures labels of their own, which are not read: a picture's class is its folder. "
            "Move the file out, or sort the pictures into folders."
        )


def _begins_like_one(path: Path) -> bool:
    from PIL import Image

    try:
        with warnings.catch_warnings(), open_regular(path, MAX_FILE_BYTES) as stream:
            warnings.simplefilter("ignore")
            if not stream.read(1):
                return False
            stream.seek(0)
            with Image.open(stream, formats=[kind for kind in KINDS if kind in Image.OPEN]):
                return True
    except Image.DecompressionBombError:  # reading it will say so
        return True
    except PermissionError as error:
        raise DataError(f"{str(path)!r} cannot be read: {error.strerror}.") from error
    except Exception:  # whatever Pillow raises about files of other kinds
        return False


def _without_pictures(listing: Listing, pictures: Sequence[PurePath], name: str) -> tuple[str, ...]:
    """A sentence about the folders in which no picture lies, though each might have been a class."""
    others = [*listing.files, *(PurePath(one.what) for one in listing.left_out)]
    folders = {parent for path in others for parent in path.parents} | set(listing.empty)
    bare = sorted(
        folder.as_posix()
        for folder in folders - {parent for path in pictures for parent in path.parents}
        if not any(part.startswith(".") for part in folder.parts)
    )
    return (f"{name}: no picture lies in {bounded(list(map(repr, bare)))}.",) if bare else ()
