"""Signals as bytes, on a grid that a device can compute, and cut into windows.

    u = clip(floor(128 z + 1/2) + 128, 0, 255)     z = x / reach, or sign(x) sqrt(|x| / reach) where a channel has roots

`reach` is the largest |x| of a channel that is kept, in the signal's unit: what lies beyond it is clipped. A step of the
grid is reach / 128; with roots small values have finer steps, reach / 128^2 at 0. 0 is the byte 128.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def to_bytes(
    x: NDArray[np.floating], reach: NDArray[np.floating], roots: NDArray[np.bool_] | None = None
) -> NDArray[np.uint8]:
    """`x` [..., C] on the module's grid.

    Args:
        reach: [C], above 0, in the unit of `x`.
        roots: [C], channels that are kept by their roots; None is none.
    """
    z = np.clip(x / reach.astype(np.float64), -1, 1)
    if roots is not None:
        z = np.where(roots, np.sign(z) * np.sqrt(np.abs(z)), z)
    return np.clip(np.floor(128 * z + 0.5) + 128, 0, 255).astype(np.uint8)


def usual_reach(x: NDArray[np.floating]) -> NDArray[np.float64]:
    """A reach for every channel of `x` [..., C]: the smallest power of two that holds 99.9 % of its values."""
    most = np.quantile(np.abs(x.reshape(-1, x.shape[-1]).astype(np.float64)), 0.999, axis=0)
    return 2.0 ** np.ceil(np.log2(np.maximum(most, 2.0**-20)))


def runs(labels: Sequence[int] | NDArray[np.integer]) -> list[tuple[int, int]]:
    """Begin and end of every stretch of equal labels."""
    y = np.asarray(labels)
    cuts = [0, *(np.flatnonzero(np.diff(y)) + 1).tolist(), len(y)]
    return [(a, b) for a, b in zip(cuts, cuts[1:], strict=False) if a < b]
