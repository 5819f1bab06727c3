"""WAV files to one channel of 16 bits at another rate: exact in integers, or refused in one sentence."""

from __future__ import annotations

import io
import wave

import numpy as np
import pytest

from spikelet.base.errors import DataError
from spikelet.base.sound import Sound, at_rate, centred, decode
from tests.support.sounds import SOUNDS, wav

SAMPLES = SOUNDS["every volume"](1000)


@pytest.mark.parametrize("bits", [16, 24, 32])
def test_every_width_of_the_same_samples_is_the_same_sound(bits: int) -> None:
    found = decode(wav(SAMPLES.astype(np.int64) << (bits - 16), bits=bits), "a.wav")
    assert np.array_equal(found.samples, SAMPLES)
    assert (found.rate, found.bits, found.channels) == (8000, bits, 1)


def test_halves_round_up_and_the_loudest_is_clipped() -> None:
    found = decode(wav(np.array([128, 127, -128, -129, 2**23 - 1, -(2**23)]), bits=24), "a.wav")
    assert found.samples.tolist() == [1, 0, 0, -1, 32767, -32768]


def test_eight_bits_begin_at_zero() -> None:
    assert decode(wav(np.array([0, 128, 255]), bits=8), "a.wav").samples.tolist() == [-32768, 0, 32512]


def test_channels_are_averaged_halves_up() -> None:
    both = np.array([[1, 2], [-1, -2], [32767, 32767], [-32768, 32767]])
    assert decode(wav(both), "a.wav").samples.tolist() == [2, -1, 32767, 0]


def test_what_the_standard_library_writes_is_read() -> None:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(11025)
        file.writeframes(SAMPLES.tobytes())
    found = decode(buffer.getvalue(), "a.wav")
    assert np.array_equal(found.samples, SAMPLES)
    assert found.rate == 11025


def sine(hertz: float, rate: int, n: int) -> np.ndarray:
    """A tone, int16 [n]."""
    return (9000 * np.sin(2 * np.pi * hertz / rate * np.arange(n))).astype(np.int16)


@pytest.mark.parametrize(("rate", "to"), [(16000, 8000), (44100, 8000), (8000, 16000), (11025, 8000), (8000, 11025)])
def test_another_rate_keeps_a_tone_and_its_place(rate: int, to: int) -> None:
    found = at_rate(Sound(sine(1000, rate, rate), rate, 16, 1), to, "a.wav")
    assert len(found) == to
    inside = slice(to // 10, -to // 10)  # silence lies around the file
    assert np.abs(found.astype(int) - sine(1000, to, to))[inside].max() <= 40


def test_what_a_lower_rate_cannot_hold_is_taken_out() -> None:
    found = at_rate(Sound(sine(6000, 16000, 16000), 16000, 16, 1), 8000, "a.wav")
    assert np.abs(found[400:-400]).max() < 20


def test_a_sound_that_stands_still_stands_still_at_every_rate() -> None:
    for rate in (1000, 7999, 22050, 48000):
        found = at_rate(Sound(np.full(4 * rate // 10, 1234, np.int16), rate, 16, 1), 8000, "a.wav")
        assert set(found[len(found) // 3 : -len(found) // 3].tolist()) == {1234}


def test_the_same_rate_is_the_same_samples() -> None:
    assert at_rate(Sound(SAMPLES, 8000, 16, 1), 8000, "a.wav") is SAMPLES


def test_the_middle_is_taken_or_silence_laid_around() -> None:
    x = np.arange(1, 6, dtype=np.int16)
    assert [centred(x, n).tolist() for n in (3, 4, 5, 8)] == [[2, 3, 4], [1, 2, 3, 4], [1, 2, 3, 4, 5],
                                                              [0, 1, 2, 3, 4, 5, 0, 0]]  # fmt: skip


GOOD = wav(SAMPLES)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "a.wav is no WAV file: it does not begin as one. Save it as 16-bit PCM."),
        (GOOD[:200], "a.wav is damaged: it has 200 bytes, and says that there are more. Save it anew."),
        (GOOD[:36], "a.wav is damaged: a WAV file has a format and samples. Save it anew."),
        (wav(SAMPLES, kind=3, bits=32), "a.wav holds samples of format 3 with 32 bits; integers"),
        (wav(SAMPLES, bits=64), "a.wav holds samples of format 1 with 64 bits; integers"),
        (wav(SAMPLES, rate=100), "a.wav has 1 channels and 100 samples a second; 1 to 8 and 1000 to 192000 are read."),
        (wav(np.zeros((4, 9), np.int16)), "a.wav has 9 channels"),
    ],
    ids=["empty", "cut off", "no samples", "floats", "64 bits", "a rate", "nine channels"],
)
def test_what_is_no_sound_is_refused(data: bytes, words: str) -> None:
    with pytest.raises(DataError, match=words.replace("(", r"\(")):
        decode(data, "a.wav")


def test_rates_with_too_little_in_common_are_refused() -> None:
    with pytest.raises(DataError, match=r"a\.wav has 191999 samples a second, which can't be brought to 8000 here"):
        at_rate(Sound(SAMPLES, 191999, 16, 1), 8000, "a.wav")
