"""HAPT: what 30 people do, felt by a smartphone at the waist: six channels at 50 Hz, six activities.

    hapt.npz     signal float32 [M, 6]     acceleration x, y, z in g, then angular velocity x, y, z in rad/s
                 label int8 [M]            1 .. 6 the activities, 7 .. 12 the changes between them, -1 none
                 offset int64 [R + 1]      recording r is signal[offset[r] : offset[r + 1]]
                 user uint8 [R]            who was recorded, 1 .. 30

A sample is a window of T steps, half a window after the last one, that lies within one stretch of one activity:
x uint8 [T, 6, 1, 1]. The grid is that of signals.py: acceleration up to 2 g, angular velocity up to 4 rad/s by its
root, for sitting and standing differ in movements that are a hundred times smaller than those of walking. The test set
are the people whom UCI's "Human Activity Recognition Using Smartphones" tests on; nobody is in two sets.
Source: Reyes-Ortiz, Oneto, Samà, Parra and Anguita 2016, doi:10.1016/j.neucom.2015.07.085.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from spikelet.base.errors import DataError, NoSuchFile, SpikeletError
from spikelet.data.readers.npz import read_npz
from spikelet.data.readers.reader import Request
from spikelet.data.readers.signals import runs, to_bytes
from spikelet.data.samples import DataSplits, Samples

FILE = "hapt.npz"
ACTIVITIES = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "laying")
TESTED = (2, 4, 9, 10, 12, 13, 18, 20, 24)
REACH = np.array([2.0, 2.0, 2.0, 4.0, 4.0, 4.0])
ROOTS = np.array([False, False, False, True, True, True])
NOTE = "50 Hz, windows of {steps} samples, UCI's test people"


def read(request: Request) -> DataSplits:
    """The windows of all recordings, in their order; no validation part.

    Raises:
        NoSuchFile: hapt.npz is not in root=.
        SpikeletError: no time steps were given, or no window is as long.
        DataError: the file is damaged or lacks an array.
    """
    if request.time_steps is None or request.time_steps < 2:
        raise SpikeletError(
            f"HAPT needs time_steps, the samples of a window, 2 or more: time_steps=128, say. Got {request.time_steps}."
        )
    path = request.folder() / FILE
    if not path.is_file():
        raise NoSuchFile(f"{path.parent} has no {FILE}. ({request.name}: {request.about}.)")
    found = read_npz(path, required=("signal", "label", "offset", "user"))
    _check(found, str(path))
    bytes_, label = to_bytes(found["signal"], REACH, ROOTS), found["label"]
    starts: list[int] = []
    people: list[int] = []
    for first, last, who in zip(found["offset"], found["offset"][1:], found["user"], strict=False):
        here = _windows(label[first:last], request.time_steps)
        starts += [int(first) + start for start in here]
        people += [int(who)] * len(here)
    if not starts:
        raise DataError(f"{path} has no stretch of one activity of {request.time_steps} samples. Use fewer time_steps.")
    x = np.lib.stride_tricks.sliding_window_view(bytes_, request.time_steps, axis=0)[starts]  # [N, 6, T]
    frames = torch.from_numpy(np.ascontiguousarray(x.transpose(0, 2, 1)))[..., None, None]
    y, groups = torch.from_numpy(label[starts].astype(np.int64) - 1), torch.tensor(people)
    every = Samples(frames, y, ACTIVITIES, "hapt", NOTE.format(steps=request.time_steps), groups)
    tested = torch.isin(groups, torch.tensor(TESTED))
    train, test = (every.subset(torch.nonzero(part)[:, 0]) for part in (~tested, tested))
    return DataSplits(train, train.subset(torch.arange(0)), test)


def _windows(label: NDArray[np.integer], steps: int) -> list[int]:
    """Where the windows of one recording begin."""
    return [
        start
        for first, last in runs(label)
        if 1 <= label[first] <= len(ACTIVITIES)
        for start in range(first, last - steps + 1, steps // 2)
    ]


def _check(found: dict[str, NDArray[np.generic]], where: str) -> None:
    signal, label, offset, user = (found[name] for name in ("signal", "label", "offset", "user"))
    rising = offset.ndim == 1 and len(offset) and offset[0] == 0 and offset[-1] == len(label)
    if signal.shape != (len(label), len(REACH)) or len(user) + 1 != len(offset) or not rising:
        raise DataError(
            f"{where} must hold signal [M, 6], label [M], offset [R + 1] from 0 to M and user [R], got "
            f"{signal.shape}, {label.shape}, {offset.shape} and {user.shape}. Make it anew."
        )
    if not np.isfinite(signal).all():
        raise DataError(f"{where} has values that are no numbers in its signal. Make it anew.")
