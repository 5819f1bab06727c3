"""Events to frames: every event is counted once, in the slice that the equations say."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from spikelet.data.readers.frames import SLICERS, by_count, by_duration, frames

EVENT = np.dtype([("x", np.int16), ("y", np.int16), ("t", np.int64), ("p", np.int8)])
times = st.lists(st.integers(0, 2**23), min_size=1, max_size=60).map(lambda t: np.array(sorted(t), np.int64))


def _events(time: np.ndarray, seed: int = 0) -> np.ndarray:
    draw = np.random.default_rng(seed)
    made = np.zeros(len(time), EVENT)
    made["t"] = time
    made["x"], made["y"], made["p"] = (draw.integers(0, high, len(time)) for high in (6, 4, 2))
    return made


@pytest.mark.parametrize("slicing", SLICERS)
@settings(max_examples=40)
@given(time=times, time_steps=st.integers(1, 12))
def test_every_event_is_counted_once_where_it_happened(slicing, time, time_steps):
    events = _events(time)
    made = frames(events, time_steps, SLICERS[slicing], 4, 6)
    assert made.shape == (time_steps, 2, 4, 6)
    assert made.dtype == np.uint8
    expected = np.zeros((2, 4, 6), int)
    np.add.at(expected, (events["p"], events["y"], events["x"]), 1)
    assert np.array_equal(made.sum(0), expected)


@settings(max_examples=40)
@given(times, st.integers(1, 12))
def test_slices_by_duration_are_equally_long(time, time_steps):
    slices = by_duration(time, time_steps)
    length = Fraction(int(time[-1] - time[0] + 1), time_steps)
    for t, k in zip((time - time[0]).tolist(), slices.tolist(), strict=True):
        assert 0 <= k < time_steps
        assert k * length <= t < (k + 1) * length


@settings(max_examples=40)
@given(times, st.integers(1, 12))
def test_slices_by_count_are_equally_full(time, time_steps):
    counts = np.bincount(by_count(time, time_steps), minlength=time_steps)
    assert len(counts) == time_steps
    assert counts.max() - counts.min() <= 1


def test_counts_stop_at_255():
    busy = _events(np.zeros(300, np.int64))
    busy["x"] = busy["y"] = busy["p"] = 1
    assert frames(busy, 1, by_duration, 4, 6).ravel().max() == 255


def test_tonic_makes_the_same_frames_of_equal_counts():
    to_frame = pytest.importorskip("tonic.transforms").ToFrame(sensor_size=(6, 4, 2), n_event_bins=10)
    events = _events(np.sort(np.random.default_rng(1).integers(0, 1000, 400)))
    assert np.array_equal(frames(events, 10, by_count, 4, 6), to_frame(events))
