"""Zips, read in place: none of their names touches the file system.

Before a zip is opened its end says how long the list of its members is, and before a member is unpacked the list says
how long it is: both have a limit, the second by whoever reads.
"""

from __future__ import annotations

import contextlib
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from spikelet.base.errors import DataError
from spikelet.base.regular import open_regular

MAX_ZIP_BYTES = 4 << 30  # N-MNIST's published zip of the training set has 1 GiB
MAX_LIST_BYTES = 16 << 20  # the list of its 60,000 members has 5 MiB
_TAIL_BYTES = 22 + 65535  # the last record of a zip, with its comment
_STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@contextlib.contextmanager
def open_zip(path: Path) -> Iterator[zipfile.ZipFile]:
    """A zip, open for reading.

    Raises:
        FileRefused: not a regular file, or too large.
        DataError: it is damaged, or its list of members is too long.
    """
    with open_regular(path, MAX_ZIP_BYTES) as file:
        _check_list(file, path)
        try:
            archive = zipfile.ZipFile(file)
        except Exception as error:  # zipfile lets through whatever its parts raise
            raise DataError(f"{path} is damaged ({_reason(error)}). Fetch it again.") from error
        with archive:
            yield archive


def require_readable(member: zipfile.ZipInfo, name: str) -> None:
    """Raises DataError where a member is encrypted, or packed by another method than the two usual ones."""
    if member.flag_bits & 1:
        raise DataError(f"{name} is encrypted. Unpack it yourself, and give the folder.")
    if member.compress_type not in _STORED_OR_DEFLATED:
        raise DataError(f"{name} is packed by method {member.compress_type}; stored and deflated ones are read.")


def member_bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bytes:
    """The bytes of a member, whose length was looked at before; `name` is what errors call it.

    Raises:
        DataError: it is damaged.
    """
    try:
        return archive.read(member)
    except Exception as error:  # zipfile lets through whatever its parts raise
        raise DataError(f"{name} is damaged ({_reason(error)}). Fetch it again.") from error


def _check_list(file: BinaryIO, path: Path) -> None:
    """Refuses a long list of members, each of which would take half a kilobyte of memory."""
    end = file.seek(0, 2)
    file.seek(max(0, end - _TAIL_BYTES))
    tail = file.read()
    at = tail.rfind(b"PK\5\6")
    size = struct.unpack_from("<I", tail, at + 12)[0] if 0 <= at <= len(tail) - 22 else 0
    if size > MAX_LIST_BYTES:
        raise DataError(f"{path} is damaged, or no such set: its list of members has {size} bytes. Fetch it again.")
    file.seek(0)


def _reason(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:120]
