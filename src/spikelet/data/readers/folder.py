"""A folder that somebody else filled: its files are listed; if there are tables they are read, else the pictures,
else the sounds.

No code that lies in the folder is run, and no file outside of it is opened.
"""

from __future__ import annotations

import os
from pathlib import Path, PurePath

from spikelet.base.errors import DataError, NoSuchFile
from spikelet.data.readers.arrays import read_arrays
from spikelet.data.readers.listing import Listing, list_files
from spikelet.data.readers.pictures import read_pictures, sorted_out
from spikelet.data.readers.reader import Request, file_at, folder_at
from spikelet.data.readers.sounds import is_sound, read_sounds, read_zip_of_sounds, sounds_in_zip
from spikelet.data.readers.table_folder import PICTURES, read_tables, tables_in
from spikelet.data.readers.tables import ENDINGS
from spikelet.data.readers.zip_of_pictures import holds_pictures, read_zip
from spikelet.data.reading import bounded
from spikelet.data.samples import DataSplits

FILES = (*ENDINGS, ".zip", ".npz")  # how the name of a file ends that is a data set by itself


def read_folder(request: Request) -> DataSplits:
    """The data set in a folder, with the report on its reading.

    Raises:
        NoSuchFile: neither tables nor pictures lie in the folder.
        DataError: what the folder says can't be read, or can be read in several ways; names the file.
        SpikeletError: a picture is damaged, of another size, or there are too many to be held in memory.
        ImportError: a library is missing.
    """
    folder = request.folder()
    listing = list_files(folder)
    _require_no_code(listing)
    if tables_in(listing):
        return read_tables(listing, request)
    found = sorted_out(listing)
    if not found.pictures and any(map(is_sound, listing.files)):
        return read_sounds(listing, request)
    if not found.pictures:
        others = bounded([str(one) for one in found.left_out]) or "it is empty"
        raise NoSuchFile(
            f"no image data set could be read from {str(folder)!r}: no picture and no table lies there: {others}. "
            "(Give a folder of pictures, <class>/<picture> or <split>/<class>/<picture>, or of parquet files.)"
        )
    return read_pictures(listing, found, request)


def read_file(request: Request, path: Path) -> DataSplits:
    """The data set in one of the `FILES`: a table, a zip of pictures or an .npz of signals. A table's cells may name
    pictures beside it.

    Raises:
        DataError: it is damaged.
        SpikeletError, FileNotFoundError, ImportError: what a folder of such files raises.
    """
    if path.suffix.casefold() in ENDINGS:
        return read_tables(Listing(path.parent, (PurePath(path.name),), (), ()), request)
    if path.suffix.casefold() == ".npz":
        return read_arrays(request, path)
    if not holds_pictures(path) and sounds_in_zip(path):
        return read_zip_of_sounds(path, request)
    return read_zip(path, request)


def is_of_sound(name: str) -> bool:
    """Whether a folder or a zip is read as sounds: it holds some, and neither tables nor pictures.

    Raises:
        DataError: it can't be looked into.
    """
    folder, file = folder_at(Path(name)), file_at(Path(name))
    if folder is not None:
        listing = list_files(folder)
        return any(map(is_sound, listing.files)) and not tables_in(listing) and not sorted_out(listing).pictures
    if file is None or file.suffix.casefold() != ".zip":
        return False
    return not holds_pictures(file) and bool(sounds_in_zip(file))


def beside(folder: Path) -> list[str]:
    """The pictures and tables of a folder that is read for other files, by their paths in it."""
    found = []
    for where, _, names in os.walk(folder):
        here = Path(where).relative_to(folder)
        found += [(here / n).as_posix() for n in names if Path(n).suffix.casefold() in (*ENDINGS, *PICTURES)]
    return sorted(path for path in found if not any(part.startswith(".") for part in PurePath(path).parts))


def _require_no_code(listing: Listing) -> None:
    script = PurePath(f"{listing.root.resolve().name}.py")
    if script in listing.files:
        raise DataError(
            f"{str(listing.root / script)!r} is a loading script, and no code that comes with a data set is run. "
            "Move it out, and give the data as pictures or parquet files."
        )
