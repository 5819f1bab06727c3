"""The integer front end for sound: near the real logarithms, the same in blocks as whole, and never beyond 32 bits."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from spikelet.base.errors import SpikeletError
from spikelet.base.logmel import STEPS, LogMel, _eighths, order_of
from tests.support.sounds import FRONT_ENDS, SOUNDS, name_of


def real_frames(hears: LogMel, samples: NDArray[np.int16]) -> NDArray[np.float64]:
    """8 log2 of the bands' energies less `quiet`, in floating point, by the module's equations."""
    n = hears.window
    known = np.concatenate([np.zeros(n - hears.hop), samples.astype(float)])
    windows = np.lib.stride_tricks.sliding_window_view(known, n)[:: hears.hop]
    lifted = windows[:, 1:] - windows[:, :-1] * 31 / 32
    hann = (1 - np.cos(2 * np.pi * np.arange(1, n) / n)) / 2
    spectrum = np.fft.rfft(np.pad(lifted * hann, ((0, 0), (1, 0))))[:, : n // 2] / (n // 2)
    return 8 * np.log2(np.abs(spectrum) ** 2 @ hears.weights.T + 1e-12) - hears.quiet


@pytest.mark.parametrize("hears", [h for h in FRONT_ENDS if not h.adapt], ids=name_of)
def test_frames_are_the_logarithms_within_two_steps_down_to_40_db_below_the_loudest(hears: LogMel) -> None:
    for volume in (400, 4000, 32000):
        noise = np.random.default_rng(volume).normal(size=20 * hears.hop) * volume / 4
        samples = np.clip(noise, -32768, 32767).astype(np.int16)
        real, found = real_frames(hears, samples), hears.frames(samples).astype(float)
        inside = (real >= 2) & (real < 255) & (real > real.max(axis=1, keepdims=True) - 106)
        assert inside.mean() > 0.5
        assert np.abs(found - np.floor(real))[inside].max() <= 2


@pytest.mark.parametrize("hears", [LogMel(), LogMel(adapt=4)], ids=name_of)
@pytest.mark.parametrize("sound", SOUNDS)
def test_blocks_of_any_length_give_the_frames_of_the_whole(sound: str, hears: LogMel) -> None:
    draw = np.random.default_rng(3)
    samples = SOUNDS[sound](4000)
    cuts = np.sort(draw.integers(0, len(samples), 9))
    state, parts = hears.start(), []
    for block in np.split(samples, cuts):
        frames, state = hears.step(block, state)
        parts.append(frames)
    assert np.array_equal(np.concatenate(parts), hears.frames(samples))


def test_silence_is_zeros_and_what_is_shorter_than_a_hop_gives_no_frame() -> None:
    hears = LogMel()
    assert hears.frames(np.zeros(800, np.int16)).tolist() == [[0] * 24] * 5
    assert hears.frames(np.full(159, 9000, np.int16)).shape == (0, 24)
    assert hears.frames(np.zeros(0, np.int16)).shape == (0, 24)
    assert hears.frames(np.full(160, 9000, np.int16)).shape == (1, 24)


@pytest.mark.parametrize("hears", FRONT_ENDS, ids=name_of)
def test_no_sound_makes_a_sum_of_bands_that_32_bits_do_not_hold(hears: LogMel) -> None:
    draw, n = np.random.default_rng(5), hears.window
    tones = [np.sign(np.sin(np.arange(n) * draw.uniform(0, np.pi) + draw.uniform(0, 6))) for _ in range(200)]
    windows = np.array([*tones, *draw.choice([-1, 1], (200, n))]) * 32767
    v, _ = hears._windowed(windows.astype(np.int64))
    z = hears._transformed(v)
    assert np.abs(v).max() <= 1 << 14
    assert np.abs(z).max() < 1 << 15
    power = ((z.astype(float) ** 2).sum(axis=(0, 2))).max()  # of both halves of the spectrum, at this scale
    assert 16 * power < 2**32


def test_the_logarithm_is_exact() -> None:
    draw = np.random.default_rng(0)
    values = [1, 2, 3, 255, 2**32 - 1, *(2**k for k in range(32)), *(int(s) << 8 for s in STEPS)]
    values += [int(v) for v in (2 ** draw.uniform(0, 32, 2000)).astype(np.int64)]
    for value, found in zip(values, _eighths(np.array(values)), strict=True):
        assert (2 ** int(found) <= value**8 < 2 ** (int(found) + 1)) or (value >> 16 and _is_near(value, int(found)))


def _is_near(value: int, found: int) -> bool:
    """Whether only the bits that the logarithm does not look at, behind the highest 16, are in its way."""
    drop = value.bit_length() - 16
    seen = value >> drop << drop
    return 2**found <= (seen + (1 << drop)) ** 8 and seen**8 < 2 ** (found + 1)


def test_the_order_of_a_transforms_inputs_is_each_once() -> None:
    for points in (32, 64, 128, 256, 512):
        assert sorted(order_of(points)) == list(range(points))


@pytest.mark.parametrize(
    ("numbers", "words"),
    [
        ({"window": 100}, r"LogMel.window must be a power of two, 64 to 1024, got 100"),
        ({"hop": 300}, r"LogMel.hop must be at most the window 256, got 300"),
        ({"highest": 4001}, r"lowest < highest <= rate / 2 = 4000, got 100 and 4001"),
        ({"bands": 120}, r"LogMel.bands=120 leaves a band without a frequency .* Use fewer bands"),
        ({"bands": 2.5}, r"LogMel.bands must be a whole number"),
        ({"adapt": 9}, r"LogMel.adapt must be 0, or 1 to 8 .*, got 9"),
        ({"adapt": -1}, r"LogMel.adapt must be a whole number"),
        ({"tones": 3}, r"sound must be numbers by name, of rate, window, .*; got \{'tones': 3\}"),
    ],
)
def test_numbers_that_make_no_front_end_are_refused(numbers: dict[str, float], words: str) -> None:
    with pytest.raises(SpikeletError, match=words):
        LogMel.of(numbers, "sound")


@pytest.mark.parametrize("samples", [np.zeros(9), np.zeros((2, 9), np.int16), [1, 2]])
def test_what_is_no_sound_is_refused(samples: object) -> None:
    with pytest.raises(SpikeletError, match=r"LogMel.step.samples must be int16 \[n\], one channel of sound, got"):
        LogMel().frames(samples)  # type: ignore[arg-type]


def test_a_state_of_another_front_end_is_refused() -> None:
    with pytest.raises(SpikeletError, match="state must come from start or step of this LogMel, got 300 long"):
        LogMel().step(np.zeros(9, np.int16), np.zeros(300, np.int16))
    with pytest.raises(SpikeletError, match="state must come from start or step of this LogMel, got 96 long"):
        LogMel(adapt=4).step(np.zeros(9, np.int16), LogMel().start())
