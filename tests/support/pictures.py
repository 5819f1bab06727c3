"""One picture or array as `spikelet run` reads it."""

from __future__ import annotations

from pathlib import Path

from spikelet.base.ground import WHITE, Ground
from spikelet.cli.images import Picture, Wanted, pictures_of


def read_picture(path: Path, shape: tuple[int, ...], time_steps: int, ground: Ground = WHITE) -> Picture:
    """The one sample in `path` for a graph of input `shape` and T = `time_steps`."""
    (picture,) = pictures_of([str(path)], Wanted(shape, time_steps, ground))
    return picture
