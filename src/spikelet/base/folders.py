"""New folders that appear whole or not at all."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from spikelet.base.errors import SpikeletError


def require_new(path: Path, what: str) -> None:
    """Raises SpikeletError unless `path`, called `what` in words, is nothing yet, or an empty folder, in a folder that
    is there."""
    if path.is_symlink() or (path.exists() and not path.is_dir()):
        raise SpikeletError(f"{what} must be a new folder, and {path} is something else. Name another.")
    if path.is_dir() and (found := sorted(entry.name for entry in path.iterdir())):
        raise SpikeletError(f"{what} must be a new or an empty folder, and {path} holds {found[0]}. Name another.")
    if not path.absolute().parent.is_dir():
        raise SpikeletError(f"{what}: there is no folder {path.parent} for {path.name}. Make it first.")
    require_open(path.absolute().parent, what)


def require_open(folder: Path, what: str) -> None:
    """Raises SpikeletError unless a file can be written into `folder`, which is tried; nothing stays there."""
    try:
        with tempfile.TemporaryFile(dir=folder):
            return
    except OSError as error:
        raise SpikeletError(
            f"{what}: nothing can be written into {folder} ({error.strerror}). Choose another place, or change its "
            "mode."
        ) from error


@contextlib.contextmanager
def new_folder(path: Path, what: str = "folder") -> Iterator[Path]:
    """A folder to write into; it becomes `path` when the block ends without an exception, and else is gone.

    Raises:
        SpikeletError: see `require_new`.
        OSError: it can't be written.
    """
    require_new(path, what)
    target = path.absolute()
    beside = target.with_name(f".{target.name[:40]}.{secrets.token_hex(6)}.spikelet-tmp")
    beside.mkdir()
    try:
        yield beside
        if target.is_dir():  # which somebody may be in, or have given a mode
            for entry in beside.iterdir():
                entry.rename(target / entry.name)
            beside.rmdir()
        else:
            beside.rename(target)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise
