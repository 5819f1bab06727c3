"""The files of a folder, listed by us: every one of them is either there to be read or named with a reason.

    a name with a dot before it     left out, and so is all that a folder of such a name holds
    a link to a regular file        followed where that lies in the folder itself
    any other link                  refused: it leads out, nowhere, or to files that are listed already
    FIFO, socket, device            left out, and never opened

A snapshot in the hub's local cache is links to files two folders up; there they lie in the folder too.
"""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path, PurePath

from spikelet.base.errors import DataError
from spikelet.data.reading import LeftOut

MOST_FILES = 1 << 22  # a data set of images has fewer; `/` has more


@dataclasses.dataclass(frozen=True)
class Listing:
    """The regular files of `root`, by their paths in it and in their order; what else lies there; folders without a
    file."""

    root: Path
    files: tuple[PurePath, ...]
    left_out: tuple[LeftOut, ...]
    empty: tuple[PurePath, ...]


def list_files(root: Path) -> Listing:
    """The files of a folder and of the folders in it.

    Raises:
        DataError: a folder can't be read, a link leads elsewhere, or there are more files than any data set has.
    """
    files: list[PurePath] = []
    left_out: list[LeftOut] = []
    empty: list[PurePath] = []
    bounds = _bounds(root)
    waiting = [PurePath()]
    while waiting:
        folder = waiting.pop()
        entries = _entries(root, folder)
        if not entries:
            empty.append(folder)
        for entry in entries:
            path = folder / entry.name
            hidden = any(part.startswith(".") for part in path.parts)
            if entry.is_dir(follow_symlinks=False):
                waiting.append(path)
            elif hidden:
                left_out.append(LeftOut(path.as_posix(), "hidden"))
            elif entry.is_symlink() or entry.is_file():
                files.append(_followed(root, path, bounds) if entry.is_symlink() else path)
            else:
                left_out.append(LeftOut(path.as_posix(), "no regular file"))
        if len(files) + len(left_out) > MOST_FILES:
            raise DataError(f"{str(root)!r} holds more than {MOST_FILES} files. Give the data set's own folder.")
    files.sort(key=lambda path: path.parts)
    left_out.sort(key=lambda one: one.what)
    return Listing(root, tuple(files), tuple(left_out), tuple(sorted(empty)))


def _bounds(root: Path) -> Path:
    """The folder that links may lead to: `root`, or the hub's cache of one data set where `root` is its snapshot."""
    real = root.resolve()
    return real.parents[1] if real.parent.name == "snapshots" and (real.parents[1] / "blobs").is_dir() else real


def _entries(root: Path, folder: PurePath) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(root / folder) as entries:
            return list(entries)
    except OSError as error:
        raise DataError(f"the folder {str(root / folder)!r} cannot be read: {error.strerror or error}.") from error


def _followed(root: Path, path: PurePath, bounds: Path) -> PurePath:
    """`path` itself, a link that leads to a regular file within `bounds`."""
    try:
        target = Path(os.path.realpath(root / path, strict=True))
    except OSError as error:
        raise DataError(
            f"{str(root / path)!r} is a link that cannot be followed: {error.strerror or error}. Take it out."
        ) from error
    if not target.is_relative_to(bounds) or not target.is_file():
        what = "leads out of it" if not target.is_relative_to(bounds) else "does not lead to a regular file"
        raise DataError(
            f"{str(root / path)!r} is a link, and only links to files in the data set's folder are followed; this one "
            f"{what}. Put the files themselves there."
        )
    return path
