"""Images cut or padded about their centre to a given side. Pixels are moved, never resampled.

d = side - H rows:   floor(d / 2) of zeros above, the rest below        d < 0: as many cut away; columns alike
"""

from __future__ import annotations

import dataclasses
import math

import torch.nn.functional as F

from spikelet.base.errors import SpikeletError
from spikelet.data.readers.room import require_room
from spikelet.data.samples import DataSplits, Samples


def crop(data: Samples, side: int | None) -> Samples:
    """Samples of `side` x `side` pixels; None leaves them as they are.

    Raises:
        SpikeletError: side is not positive, or too large for the memory.
    """
    if side is None:
        return data
    if side < 1:
        raise SpikeletError(f"image_size must be a positive number of pixels, got {side}.")
    require_room(math.prod(data.x.shape[:-2]) * side * side, f"{data.name} of {side} x {side} pixels")
    (top, bottom), (left, right) = ((d // 2, d - d // 2) for d in (side - s for s in data.x.shape[-2:]))
    return dataclasses.replace(data, x=F.pad(data.x, (left, right, top, bottom)))


def crop_splits(splits: DataSplits, side: int | None) -> DataSplits:
    """`crop` applied to training, validation and test set."""
    return splits.map(lambda part: crop(part, side))
