"""A picture from a file in the shape that a graph takes, and one line that says what was done to it.

picture     grey (C = 1) or RGB (C = 3); the largest centred part of the right proportions; resized, bilinear; what is
            transparent lies on the ground asked for, else on the one that the model was trained on, else on white
.npy        uint8 [C, H, W], one image for every time step, or [T, C, H, W], one frame a step; used as it is
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelet.base import picture
from spikelet.base.ground import WHITE, Ground
from spikelet.cli.arrays import read_array

CHANNELS = {1: "grey", 3: "RGB"}
WORDS = {"L": "grey", "RGB": "RGB"}


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image or frames: `pixels`, uint8 [C, H, W] or [T, C, H, W], and in words what was `done` to the file's."""

    pixels: NDArray[np.uint8]
    done: str

    @property
    def batch(self) -> NDArray[np.uint8]:
        """[1, C, H, W] or [T, 1, C, H, W], as a program takes it."""
        return self.pixels[:, None] if self.pixels.ndim == 4 else self.pixels[None]


def read_picture(path: Path, shape: tuple[int, ...], time_steps: int, ground: Ground = WHITE) -> Picture:
    """Reads `path` for a graph of input `shape` (C, H, W) and T = `time_steps`; transparency is laid on `ground`.

    Raises:
        FileNotFoundError, PermissionError: no such file, or it may not be read.
        ValueError: not a picture, of more than 8 bits, too large, or an array of another type or shape.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give one picture or .npy file.")
    if not path.exists():
        raise FileNotFoundError(f"there is no file {path}.")
    if path.suffix.lower() == ".npy":
        return _array(path, shape, time_steps)
    if len(shape) != 3 or shape[0] not in CHANNELS:
        raise ValueError(
            f"{path}: the model takes input of shape {list(shape)}, which pictures don't have. Give an .npy file."
        )
    channels, height, width = shape
    found = picture.read_picture(path, str(path), channels=channels, size=(width, height), ground=ground)
    return Picture(found.pixels, _done(found, shape, ground))


def _done(found: picture.Picture, shape: tuple[int, ...], ground: Ground) -> str:
    channels, height, width = shape
    steps = [f"{found.width} x {found.height} {WORDS.get(found.mode, found.mode)}"]
    if found.transparent:
        steps.append(f"transparent, laid on {ground}")
    if WORDS.get(found.mode) != CHANNELS[channels]:
        steps.append(f"to {CHANNELS[channels]}")
    if found.width * height != found.height * width:
        steps.append("cut to the middle")
    if (found.width, found.height) != (width, height):
        steps.append(f"resized to {width} x {height}")
    return ", ".join(steps if len(steps) > 1 else [*steps, "used as it is"])


def _array(path: Path, shape: tuple[int, ...], time_steps: int) -> Picture:
    array = read_array(path, (shape, (time_steps, *shape)))
    what = "one image for every time step" if array.ndim == len(shape) else f"{time_steps} frames"
    return Picture(array, f"uint8 {list(array.shape)}, {what}, used as it is")
