"""Files that are either the old one or the new one, whatever happens in between.

    temporary file beside the target -> write -> flush -> fsync -> rename over the target -> fsync of the folder

A process killed at any point leaves the target whole; its temporary file is removed by a later write
of the same target. An exception removes the temporary file at once.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

STALE_AFTER_S = 3600.0
_SUFFIX = ".spikelet-tmp"


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write to; it becomes `path` when the block ends without an exception.

    Example:
        with atomic_write("model.safetensors") as file:
            file.write(data)
    Raises:
        OSError: the folder is missing or read-only, the disk is full, or `path` is a folder or a device.
            `path` is then what it was before.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise IsADirectoryError(f"path must be a regular file or not exist yet, got {os.fspath(path)!r}.")
    _remove_stale(target)
    temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(6)}{_SUFFIX}")
    # O_EXCL: never follow a link or reuse a file; mode 0666 lets the user's umask decide
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_folder(target.parent)


def _prefix(target: Path) -> str:
    return f".{target.name[:40]}."


def _remove_stale(target: Path) -> None:
    """Removes what killed processes left behind: temporary files of `target` untouched for an hour."""
    oldest = time.time() - STALE_AFTER_S
    with os.scandir(target.parent) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix(target)) and entry.name.endswith(_SUFFIX):
                with contextlib.suppress(FileNotFoundError):  # another process may have removed it
                    if entry.stat().st_mtime < oldest:
                        Path(entry).unlink()


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable. (Windows can't open a folder and needs no such call.)"""
    if os.name != "posix":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
