"""Pictures, sounds and arrays in the shape that a network takes, each with one line that says what was done to it.

picture      grey (C = 1) or RGB (C = 3); the largest centred part of the right proportions; resized, bilinear; what is
             transparent lies on the ground asked for, else on the one that the model was trained on, else on white
sound        frames of the front end that the model was trained with, as many as its time steps (base/heard.py)
.npy, .npz   uint8 of the layouts of arrays.py, used as they are
inverted     255 - value, of both, where it is asked for
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelet.base import picture, sound
from spikelet.base.errors import SpikeletError
from spikelet.base.ground import WHITE, Ground
from spikelet.base.heard import heard
from spikelet.base.logmel import LogMel
from spikelet.base.regular import read_regular
from spikelet.cli.arrays import MAX_FILE_BYTES, Layout, begins_like_arrays, samples_in
from spikelet.cli.errors import naming
from spikelet.cli.grounds import ground_for
from spikelet.cli.inputs import ARRAYS, Source, sources_of
from spikelet.cli.options import Axes
from spikelet.graph.ir import IntGraph
from spikelet.graph.trained_on import front_end_of

CHANNELS = {1: "grey", 3: "RGB"}
WORDS = {"L": "grey", "RGB": "RGB"}


@dataclasses.dataclass(frozen=True)
class Picture:
    """One sample.

    name: of its file, and which one in it where that holds several.
    pixels: uint8 [C, H, W], or frames [T, C, H, W] where it `has_time`.
    done: to the file's, in words.
    is_drawn: whether a picture was read, and not an array.
    """

    name: str
    pixels: NDArray[np.uint8]
    done: str
    is_drawn: bool = False
    has_time: bool = False

    @property
    def batch(self) -> NDArray[np.uint8]:
        """[1, C, H, W] or [T, 1, C, H, W], as a program takes it."""
        return self.pixels[:, None] if self.has_time else self.pixels[None]


@dataclasses.dataclass(frozen=True)
class Wanted:
    """What inputs become: samples of `shape` (C, H, W) for T = `time_steps`, transparency laid on `ground`.

    axes: of arrays; None tells them by their shape. hears: the front end; None of a network that hears no sounds.
    """

    shape: tuple[int, ...]
    time_steps: int
    ground: Ground = WHITE
    axes: Axes | None = None
    inverted: bool = False
    hears: LogMel | None = None

    @staticmethod
    def by(graph: IntGraph, ground: str | None = None, axes: Axes | None = None, inverted: bool = False) -> Wanted:
        """What `graph` takes.

        Raises:
            SpikeletError: `ground` is not a colour; or a network that hears is asked about light.
        """
        hears = front_end_of(graph)
        if hears is not None and (inverted or ground is not None):
            raise SpikeletError("--invert and --ground change pictures, and this network hears sounds. Leave them out.")
        return Wanted(graph.input.shape, graph.time_steps, ground_for(graph.meta, ground), axes, inverted, hears)


def pictures_of(words: Sequence[str], wanted: Wanted) -> Iterator[Picture]:
    """The samples that `words` name (inputs.py), read one after another.

    Raises:
        ValueError, OSError: one can't be found or read; names it.
    """
    for source in sources_of(words, hears=wanted.hears is not None):
        with naming(source.name):
            yield from pictures_in(source, wanted)


def pictures_in(source: Source, wanted: Wanted) -> Iterator[Picture]:
    """The samples of one file.

    Raises:
        FileNotFoundError, PermissionError: no such file, or it may not be read.
        ValueError: not a picture or sound, too large, not what the network takes, or an array of another type or shape.
    """
    content = source.content
    if isinstance(content, Path) and content.suffix.casefold() in ARRAYS:
        content = read_regular(content, MAX_FILE_BYTES)
    elif _is_sound(content):
        yield _sound(source, wanted)
        return
    elif isinstance(content, Path) or not begins_like_arrays(content):
        yield _picture(source, wanted)
        return
    word = ", inverted" if wanted.inverted else ", used as it is"
    for sample in samples_in(content, source.name, Layout(wanted.shape, wanted.time_steps, wanted.axes)):
        pixels, has_time = _turned(sample.pixels, wanted), sample.pixels.ndim > len(wanted.shape)
        yield Picture(source.name + sample.name, pixels, sample.what + word, has_time=has_time)


def _is_sound(content: Path | bytes) -> bool:
    if isinstance(content, Path):
        return content.suffix.casefold() in sound.ENDINGS
    return sound.begins_like_sound(content)


def _sound(source: Source, wanted: Wanted) -> Picture:
    hears, steps = wanted.hears, wanted.time_steps
    if hears is None:
        raise SpikeletError(
            f"{source.name} is a sound, and the model takes input of shape {list(wanted.shape)} and says no front end "
            "for sounds. Give a picture or an .npy file, or a network that was trained on sounds."
        )
    content = source.content
    data = read_regular(content, sound.MAX_FILE_BYTES) if isinstance(content, Path) else content
    found = heard(data, source.name, hears, steps)
    return Picture(
        source.name, found.frames.reshape(steps, *wanted.shape), _heard_as(found.sound, hears, steps), has_time=True
    )


def _heard_as(found: sound.Sound, hears: LogMel, steps: int) -> str:
    """What was done to a sound, in words."""
    given, taken = len(found.samples) / found.rate, steps * hears.hop / hears.rate
    words = [f"{given:.3g} s of {found.bits}-bit sound at {found.rate:,} Hz"]
    if found.channels > 1:
        words.append(f"mean of {found.channels} channels")
    if found.rate != hears.rate:
        words.append(f"to {hears.rate:,} Hz")
    words.append(f"cut to its middle {taken:.3g} s" if given > taken else f"laid into {taken:.3g} s of silence")
    return ", ".join([*words, f"{steps} frames of {hears.bands} log-mels"])


def _picture(source: Source, wanted: Wanted) -> Picture:
    shape = wanted.shape
    if len(shape) != 3 or shape[0] not in CHANNELS:
        raise SpikeletError(
            f"{source.name}: the model takes input of shape {list(shape)}, which pictures don't have. Give "
            f"{'an .npy file' if wanted.hears is None else 'a .wav sound or an .npy file'}."
        )
    channels, height, width = shape
    found = picture.read_picture(
        source.content, source.name, channels=channels, size=(width, height), ground=wanted.ground
    )
    return Picture(source.name, _turned(found.pixels, wanted), _done(found, wanted), is_drawn=True)


def _turned(pixels: NDArray[np.uint8], wanted: Wanted) -> NDArray[np.uint8]:
    return 255 - pixels if wanted.inverted else pixels


def _done(found: picture.Picture, wanted: Wanted) -> str:
    channels, height, width = wanted.shape
    steps = [f"{found.width} x {found.height} {WORDS.get(found.mode, found.mode)}"]
    if found.transparent:
        steps.append(f"transparent, laid on {wanted.ground}")
    if WORDS.get(found.mode) != CHANNELS[channels]:
        steps.append(f"to {CHANNELS[channels]}")
    if found.width * height != found.height * width:
        steps.append("cut to the middle")
    if (found.width, found.height) != (width, height):
        steps.append(f"resized to {width} x {height}")
    if wanted.inverted:
        steps.append("inverted")
    return ", ".join(steps if len(steps) > 1 else [*steps, "used as it is"])
