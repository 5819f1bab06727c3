"""Files that a command writes: looked at before the work, and never dearer than the work.

What was asked for by --out must be writable before anything begins. A side file, such as a run's result.json, that
can't be written costs a warning, and what was measured is printed before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from spikelet.cli.printing import warn


def require_file(path: Path, option: str = "--out") -> None:
    """Raises ValueError unless `path` can be written: it is no folder, and its own is there and open to us."""
    if path.is_dir():
        raise ValueError(f"{option} must be a file, and {path} is a folder. Name a file in it.")
    if not path.parent.is_dir():
        raise ValueError(f"{option}: there is no folder {path.parent} for {path.name}. Make it first.")
    _require_open(path.parent, option)


def require_folder(path: Path, option: str = "--out") -> None:
    """Raises ValueError unless a folder `path` is there, or can be made, and files can be written into it."""
    there = next(place for place in (path, *path.absolute().parents) if place.exists() or place.is_symlink())
    if not there.is_dir():
        raise ValueError(f"{option} must be a folder, and {there} is something else.")
    _require_open(there, option)


def _require_open(folder: Path, option: str) -> None:
    if not os.access(folder, os.W_OK | os.X_OK):
        raise ValueError(f"{option}: nothing can be written into {folder}. Choose another place, or change its mode.")


@contextlib.contextmanager
def side_file(path: Path) -> Iterator[None]:
    """A block that writes `path`, whose failure is a warning."""
    try:
        yield
    except OSError as error:
        warn(f"{path} was not written ({error.strerror or error}).")
