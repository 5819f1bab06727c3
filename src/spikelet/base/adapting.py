"""Frames of log energies beside their own running means, so that what a microphone or a voice adds to all of them goes.

    m[b] <- m[b] + ((128 f[b] - m[b]) >> adapt)       where f[b] > 0; m[b] = 128 USUAL before the first frame
    g[b] = clip(f[b] - (m[b] >> 7) + MIDDLE, 0, 255)  where f[b] > 0; else 0

m is in 128ths of a step, and moves by 2^-adapt of the way a frame, where anything is heard. `>>` floors. The same in
C: export/c/sound.
Source: cepstral mean subtraction, Atal 1974, doi:10.1121/1.1914702; here by a running mean, band by band.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

USUAL = 80  # the mean that a band is taken to have before anything was heard, in steps
MIDDLE = 64  # what a band that is at its mean becomes

Shorts = NDArray[np.int16]
Bytes = NDArray[np.uint8]


def unheard(bands: int) -> Shorts:
    """The means before the first frame. int16 [bands]."""
    return np.full(bands, 128 * USUAL, np.int16)


def adapted(frames: Bytes, means: Shorts, adapt: int) -> tuple[Bytes, Shorts]:
    """The frames beside their running means, and the means behind them.

    frames: uint8 [F, bands]. means: int16 [bands], of `unheard` or of the frames before. adapt: 1 .. 8.
    """
    m, found = means.astype(np.int64), np.zeros_like(frames)
    for frame, out in zip(frames.astype(np.int64), found, strict=True):
        m = np.where(frame > 0, m + ((128 * frame - m) >> adapt), m)
        out[:] = np.where(frame > 0, np.clip(frame - (m >> 7) + MIDDLE, 0, 255), 0)
    return found, m.astype(np.int16)
