"""Regular files, opened without waiting and only below a stated size.

A FIFO or a terminal would wait for a writer, a device has no end, and a sparse file takes no room until it is read.
So what a file is and how long it is are looked at before its first byte is read.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import BinaryIO

from spikelet.base.errors import FileRefused

_KINDS = {
    stat.S_IFDIR: "a folder",
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
}


def open_regular(path: Path, max_bytes: int) -> BinaryIO:
    """A regular file of at most `max_bytes`, open for reading.

    Raises:
        FileNotFoundError, PermissionError: no such file, or it may not be read.
        FileRefused: a folder, a FIFO, a socket or a device, or a longer file.
    """
    _check(path, path.stat(), max_bytes)
    file = os.fdopen(os.open(path, os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)), "rb")
    try:
        _check(path, os.fstat(file.fileno()), max_bytes)  # what is open now, not what was there a moment ago
    except BaseException:
        file.close()
        raise
    return file


def read_regular(path: Path, max_bytes: int) -> bytes:
    """The bytes of a regular file of at most `max_bytes`, in memory of its length.

    Raises what `open_regular` does, and FileRefused where the file grew meanwhile.
    """
    with open_regular(path, max_bytes) as file:
        size = os.fstat(file.fileno()).st_size
        data = file.read(size + 1)  # asks for as much memory first, so not for `max_bytes`
    if len(data) > size:
        raise FileRefused(f"{path} grew past {size} bytes while it was read. Try again once it is whole.")
    return data


def _check(path: Path, status: os.stat_result, max_bytes: int) -> None:
    kind = stat.S_IFMT(status.st_mode)
    if kind != stat.S_IFREG:
        raise FileRefused(f"{path} is {_KINDS.get(kind, 'no regular file')}; give a regular file.")
    if status.st_size > max_bytes:
        raise FileRefused(f"{path} has {status.st_size} bytes, more than the {max_bytes} that are read of such a file.")
