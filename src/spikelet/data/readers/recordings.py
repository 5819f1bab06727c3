"""The recordings of one part of N-MNIST, from an unpacked folder or from its zip.

    root/{Train,Test}/<digit>/<number>.bin        or root/{train,test}.zip holding that          any capitals

Zips are read in place; none of their names touches the file system. Before a zip is opened its end says how long the
list of its members is, and before a member is unpacked the list says how long it is: both have a limit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import struct
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

from spikelet.base.errors import DataError, DataWarning, SpikeletError
from spikelet.base.regular import open_regular, read_regular

EVENT_BYTES = 5
MAX_BYTES = 4 << 20  # of a recording; the longest published one has less than 100 kB
MAX_ZIP_BYTES = 4 << 30  # the published zip of the training set has 1 GiB
MAX_LIST_BYTES = 16 << 20  # the list of its 60,000 members has 5 MiB
_TAIL_BYTES = 22 + 65535  # the last record of a zip, with its comment
_PLACE = re.compile(r"(train|test)/([0-9])/[0-9]+\.bin", re.I)
_STORED_OR_DEFLATED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)


@dataclasses.dataclass(frozen=True)
class Recording:
    """One recording: its name in errors, its digit, and how to read its bytes."""

    name: str
    digit: int
    read: Callable[[], bytes]


@contextlib.contextmanager
def recordings_in(source: Path, part: str) -> Iterator[Sequence[Recording]]:
    """The recordings of `part`, "Train" or "Test", in the order of their names; they are read while the block lasts.

    Raises:
        DataError: a zip is damaged or holds a name that it should not, or a recording has no possible length.
    Warns:
        DataWarning: names what lies there and is no recording.
    """
    if source.is_dir():
        yield _unpacked(source)
        return
    with open_zip(source) as archive:
        yield _packed(archive, source, part)


def source_of(root: Path, part: str) -> Path | None:
    """The unpacked folder of `part` if there is one with recordings, else its zip, else None.

    Raises:
        DataError: two folders or two zips differ in capitals only.
    """
    unpacked, packed = _only(root, part), _only(root, f"{part}.zip")
    if unpacked is not None and unpacked.is_dir() and next(_digits(unpacked), None) is not None:
        return unpacked
    return packed if packed is not None and packed.is_file() and _may_hold_recordings(packed) else None


def _only(root: Path, name: str) -> Path | None:
    """The entry of `root` of that name, whatever its capitals."""
    found = sorted(path for path in root.iterdir() if path.name.lower() == name.lower())
    if len(found) > 1:
        raise DataError(f"{root} has both {found[0].name} and {found[1].name}. Keep one of them.")
    return found[0] if found else None


def _digits(folder: Path) -> Iterator[Path]:
    return folder.glob("[0-9]/*.bin")


def _may_hold_recordings(packed: Path) -> bool:
    """Whether a zip holds a recording, or can't be read, which reading will say."""
    try:
        with open_zip(packed) as archive:
            return any(name.endswith(".bin") for name in archive.namelist())
    except SpikeletError:
        return True


def _unpacked(source: Path) -> list[Recording]:
    found = sorted(_digits(source), key=lambda path: path.parts[-2:])
    known = {*found, *(path.parent for path in found)}
    _warn_of([str(path.relative_to(source)) for path in sorted(source.rglob("*")) if path not in known], source)
    home = source.resolve()
    return [Recording(str(path), int(path.parent.name), lambda path=path: _whole(path, home)) for path in found]


def _whole(path: Path, home: Path) -> bytes:
    if not path.resolve().is_relative_to(home):
        raise DataError(f"{path} is a link to a file outside {home}. Put the file itself there.")
    check_size(str(path), path.stat().st_size)
    return _checked(str(path), read_regular(path, MAX_BYTES))


def _packed(archive: zipfile.ZipFile, source: Path, part: str) -> list[Recording]:
    members = sorted(archive.infolist(), key=lambda member: member.filename)
    strange = [member.filename for member in members if not member.filename.endswith((".bin", "/"))]
    found = [member for member in members if member.filename.endswith(".bin")]
    recordings = [_member(archive, member, f"{source}: {member.filename}", part) for member in found]
    _warn_of(strange, source)
    return recordings


def _member(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str, part: str) -> Recording:
    match = _PLACE.fullmatch(member.filename)
    if match is None or match[1].lower() != part.lower():
        raise DataError(f"{name[:300]} is not a recording's name; {part}/<digit>/<number>.bin was expected.")
    if member.flag_bits & 1:
        raise DataError(f"{name} is encrypted. Unpack it yourself, and give the folder.")
    if member.compress_type not in _STORED_OR_DEFLATED:
        raise DataError(f"{name} is packed by method {member.compress_type}; stored and deflated ones are read.")
    check_size(name, member.file_size)
    return Recording(name, int(match[2]), lambda: _checked(name, _member_bytes(archive, member, name)))


def _member_bytes(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> bytes:
    try:
        return archive.read(member)
    except Exception as error:  # zipfile lets through whatever its parts raise
        raise DataError(f"{name} is damaged ({_reason(error)}). Fetch it again.") from error


def check_size(name: str, size: int) -> None:
    """Raises DataError unless a recording may have `size` bytes."""
    if size == 0 or size % EVENT_BYTES or size > MAX_BYTES:
        raise DataError(
            f"{name} has {size} bytes; a recording is a whole number of {EVENT_BYTES}-byte events, at least one and "
            f"at most {MAX_BYTES} bytes. Fetch it again."
        )


def _checked(name: str, data: bytes) -> bytes:
    check_size(name, len(data))
    return data


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


def _warn_of(names: Sequence[str], source: Path) -> None:
    if names:
        shown = ", ".join(repr(name[:60]) for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        text = f"{source}: {shown}{more} left out, not recordings by their place <digit>/<number>.bin."
        warnings.warn(text, DataWarning, stacklevel=2)
