"""Memory for the samples of a split, asked for before the first of them is read."""

from __future__ import annotations

import math

import numpy as np

from spikelet.base.errors import DataError

MAX_BYTES = 16 << 30  # a split is held in memory


def require_room(size: int, where: str) -> None:
    """Raises DataError where `size` bytes are more than a split may take."""
    if size > MAX_BYTES:
        raise DataError(
            f"{where} would take {size / 2**30:,.0f} GiB of memory, more than the {MAX_BYTES >> 30} GiB held here. "
            "Use a smaller image_size or fewer time_steps."
        )


def room_for(shape: tuple[int, ...], where: str) -> np.ndarray:
    """An array of bytes, uint8 of `shape`, to be filled.

    Raises:
        DataError: more than a split may take, or than this process can get; says how much it is.
    """
    require_room(math.prod(shape), where)
    try:
        return np.empty(shape, np.uint8)
    except MemoryError:
        raise DataError(
            f"{where} would take {math.prod(shape) / 2**20:,.0f} MiB of memory, which this process can't get. "
            "Use a smaller image_size or fewer time_steps."
        ) from None
