"""The Free Spoken Digit Dataset: 3,000 recordings of ten digits by six speakers at 8 kHz.

    {digit}_{speaker}_{index}.wav     in root=, in its folder recordings, or in root's recordings.zip, read in place
    test                              the indices 0 .. 4 of each digit and speaker, as the data set's authors say; or,
                                      with held_out="theo", all of that speaker, who is in no other split

Whatever recordings are there are read, in the order of their names: a partial set will do. Frames: sounds.py.
Source: Jackson et al., Jakobovski/free-spoken-digit-dataset, doi:10.5281/zenodo.1342401; CC BY-SA 4.0.
"""

from __future__ import annotations

import contextlib
import dataclasses
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path, PurePosixPath

import torch

from spikelet.base.errors import DataError, NoSuchFile
from spikelet.base.logmel import LogMel
from spikelet.base.regular import read_regular
from spikelet.base.sound import MAX_FILE_BYTES
from spikelet.data.readers.reader import Request
from spikelet.data.readers.sounds import frames_of, front_end, note_of, require_no_other_form, sounds_in_zip
from spikelet.data.readers.zips import member_bytes, open_zip
from spikelet.data.samples import DataSplits, Samples

TEST_INDICES = 5
DIGITS = tuple("0123456789")
PACKED = "recordings.zip"
_NAME = re.compile(r"([0-9])_([a-z]+)_([0-9]+)\.wav")


@dataclasses.dataclass(frozen=True)
class Spoken:
    """A recording: its name in errors, which digit, by whom, its number among those, and how to read its bytes."""

    name: str
    digit: int
    speaker: str
    index: int
    read: Callable[[], bytes]


def read(request: Request) -> DataSplits:
    """Training and test recordings as frames, uint8 [N, T, bands, 1, 1]; no validation part.

    Raises:
        NoSuchFile: no recording is there.
        DataError: no time steps were given, a file is damaged, or nobody is called `held_out`.
    """
    hears, root = front_end(request), request.folder()
    require_no_other_form(request, "image_size", "columns")
    with _recordings(root) as found:
        if not found:
            raise NoSuchFile(f"{root} has no recordings: {PACKED}, or 0_jackson_0.wav and so on, was expected.")
        speakers = sorted({one.speaker for one in found})
        if request.held_out not in (None, *speakers):
            raise DataError(f"held_out must be one of {', '.join(speakers)}, or None; got {request.held_out!r}.")
        tested = [_is_tested(one, request.held_out) for one in found]
        test = _samples([one for one, is_test in zip(found, tested, strict=True) if is_test], hears, request)
        train = _samples([one for one, is_test in zip(found, tested, strict=True) if not is_test], hears, request)
    return DataSplits(train, train.subset(torch.arange(0)), test)


def _is_tested(one: Spoken, held_out: str | None) -> bool:
    return one.index < TEST_INDICES if held_out is None else one.speaker == held_out


def _samples(found: Sequence[Spoken], hears: LogMel, request: Request) -> Samples:
    x = frames_of(((one.name, one.read()) for one in found), len(found), hears, request)
    y = torch.tensor([one.digit for one in found], dtype=torch.int64)
    note = note_of(hears, request.time_steps or 0)
    return Samples(
        torch.from_numpy(x), y, DIGITS, "fsdd", f"{note}; without {request.held_out}" if request.held_out else note
    )


@contextlib.contextmanager
def _recordings(root: Path) -> Iterator[Sequence[Spoken]]:
    """The recordings of a folder or of the zip in it, in the order of their names; read while the block lasts."""
    packed = root / PACKED
    if packed.is_file():
        members = sounds_in_zip(packed)
        with open_zip(packed) as archive:
            places = [(info.filename, f"{packed}: {info.filename!r}", info) for info in members]
            yield _spoken([(f, n, lambda n=n, i=i: member_bytes(archive, i, n)) for f, n, i in places])
        return
    folder = root / "recordings" if (root / "recordings").is_dir() else root
    files = sorted(folder.glob("*.wav"))
    yield _spoken([(path.name, str(path), lambda path=path: read_regular(path, MAX_FILE_BYTES)) for path in files])


def _spoken(files: Sequence[tuple[str, str, Callable[[], bytes]]]) -> list[Spoken]:
    """The recordings among files (path, name in errors, how to read it): those whose name says what they are."""
    found = []
    for path, name, read_bytes in files:
        match = _NAME.fullmatch(PurePosixPath(path).name)
        if match is not None:
            found.append(Spoken(name, int(match[1]), match[2], int(match[3]), read_bytes))
    return found
