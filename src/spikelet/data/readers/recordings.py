"""The recordings of one part of N-MNIST, from an unpacked folder or from its zip.

    root/{Train,Test}/<digit>/<number>.bin        or root/{train,test}.zip holding that          any capitals

Zips are read in place (zips.py). Before a member is unpacked its zip's list says how long it is, which has a limit.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
import warnings
import zipfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from spikelet.base.errors import DataError, DataWarning, SpikeletError
from spikelet.base.regular import read_regular
from spikelet.data.readers.zips import member_bytes, open_zip, require_readable

EVENT_BYTES = 5
MAX_BYTES = 4 << 20  # of a recording; the longest published one has less than 100 kB
_PLACE = re.compile(r"(train|test)/([0-9])/[0-9]+\.bin", re.I)


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
    require_readable(member, name)
    check_size(name, member.file_size)
    return Recording(name, int(match[2]), lambda: _checked(name, member_bytes(archive, member, name)))


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


def _warn_of(names: Sequence[str], source: Path) -> None:
    if names:
        shown = ", ".join(repr(name[:60]) for name in names[:3])
        more = f" and {len(names) - 3} more" if len(names) > 3 else ""
        text = f"{source}: {shown}{more} left out, not recordings by their place <digit>/<number>.bin."
        warnings.warn(text, DataWarning, stacklevel=2)
