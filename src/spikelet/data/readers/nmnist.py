"""N-MNIST: MNIST's digits seen by an event camera that moves, 34 x 34 pixels, two polarities, about 300 ms.

An event is 40 bits, whose first byte is the highest:

    column (8)   row (8)   polarity (1), 1 = brighter   time (23), in microseconds

Row 240 marks no pixel: it says that the clock, which the camera counts in 13 bits, has gone round, and adds 2^13 to the
time of all events that follow. Whatever recordings are there (recordings.py) are read, in the order of their names: a
partial set will do, and nothing is ever downloaded.
Source: Orchard, Jayawant, Cohen and Thakor 2015, doi:10.3389/fnins.2015.00437.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from spikelet.base.errors import DataError, NoSuchFile, SpikeletError
from spikelet.data.readers.crop import crop_splits
from spikelet.data.readers.frames import SLICERS, Slicer, frames
from spikelet.data.readers.reader import Request
from spikelet.data.readers.recordings import EVENT_BYTES, Recording, recordings_in, source_of
from spikelet.data.readers.room import room_for
from spikelet.data.samples import DataSplits, Samples

SIDE = 34
_PARTS = ("Train", "Test")
_EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])
_CLOCK_ROW, _CLOCK_BITS = 240, 13


def has_nmnist_files(root: Path) -> bool:
    """Whether `root` holds a part of N-MNIST."""
    return any(source_of(root, part) for part in _PARTS)


def read(request: Request) -> DataSplits:
    """The recordings of a folder as frames, x uint8 [N, T, 2, 34, 34], cropped to `request.image_size`; no validation
    part.

    The folder holds Train and Test, or train.zip and test.zip; either of the two parts may be missing.

    Raises:
        NoSuchFile: neither part is there.
        SpikeletError: no time steps, a zip or a recording is damaged, a zip holds a name it should not, or the frames
            take too much memory.
    Warns:
        DataWarning: names what lies there and is no recording.
    """
    root = request.folder()
    if request.time_steps is None:
        raise SpikeletError(
            "N-MNIST needs time_steps, the number of frames a recording is cut into: time_steps=10, say."
        )
    sources = {part: source_of(root, part) for part in _PARTS}
    if not any(sources.values()):
        raise NoSuchFile(
            f"{root} has no recordings: Train/<digit>/<number>.bin and Test/<digit>/<number>.bin were expected, "
            "or train.zip and test.zip as N-MNIST is published."
        )
    slicer = SLICERS[request.slicing]
    train, test = (_read_part(sources[part], part, request.time_steps, slicer) for part in _PARTS)
    return crop_splits(DataSplits(train, train.subset(torch.arange(0)), test), request.image_size)


def _read_part(source: Path | None, part: str, time_steps: int, slicer: Slicer) -> Samples:
    with contextlib.nullcontext(()) if source is None else recordings_in(source, part) as recordings:
        what = f"N-MNIST's {part.lower()} set in {time_steps} frames"
        x = room_for((len(recordings), time_steps, 2, SIDE, SIDE), what)
        _fill(x, recordings, slicer)
        y = torch.tensor([recording.digit for recording in recordings], dtype=torch.int64)
    return Samples(torch.from_numpy(x), y, tuple("0123456789"), "nmnist", f"{time_steps} frames")


def _fill(x: np.ndarray, recordings: Sequence[Recording], slicer: Slicer) -> None:
    """Writes the frames of every recording to its place in `x`, uint8 [N, T, 2, 34, 34]."""
    for k, recording in enumerate(recordings):
        events = events_in(recording.read())
        if len(events) == 0 or events["x"].max() >= SIDE or events["y"].max() >= SIDE:
            raise DataError(
                f"{recording.name} has no event, or one outside the {SIDE} x {SIDE} pixels. Fetch it again."
            )
        x[k] = frames(events, x.shape[1], slicer, SIDE, SIDE)


def events_in(data: bytes) -> np.ndarray:
    """The events of a recording, in its order: a structured array [n] with fields x, y, t and p. See the module's
    table.

    Args:
        data: a whole number of 5-byte events.
    """
    column, row, high, middle, low = np.frombuffer(data, np.uint8).reshape(-1, EVENT_BYTES).T.astype(np.int64)
    goes_round = row == _CLOCK_ROW
    time = ((high & 127) << 16 | middle << 8 | low) + (np.cumsum(goes_round) << _CLOCK_BITS)
    events = np.empty(len(row), _EVENT)
    events["x"], events["y"], events["t"], events["p"] = column, row, time, high >> 7
    return events[~goes_round]
