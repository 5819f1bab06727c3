"""Events to frames: counts of events per pixel, polarity and slice of the recording.

    x[t, p, i, j] = min(255, number of events with slice t, polarity p, row i, column j)
    slice by duration   t = floor(T (time - first) / (last - first + 1))        T equal stretches of time
    slice by count      t = floor(T k / n), k = 0 .. n-1                        T equal numbers of events, +-1

Every event falls in exactly one slice. (That is why tonic's ToFrame is not used: its slices are of whole
microseconds or whole numbers of events, and what remains at the end of a recording is left out.)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

Slicer = Callable[[np.ndarray, int], np.ndarray]  # times int64 [n], T -> slice of each event, int64 [n]


def by_duration(time: np.ndarray, time_steps: int) -> np.ndarray:
    """The slice of each event, by its time stamp. int64 [n] -> int64 [n]."""
    first, last = int(time.min()), int(time.max())
    return time_steps * (time - first) // (last - first + 1)


def by_count(time: np.ndarray, time_steps: int) -> np.ndarray:
    """The slice of each event, by its place in the recording. int64 [n] -> int64 [n]."""
    return time_steps * np.arange(len(time), dtype=np.int64) // len(time)


SLICERS: dict[str, Slicer] = {"duration": by_duration, "count": by_count}


def frames(events: np.ndarray, time_steps: int, slicer: Slicer, height: int, width: int) -> np.ndarray:
    """Event counts by time step, polarity and pixel; the module's equation.

    Args:
        events: structured array [n], n >= 1, with fields x, y, t and p (0: darker, 1: brighter).
        time_steps: T.
        slicer: `by_duration` or `by_count`.
        height, width: of the sensor; no event lies outside.
    Returns:
        uint8 [T, 2, height, width].
    """
    t = slicer(events["t"].astype(np.int64), time_steps)
    x, y, p = (events[field].astype(np.int64) for field in ("x", "y", "p"))
    index = ((t * 2 + p) * height + y) * width + x
    counts = np.bincount(index, minlength=time_steps * 2 * height * width)
    return np.minimum(counts, 255).astype(np.uint8).reshape(time_steps, 2, height, width)
