"""Files that are either the old one or the new one, whatever happens in between.

    temporary file beside the target -> write -> flush -> fsync -> rename over the target -> fsync of the folder

A process killed at any point leaves the target whole; its temporary file is removed by a later write
of the same target. An exception removes the temporary file at once.

A replaced file keeps its mode (0400 stays 0400); a new one has what the umask leaves. Owner, access lists and other
hard links are not carried over. A link is followed: the file that it points to is replaced, the link stays.
"""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from spikelet.base.errors import IsAFolder
from spikelet.base.paths import path_of

STALE_AFTER_S = 3600.0
_SUFFIX = ".spikelet-tmp"
_NO_SYNC = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP}  # of a mount that can't


@contextlib.contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A binary file to write to; it becomes `path` when the block ends without an exception.

    Example:
        with atomic_write("model.safetensors") as file:
            file.write(data)
    Raises:
        OSError: the folder is missing or read-only, the disk is full, or `path` is a folder or a device; names `path`,
            which is then what it was before.
    """
    given = path_of(path, "path")
    with _named(path):
        target = Path(os.path.realpath(given))
        mode = _mode(target, path)
        _remove_stale(target)
        temporary = target.with_name(f"{_prefix(target)}{secrets.token_hex(6)}{_SUFFIX}")
        # O_EXCL: never follow a link or reuse a file; mode 0666 lets the user's umask decide
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
        descriptor = os.open(temporary, flags, 0o666 if mode is None else 0o600)
    try:
        with _named(path, temporary), os.fdopen(descriptor, "wb") as file:
            if mode is not None and stat.S_IMODE(os.fstat(descriptor).st_mode) != mode:
                temporary.chmod(mode)
            yield file
            file.flush()
            _sync(file.fileno())
        with _named(path):
            temporary.replace(target)
    except BaseException:
        with contextlib.suppress(OSError):  # what is raised already says more
            temporary.unlink()
        raise
    _sync_folder(target.parent)


@contextlib.contextmanager
def _named(path: str | os.PathLike[str], temporary: Path | None = None) -> Iterator[None]:
    """Lets an OSError inside name `path`: any, or with a `temporary` file one that names that or nothing."""
    try:
        yield
    except OSError as error:
        if error.errno is None or (temporary is not None and error.filename not in (None, str(temporary))):
            raise
        raise OSError(error.errno, error.strerror, os.fspath(path)) from error


def _mode(target: Path, path: str | os.PathLike[str]) -> int | None:
    """The permissions of the file that will be replaced; None where it does not exist yet."""
    try:
        status = target.stat()
    except FileNotFoundError:
        return None
    if not stat.S_ISREG(status.st_mode):
        raise IsAFolder(f"path must be a regular file or not exist yet, got {os.fspath(path)!r}.")
    return stat.S_IMODE(status.st_mode)


def _prefix(target: Path) -> str:
    return f".{target.name[:40]}."


def _remove_stale(target: Path) -> None:
    """Removes what killed processes left behind: temporary files of `target` untouched for an hour, as far as it may.

    Raises:
        OSError: the folder is missing.
    """
    oldest = time.time() - STALE_AFTER_S
    with contextlib.suppress(PermissionError), os.scandir(target.parent) as entries:
        for entry in entries:
            if entry.name.startswith(_prefix(target)) and entry.name.endswith(_SUFFIX):
                with contextlib.suppress(OSError):  # removed by another process, or another user's
                    if entry.stat().st_mtime < oldest:
                        Path(entry).unlink()


def _sync(descriptor: int) -> None:
    """Makes what was written durable, where the mount can."""
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno not in _NO_SYNC:
            raise


def _sync_folder(folder: Path) -> None:
    """Makes the rename itself durable, as far as the mount and the folder's permissions let it: the new file is in
    place. (Windows can't open a folder and needs no such call.)"""
    if os.name != "posix":
        return
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
