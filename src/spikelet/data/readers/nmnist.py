"""N-MNIST: MNIST's digits seen by an event camera that moves, 34 x 34 pixels, two polarities, about 300 ms.

    root/{Train,Test}/<digit>/<number>.bin        or root/{train,test}.zip holding that

An event is 40 bits: column, row, polarity (1 bit, 1 = brighter) and microseconds (23 bits). tonic's reader decodes
them. Whatever recordings are there are read, in the order of their names: a partial set will do, and nothing is
ever downloaded. Zips are read in place; none of their names touches the file system.
Source: Orchard, Jayawant, Cohen and Thakor 2015, doi:10.3389/fnins.2015.00437.
"""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch

from spikelet.base.optional import need
from spikelet.data.readers.crop import crop_splits
from spikelet.data.readers.frames import SLICERS, Slicer, frames
from spikelet.data.readers.reader import Request
from spikelet.data.samples import DataSplits, Samples

SIDE = 34
_EVENT_BYTES = 5
_MAX_BYTES = 4 << 20  # the longest published recording has less than 100 kB
_RECORDING = re.compile(r"(Train|Test)/([0-9])/([0-9]+)\.bin")
_EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])


def has_nmnist_files(root: Path) -> bool:
    """Whether `root` holds a part of N-MNIST."""
    return any(_source(root, folder) for folder in ("Train", "Test"))


def _source(root: Path, folder: str) -> Path | None:
    """The unpacked folder if there is one with recordings, else the zip, else None."""
    unpacked, packed = root / folder, root / f"{folder.lower()}.zip"
    if unpacked.is_dir() and next(unpacked.glob("[0-9]/*.bin"), None):
        return unpacked
    return packed if packed.is_file() and _may_hold_recordings(packed) else None


def _may_hold_recordings(packed: Path) -> bool:
    """Whether a zip holds a recording, or is damaged, which reading will say."""
    try:
        with zipfile.ZipFile(packed) as archive:
            return any(name.endswith(".bin") for name in archive.namelist())
    except zipfile.BadZipFile:
        return True


def _unpacked(source: Path) -> Iterator[tuple[str, int, bytes]]:
    for path in sorted(source.glob("[0-9]/*.bin"), key=lambda path: path.parts[-2:]):
        _check_size(str(path), path.stat().st_size)
        yield str(path), int(path.parent.name), path.read_bytes()


def _packed(source: Path, folder: str) -> Iterator[tuple[str, int, bytes]]:
    try:
        with zipfile.ZipFile(source) as archive:
            for member in sorted(archive.infolist(), key=lambda member: member.filename):
                name = f"{source}: {member.filename}"
                if not member.filename.endswith(".bin"):
                    continue
                match = _RECORDING.fullmatch(member.filename)
                if match is None or match[1] != folder:
                    raise ValueError(f"{name} is not a recording's name; {folder}/<digit>/<number>.bin was expected.")
                _check_size(name, member.file_size)
                yield name, int(match[2]), archive.read(member)
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{source} is damaged ({error}). Fetch it again.") from error


def _check_size(name: str, size: int) -> None:
    if size == 0 or size % _EVENT_BYTES or size > _MAX_BYTES:
        raise ValueError(
            f"{name} has {size} bytes; a recording is a whole number of {_EVENT_BYTES}-byte events, at least one and "
            f"at most {_MAX_BYTES} bytes. Fetch it again."
        )


def _read_split(root: Path, folder: str, time_steps: int, slicer: Slicer) -> Samples:
    read_mnist_file = need("tonic.io", package="tonic", extra="events", what="N-MNIST").read_mnist_file
    source = _source(root, folder)
    recordings = () if source is None else _unpacked(source) if source.is_dir() else _packed(source, folder)
    x, y = [], []
    for name, digit, data in recordings:
        events = read_mnist_file(io.BytesIO(data), dtype=_EVENT, is_stream=True)
        if len(events) == 0 or events["x"].max() >= SIDE or events["y"].max() >= SIDE:
            raise ValueError(f"{name} has no event, or one outside the {SIDE} x {SIDE} pixels. Fetch it again.")
        x.append(frames(events, time_steps, slicer, SIDE, SIDE))
        y.append(digit)
    stacked = np.stack(x) if x else np.zeros((0, time_steps, 2, SIDE, SIDE), np.uint8)
    targets = torch.tensor(y, dtype=torch.int64)
    return Samples(torch.from_numpy(stacked), targets, tuple("0123456789"), "nmnist", f"{time_steps} frames")


def read(request: Request) -> DataSplits:
    """The recordings of a folder as frames, x uint8 [N, T, 2, 34, 34], cropped to `request.image_size`; no validation
    part.

    The folder holds Train and Test, or train.zip and test.zip; either of the two parts may be missing.

    Raises:
        FileNotFoundError: neither part is there.
        ValueError: no time steps, a zip or a recording is damaged, or a zip holds a name it should not.
        ImportError: tonic is not installed.
    """
    root = request.folder()
    if request.time_steps is None:
        raise ValueError("N-MNIST needs time_steps, the number of frames a recording is cut into: time_steps=10, say.")
    if not has_nmnist_files(root):
        raise FileNotFoundError(
            f"{root} has no recordings: Train/<digit>/<number>.bin and Test/<digit>/<number>.bin were expected, "
            "or train.zip and test.zip as N-MNIST is published."
        )
    slicer = SLICERS[request.slicing]
    train, test = (_read_split(root, folder, request.time_steps, slicer) for folder in ("Train", "Test"))
    return crop_splits(DataSplits(train, train.subset(torch.arange(0)), test), request.image_size)
