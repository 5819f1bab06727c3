"""A picture from a file in the shape that a graph takes, and one line that says what was done to it.

picture     grey (C = 1) or RGB (C = 3); the largest centred part of the right proportions; resized, bilinear
.npy        uint8 [C, H, W], one image for every time step, or [T, C, H, W], one frame a step; used as it is
"""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FORMS = {1: "L", 3: "RGB"}
WORDS = {"L": "grey", "RGB": "RGB"}
DEEP = ("I", "F", "I;16", "I;16B", "I;16L", "I;16N")


@dataclasses.dataclass(frozen=True)
class Picture:
    """An image or frames: `pixels`, uint8 [C, H, W] or [T, C, H, W], and in words what was `done` to the file's."""

    pixels: NDArray[np.uint8]
    done: str

    @property
    def batch(self) -> NDArray[np.uint8]:
        """[1, C, H, W] or [T, 1, C, H, W], as a program takes it."""
        return self.pixels[:, None] if self.pixels.ndim == 4 else self.pixels[None]


def read_picture(path: Path, shape: tuple[int, ...], time_steps: int) -> Picture:
    """Reads `path` for a graph of input `shape` (C, H, W) and T = `time_steps`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a picture, of more than 8 bits, or an array of another type or shape.
    """
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give one picture or .npy file.")
    if not path.is_file():
        raise FileNotFoundError(f"there is no file {path}.")
    if path.suffix == ".npy":
        return _array(path, shape, time_steps)
    if len(shape) != 3 or shape[0] not in FORMS:
        raise ValueError(
            f"{path}: the model takes input of shape {list(shape)}, which pictures don't have. Give an .npy file."
        )
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            opened.load()
            image = ImageOps.exif_transpose(opened)
    except (UnidentifiedImageError, OSError) as error:
        raise ValueError(f"{path} is not a picture that Pillow can read ({error}).") from error
    if image.mode in DEEP:
        raise ValueError(f"{path}: its pixels are of mode {image.mode}, more than 8 bits. Convert it to 8 bits first.")
    return _fitted(image, shape)


def _fitted(image: Any, shape: tuple[int, ...]) -> Picture:
    from PIL import Image, ImageOps

    channels, height, width = shape
    form, steps = FORMS[channels], [f"{image.width} x {image.height} {WORDS.get(image.mode, image.mode)}"]
    if image.mode != form:
        image = image.convert(form)
        steps.append(f"to {WORDS[form]}")
    if image.width * height != image.height * width:
        steps.append("cut to the middle")
    if image.size != (width, height):
        image = ImageOps.fit(image, (width, height), Image.Resampling.BILINEAR)
        steps.append(f"resized to {width} x {height}")
    pixels = np.asarray(image, np.uint8)
    pixels = pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)
    return Picture(np.ascontiguousarray(pixels), ", ".join(steps if len(steps) > 1 else [*steps, "used as it is"]))


def _array(path: Path, shape: tuple[int, ...], time_steps: int) -> Picture:
    try:
        array = np.load(path, allow_pickle=False)
    except (EOFError, ValueError) as error:
        raise ValueError(f"{path} is not an .npy file ({error}).") from error
    if array.dtype != np.uint8 or array.shape not in (shape, (time_steps, *shape)):
        raise ValueError(
            f"{path} must hold uint8 of shape {list(shape)}, or {[time_steps, *shape]} for one frame a time step; "
            f"got {array.dtype} {list(array.shape)}."
        )
    what = "one image for every time step" if array.ndim == len(shape) else f"{time_steps} frames"
    return Picture(array, f"uint8 {list(array.shape)}, {what}, used as it is")
