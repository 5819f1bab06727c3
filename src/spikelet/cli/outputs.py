"""Files that a command writes: looked at before the work, and never dearer than the work.

What was asked for by --out must be writable before anything begins, and must not be a file that the command reads. A
side file, such as a run's result.json, that can't be written costs a warning, and what was measured is printed before.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from spikelet.cli.printing import warn

FILES_OF_A_RUN = ("config.json", "checkpoint.pt", "metrics.jsonl", "run.json", "weights.safetensors", "result.json")


def require_file(path: Path, read: Sequence[Path], option: str = "--out") -> None:
    """Raises ValueError unless `path` can be written: it is a regular file or none yet, its folder is there and open to
    us, and it is neither among `read`, the files and run folders that the command reads, nor a file of such a run."""
    if path.is_dir():
        raise ValueError(f"{option} must be a file, and {path} is a folder. Name a file in it.")
    if path.exists() and not path.is_file():
        raise ValueError(f"{option} must be a regular file, and {path} is a device or the like. Name another file.")
    if any(_is_one(path, place) for place in read):
        raise ValueError(f"{option}: {path} is a file that this command reads, and would be lost. Name another file.")
    if not path.parent.is_dir():
        raise ValueError(f"{option}: there is no folder {path.parent} for {path.name}. Make it first.")
    _require_open(path.parent, option)


def _is_one(path: Path, place: Path) -> bool:
    files = [place / name for name in FILES_OF_A_RUN] if place.is_dir() else [place]
    return path.exists() and any(file.exists() and path.samefile(file) for file in files)


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
