"""Running means of bands: by their equation, blind to microphones, and starting from a voice that is usual."""

from __future__ import annotations

import numpy as np
import pytest

from spikelet.base.adapting import MIDDLE, USUAL, adapted, unheard
from spikelet.base.logmel import LogMel


@pytest.mark.parametrize("adapt", [1, 3, 4, 8])
def test_frames_are_those_of_the_equation_number_by_number(adapt: int) -> None:
    draw = np.random.default_rng(adapt)
    frames = (draw.integers(0, 256, (200, 5)) * draw.integers(0, 2, (200, 5))).astype(np.uint8)
    found, means = adapted(frames, unheard(5), adapt)
    m = [128 * USUAL] * 5
    for frame, out in zip(frames.tolist(), found.tolist(), strict=True):
        for b, level in enumerate(frame):
            if level:
                m[b] += (128 * level - m[b]) // 2**adapt
            assert out[b] == (min(max(level - m[b] // 128 + MIDDLE, 0), 255) if level else 0)
    assert means.tolist() == m


def test_what_a_microphone_adds_to_a_band_is_soon_gone() -> None:
    draw = np.random.default_rng(0)
    voice = draw.integers(60, 120, (60, 8)).astype(np.uint8)
    other = (voice + np.arange(8) * 6).astype(np.uint8)  # up to 16 dB more, band by band
    near, far = (adapted(frames, unheard(8), 3)[0].astype(int) for frames in (voice, other))
    assert np.abs(near - far)[:5].max() > 16
    assert np.abs(near - far)[-20:].max() <= 1


def test_a_steady_sound_ends_in_the_middle_and_a_silent_band_keeps_its_mean() -> None:
    frames = np.tile(np.array([[0, 9, 255]], np.uint8), (4000, 1))
    found, means = adapted(frames, unheard(3), 8)
    assert np.abs(found[-1].astype(int) - [0, MIDDLE, MIDDLE]).max() <= 2
    assert means[0] == 128 * USUAL


def test_a_front_end_adapts_to_the_volume_of_a_sound() -> None:
    samples = np.random.default_rng(1).normal(size=160 * 60) * 1000
    hears = LogMel(adapt=3)
    soft, loud = (hears.frames((samples * gain).astype(np.int16)).astype(int) for gain in (1, 8))
    assert np.abs(soft - loud)[-20:].mean() < 2
    plain = [LogMel().frames((samples * gain).astype(np.int16)).astype(int) for gain in (1, 8)]
    assert np.abs(plain[0] - plain[1])[-20:].mean() > 40
