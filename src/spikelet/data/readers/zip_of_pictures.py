"""A zip of pictures: <class>/<picture> or <split>/<class>/<picture> in it, as layout.py says of a folder.

One folder around all of them, which packing a folder makes, is passed over. What ends otherwise than pictures do, and
what is hidden, is left out by name; what would hide pictures or labels is refused, as in a folder. Names are names of
members and never paths of this machine.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath, PurePosixPath

from spikelet.base.errors import DataError, NoSuchFile
from spikelet.base.picture import MAX_FILE_BYTES, endings
from spikelet.data.readers.encoded import Encoded
from spikelet.data.readers.pictures import Found, of_layout, require_plain
from spikelet.data.readers.reader import Request
from spikelet.data.readers.splits import split_named
from spikelet.data.readers.zips import member_bytes, open_zip, require_readable
from spikelet.data.reading import LeftOut
from spikelet.data.samples import DataSplits

Members = dict[PurePosixPath, zipfile.ZipInfo]
_PACKER = "__MACOSX"  # what one packer adds for itself


def read_zip(path: Path, request: Request) -> DataSplits:
    """The pictures of a zip as a data set; the names of the classes, in their order, are its labels.

    Raises:
        NoSuchFile: no picture lies in it.
        DataError: it is damaged, a name leads out of it or stands twice, a member is encrypted or too long, or the
            layout is not one of the two.
        SpikeletError: a picture is damaged, of another size, or there are too many to be held in memory.
    """
    with open_zip(path) as archive:
        members, left_out = _sorted_out(archive.infolist(), path)
    if not members:
        raise NoSuchFile(
            f"no image data set could be read from {str(path)!r}: it holds no picture. (Pack a folder of pictures, "
            "<class>/<picture> or <split>/<class>/<picture>.)"
        )
    bare = _without_one_folder(list(members))
    named: dict[PurePath, zipfile.ZipInfo] = dict(zip(bare, members.values(), strict=True))

    def encoded(pictures: Sequence[PurePath]) -> Encoded:
        return Encoded(len(pictures), lambda: _read(path, [named[one] for one in pictures]))

    return of_layout(bare, Found(str(path), len(members) + len(left_out), left_out), encoded, request)


def holds_pictures(path: Path) -> bool:
    """Whether a zip has a member that is a picture by its name.

    Raises:
        DataError: it is damaged.
    """
    ends = endings()
    with open_zip(path) as archive:
        return any(PurePosixPath(name).suffix.casefold() in ends for name in archive.namelist())


def _sorted_out(infos: Sequence[zipfile.ZipInfo], path: Path) -> tuple[Members, tuple[LeftOut, ...]]:
    """The members that are pictures, in the order of their names, and the others."""
    ends, members, left_out = endings(), Members(), []
    for info in sorted((info for info in infos if not info.is_dir()), key=lambda info: info.filename):
        name = PurePosixPath(info.filename)
        where = f"{path}: {info.filename[:300]!r}"
        if name.is_absolute() or ".." in name.parts or "\\" in info.filename:
            raise DataError(f"{where} is no name in a zip of pictures; <class>/<picture> was expected. Pack it anew.")
        if any(part.startswith(".") or part == _PACKER for part in name.parts):
            left_out.append(LeftOut(info.filename, "hidden"))
            continue
        require_plain(name, where)
        if name.suffix.casefold() not in ends:
            left_out.append(LeftOut(info.filename, "not a picture of a kind that is read here"))
        else:
            _require_usable(info, name in members, where)
            members[name] = info
    return members, tuple(left_out)


def _require_usable(info: zipfile.ZipInfo, is_there: bool, where: str) -> None:
    if is_there:
        raise DataError(f"{where} stands in it twice. Pack it anew.")
    require_readable(info, where)
    if info.file_size > MAX_FILE_BYTES:
        raise DataError(
            f"{where} has {info.file_size} bytes, more than the {MAX_FILE_BYTES} that are read of a picture."
        )


def _without_one_folder(names: Sequence[PurePosixPath]) -> list[PurePosixPath]:
    """The names without the folder that holds all of them, where that is neither a split nor the only class."""
    tops = {name.parts[0] for name in names}
    if len(tops) > 1 or split_named(names[0].parts[0]) or min(len(name.parts) for name in names) < 3:
        return list(names)
    return [PurePosixPath(*name.parts[1:]) for name in names]


def _read(path: Path, members: Sequence[zipfile.ZipInfo]) -> Iterator[tuple[str, bytes]]:
    with open_zip(path) as archive:
        for member in members:
            name = f"{path}: {member.filename!r}"
            yield name, member_bytes(archive, member, name)
