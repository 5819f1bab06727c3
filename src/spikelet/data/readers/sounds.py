"""Sounds that lie as pictures do, <class>/<sound>.wav or <split>/<class>/<sound>.wav, in a folder or a zip.

    x[t, b, 0, 0] = frame t of the front end (base/logmel.py), band b        uint8 [N, T, bands, 1, 1], time first

A sound is brought to the front end's rate and cut to T hops about its middle, or laid into the middle of silence: so it
is what a device hears that listens for as long.
"""

from __future__ import annotations

import zipfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path, PurePath, PurePosixPath

import numpy as np
import torch

from spikelet.base.errors import DataError
from spikelet.base.heard import heard
from spikelet.base.logmel import LogMel
from spikelet.base.regular import read_regular
from spikelet.base.sound import ENDINGS, MAX_FILE_BYTES
from spikelet.data.readers.layout import laid_out
from spikelet.data.readers.listing import Listing
from spikelet.data.readers.reader import Request
from spikelet.data.readers.room import room_for
from spikelet.data.readers.zips import member_bytes, open_zip, require_readable
from spikelet.data.reading import LeftOut, Reading
from spikelet.data.samples import DataSplits, Samples

Read = Callable[[PurePath], tuple[str, bytes]]  # a sound's name in errors, and its bytes


def is_sound(path: PurePath) -> bool:
    """Whether a file is a sound by its name, and not hidden."""
    return path.suffix.casefold() in ENDINGS and not any(_is_hidden(part) for part in path.parts)


def _is_hidden(part: str) -> bool:
    return part.startswith((".", "__MACOSX")) and part != ".."


def front_end(request: Request) -> LogMel:
    """The front end that was asked for.

    Raises:
        DataError: no time steps were given.
        SpikeletError: a number of it is out of its range.
    """
    if request.time_steps is None:
        raise DataError(
            f"{request.name} is sound, and needs time_steps, the frames that are heard of each: time_steps=40, say."
        )
    return LogMel.of(request.sound or {}, "sound")


def read_sounds(listing: Listing, request: Request) -> DataSplits:
    """The sounds of a folder as a data set; the names of the classes, in their order, are its labels.

    Raises:
        DataError: the layout is not one of the two, no time steps were given, or a file is damaged; names it.
    """
    sounds = [path for path in listing.files if is_sound(path)]
    others = [LeftOut(path.as_posix(), "no sound") for path in listing.files if not is_sound(path)]

    def read(path: PurePath) -> tuple[str, bytes]:
        where = listing.root / path
        return repr(str(where)), read_regular(where, MAX_FILE_BYTES)

    return _laid_out(sounds, (*listing.left_out, *others), str(listing.root), read, request)


def sounds_in_zip(path: Path) -> list[zipfile.ZipInfo]:
    """The members of a zip that are sounds, in the order of their names.

    Raises:
        DataError: the zip is damaged, or such a member is encrypted, too long, or has a name that leads out of it.
    """
    with open_zip(path) as archive:
        found = sorted((i for i in archive.infolist() if is_sound(PurePosixPath(i.filename))), key=lambda i: i.filename)
    for info in found:
        where, name = f"{path}: {info.filename[:300]!r}", PurePosixPath(info.filename)
        if name.is_absolute() or ".." in name.parts or "\\" in info.filename:
            raise DataError(f"{where} is no name in a zip of sounds; <class>/<sound>.wav was expected. Pack it anew.")
        require_readable(info, where)
        if info.file_size > MAX_FILE_BYTES:
            raise DataError(f"{where} has {info.file_size} bytes, more than the {MAX_FILE_BYTES} read of a sound.")
    if len({info.filename for info in found}) < len(found):
        raise DataError(f"{path} has a name that stands in it twice. Pack it anew.")
    return found


def read_zip_of_sounds(path: Path, request: Request) -> DataSplits:
    """The sounds of a zip as a data set, as `read_sounds` makes it of a folder."""
    members: dict[PurePath, zipfile.ZipInfo] = {PurePosixPath(info.filename): info for info in sounds_in_zip(path)}
    with open_zip(path) as archive:
        others = [i.filename for i in archive.infolist() if not i.is_dir() and PurePosixPath(i.filename) not in members]

        def read(sound: PurePath) -> tuple[str, bytes]:
            name = f"{path}: {sound.as_posix()!r}"
            return name, member_bytes(archive, members[sound], name)

        return _laid_out(list(members), tuple(LeftOut(o, "no sound") for o in others), str(path), read, request)


def frames_of(sounds: Iterable[tuple[str, bytes]], count: int, hears: LogMel, request: Request) -> np.ndarray:
    """The frames of `count` WAV files, uint8 [count, T, bands, 1, 1].

    Raises:
        DataError: a file is damaged, or they take too much memory.
    """
    steps = request.time_steps or 0
    x = room_for((count, steps, hears.bands, 1, 1), f"{request.name} in {steps} frames")
    for k, (name, data) in enumerate(sounds):
        x[k, :, :, 0, 0] = heard(data, name, hears, steps).frames
    return x


def note_of(hears: LogMel, steps: int) -> str:
    """What to say beside a figure."""
    seconds = steps * hears.hop / hears.rate
    return f"{steps} frames of {hears.bands} log-mels, {seconds:.2g} s at {hears.rate} Hz"


def _laid_out(
    sounds: Sequence[PurePath], left_out: tuple[LeftOut, ...], where: str, read: Read, request: Request
) -> DataSplits:
    hears = front_end(request)
    require_no_other_form(request, "image_size", "columns", "held_out")
    layout = laid_out(sounds, where)
    names = tuple(sorted({name for entries in layout.values() for name, _ in entries}))
    number = {name: k for k, name in enumerate(names)}
    parts: dict[str, Samples] = {}
    for split, entries in layout.items():
        x = frames_of((read(path) for _, path in entries), len(entries), hears, request)
        y = torch.tensor([number[name] for name, _ in entries], dtype=torch.int64)
        parts[split] = Samples(torch.from_numpy(x), y, names, request.name, note_of(hears, request.time_steps or 0))
    counts = tuple((s, tuple(torch.bincount(p.y, minlength=len(names)).tolist())) for s, p in parts.items())
    empty = next(iter(parts.values())).subset(torch.arange(0))
    reading = Reading(request.name, len(sounds) + len(left_out), names, counts, left_out)
    three = (parts.get(split, empty) for split in ("train", "validation", "test"))
    return DataSplits(*three, reading=reading)


def require_no_other_form(request: Request, *names: str) -> None:
    """Raises DataError where one of these fields of a request was given, which says nothing about sounds."""
    for name in names:
        if (value := getattr(request, name)) is not None:
            raise DataError(f"{name}={value!r} says nothing about the sounds of {request.name}. Leave it out.")
