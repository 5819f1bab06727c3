"""The two values that readers of data sets work with: a request, and a line of the table of readers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from spikelet.base.errors import NoSuchFile
from spikelet.base.ground import WHITE, Ground
from spikelet.data.samples import DataSplits


@dataclasses.dataclass(frozen=True)
class Request:
    """The arguments of `load`, for a reader.

    name: of the data set, for errors and reports.
    about: what the table of readers says of it.
    root: the folder it lies in, or None.
    time_steps, slicing: how recordings of events are cut into frames.
    image_size: side in pixels, or None.
    columns: names of the image and of the label column, or None.
    ground: what transparent pixels of pictures are laid on.
    sound: the numbers of the front end that hears sounds (base/logmel.py), or None for its own.
    held_out: the speaker that is the test set, or None.
    """

    name: str
    about: str = ""
    root: Path | None = None
    time_steps: int | None = None
    slicing: str = "duration"
    image_size: int | None = None
    columns: tuple[str, str] | None = None
    ground: Ground = WHITE
    sound: Mapping[str, Any] | None = None
    held_out: str | None = None

    def folder(self, usual: Path | None = None) -> Path:
        """The folder that the data set lies in, `usual` unless a root was given.

        Raises:
            NoSuchFile: no folder was given, or it is not there.
        """
        place = usual if self.root is None else self.root
        found = None if place is None else folder_at(place)
        if found is None:
            where = f"is not at {str(place)[:200]!r}: that folder does not exist, or may not be looked into"
            if place is None:
                where = "needs root=, the folder it lies in"
            raise NoSuchFile(f"{self.name} {where}. ({self.name}: {self.about}.)")
        return found


def folder_at(place: Path) -> Path | None:
    """The folder at `place`, whose ~ is expanded; None where none can be found."""
    try:
        found = place.expanduser()
        return found if found.is_dir() else None
    except (OSError, RuntimeError, ValueError):  # a name too long, the ~ of an unknown user, a NUL
        return None


def file_at(place: Path) -> Path | None:
    """The regular file at `place`, whose ~ is expanded; None where none can be found."""
    try:
        found = place.expanduser()
        return found if found.is_file() else None
    except (OSError, RuntimeError, ValueError):
        return None


@dataclasses.dataclass(frozen=True)
class Reader:
    """One line of the table of readers: a data set.

    about: where it comes from, in one line.
    read: makes training, validation and test set from a request; a part that the source lacks is empty.
    is_in: whether a folder that was given by its path holds such a data set; None for one that is asked for by name.
    """

    about: str
    read: Callable[[Request], DataSplits]
    is_in: Callable[[Path], bool] | None = None
