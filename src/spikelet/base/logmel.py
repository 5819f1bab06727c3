"""Sound to frames of log-mel energies in integers, block by block: what a network that listens reads.

A frame is made of the last N samples, every `hop` samples; x[n] = 0 before the first one, and `bands` bytes come out:

    y[n] = x[n] - x[n-1] + (x[n-1] >> 5)                        0 < n < N: lifts what speech has little of
    v[n] = (y[n] w[n] + half) >> (14 - s)                       |y| < 2^(14 - s): the frame's own shift, s in -2 .. 13
    w[n] = (32769 - cos[n]) >> 2                                Hann's window, 14 bits
    X[k] = DFT of v / (N/2), k = 0 .. N/2                       radix 4 on N/2 complex points, each stage scaled back
    E[b] = sum over k of weight[b, k] |X[k]|^2                  triangles of 0 .. 16, evenly spaced on the mel scale
    f[b] = clip(floor(8 log2 E[b]) - 16 s - quiet, 0, 255)      a step is 0.376 dB; 0 where E[b] is

with cos[n] = round(32767 cos(2 pi n / N)). Every product fits 32 bits, on processors that have no longer ones: |v| is
at most 2^14, a scaled stage makes no complex number longer, and by Parseval 16 sum |X|^2 < 2^32. Halves round up,
`>>` floors. `adapt` takes each band's running mean from it (base/adapting.py). The same in C: export/c/sound.
Sources: O'Shaughnessy 1987 for mel = 2595 log10(1 + f / 700); the FFT of 2M real points by one of M complex ones:
Sorensen et al. 1987, doi:10.1109/TASSP.1987.1165220.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.adapting import adapted, unheard
from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import make_plain, whole_numbers
from spikelet.base.strict_json import shown

SHORTEST, LONGEST = 64, 1024  # windows, in samples
WHOLE = 16  # a weight of 1 in the bands' triangles
MOST_SHIFT = 13
SLOWEST = 8  # adapt

Shorts = NDArray[np.int16]
Bytes = NDArray[np.uint8]
Ints = NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class Bands:
    """Where the power of each frequency k = 0 .. N/2 - 1 goes: `up` sixteenths of it to the band numbered `first` + 1,
    the rest to `first`; bands are numbered from 1, and the numbers 0 and bands + 1 are thrown away."""

    first: Bytes
    up: Bytes


@dataclasses.dataclass(frozen=True)
class LogMel:
    """An integer log-mel front end; the module has its equations.

    rate: samples a second. window: N, a power of two. hop: samples a frame, at most N. bands: bytes a frame.
    lowest, highest: Hz, where the first triangle begins and the last one ends. quiet: what is taken from the logarithm.
    adapt: 0 gives the logarithms as they are; 1 .. 8 gives them beside their running means, which move by 2^-adapt of
        the way a frame, so that a strange voice or microphone sounds like those that are known.

    Example:
        >>> from spikelet.base.logmel import LogMel
        >>> sound = (8000 * np.sin(np.arange(1600) / 5)).astype(np.int16)
        >>> LogMel(bands=16).frames(sound).shape
        (10, 16)

    Raises:
        SpikeletError: a number is out of its range, or a band would hear no frequency.
    """

    rate: int = 8000
    window: int = 256
    hop: int = 160
    bands: int = 24
    lowest: int = 100
    highest: int = 3800
    quiet: int = 16
    adapt: int = 0

    @classmethod
    def of(cls, numbers: Mapping[str, Any], what: str) -> LogMel:
        """The front end with these numbers, by name; those that are not named are the defaults.

        Raises:
            SpikeletError: a name is unknown, or a number is out of its range; `what` is what errors call them.
        """
        known = [field.name for field in dataclasses.fields(cls)]
        if not isinstance(numbers, Mapping) or not {*numbers} <= {*known}:
            raise SpikeletError(f"{what} must be numbers by name, of {', '.join(known)}; got {shown(numbers)}.")
        return cls(**numbers)

    def __post_init__(self) -> None:
        make_plain(self)
        whole_numbers(
            "LogMel", rate=self.rate, hop=self.hop, bands=self.bands, lowest=self.lowest, highest=self.highest
        )
        whole_numbers("LogMel", 0, quiet=self.quiet, adapt=self.adapt)
        if self.adapt > SLOWEST:
            raise SpikeletError(
                f"LogMel.adapt must be 0, or 1 to {SLOWEST} for running means that move by 2^-adapt, got {self.adapt}."
            )
        n = self.window
        if not isinstance(n, int) or n not in {1 << i for i in range(6, 11)}:
            raise SpikeletError(f"LogMel.window must be a power of two, {SHORTEST} to {LONGEST}, got {n!r}.")
        if self.hop > n:
            raise SpikeletError(f"LogMel.hop must be at most the window {n}, got {self.hop}: samples would be lost.")
        if not self.lowest < self.highest <= self.rate / 2:
            raise SpikeletError(
                f"LogMel.lowest and highest must be Hz, lowest < highest <= rate / 2 = {self.rate / 2:g}, got "
                f"{self.lowest} and {self.highest}."
            )
        if self.bands > 128 or bool((self.weights.max(axis=1) == 0).any()):
            raise SpikeletError(
                f"LogMel.bands={self.bands} leaves a band without a frequency of a window of {n} samples at "
                f"{self.rate} Hz. Use fewer bands, at most 128, or a longer window."
            )

    @functools.cached_property
    def table(self) -> Shorts:
        """round(32767 sin(2 pi n / N)), int16 [N]; cos[n] is a quarter of N further on."""
        return np.floor(32767 * np.sin(2 * np.pi * np.arange(self.window) / self.window) + 0.5).astype(np.int16)

    @functools.cached_property
    def split(self) -> Bands:
        """Where the power of each frequency goes."""
        low, high = (2595 * math.log10(1 + hertz / 700) for hertz in (self.lowest, self.highest))
        ends = 700 * (10 ** (np.linspace(low, high, self.bands + 2) / 2595) - 1)
        hertz = np.arange(self.window // 2) * self.rate / self.window
        first = np.searchsorted(ends, hertz, side="right") - 1
        inside = (first >= 0) & (first <= self.bands)
        first = np.where(inside, first, 0)
        share = (hertz - ends[first]) / (ends[first + 1] - ends[first])
        up = np.floor(WHOLE * share + 0.5)
        inside[0] = False  # what stands still is no sound
        return Bands(first.astype(np.uint8), np.where(inside, up, 0).astype(np.uint8))

    @functools.cached_property
    def weights(self) -> Ints:
        """weight[b, k], int64 [bands, N/2], 0 .. 16."""
        split, k = self.split, np.arange(self.window // 2)
        weight = np.zeros((self.bands + 2, self.window // 2), np.int64)
        weight[split.first + 1, k] = split.up
        weight[split.first, k] = WHOLE - split.up.astype(np.int64)
        return weight[1:-1]

    def frames(self, samples: Shorts) -> Bytes:
        """The frames of a whole sound. int16 [n] -> uint8 [n // hop, bands]."""
        return self.step(samples, self.start())[0]

    def start(self) -> Shorts:
        """The state before the first sample: silence. int16 [N - hop]; behind the means, int16 [bands], of one that
        adapts.
        """
        return np.concatenate([unheard(self._means), np.zeros(self.window - self.hop, np.int16)])

    @property
    def _means(self) -> int:
        """How many means the state begins with."""
        return self.bands if self.adapt else 0

    def step(self, samples: Shorts, state: Shorts) -> tuple[Bytes, Shorts]:
        """The frames that a block of any length completes, and the state behind it.

        samples: int16 [n]. state: of `start`, or of the block before.

        Raises:
            SpikeletError: samples are not int16 [n], or the state is of another front end.
        """
        for name, value in (("samples", samples), ("state", state)):
            if not isinstance(value, np.ndarray) or value.dtype != np.int16 or value.ndim != 1:
                got = f"{value.dtype} {list(value.shape)}" if isinstance(value, np.ndarray) else type(value).__name__
                raise SpikeletError(f"LogMel.step.{name} must be int16 [n], one channel of sound, got {got}.")
        means, kept = state[: self._means], state[self._means :]
        if not self.window - self.hop <= len(kept) < self.window:
            raise SpikeletError(
                f"LogMel.step.state must come from start or step of this LogMel, got {len(state)} long."
            )
        known = np.concatenate([kept, samples])
        count = max(0, (len(known) - self.window) // self.hop + 1)
        at = np.arange(count)[:, None] * self.hop + np.arange(self.window)
        frames = self._heard(known[at])
        if self.adapt:
            frames, means = adapted(frames, means, self.adapt)
        return frames, np.concatenate([means, known[count * self.hop :]])

    def _heard(self, x: Shorts) -> Bytes:
        """Frames of windows int16 [F, N]: uint8 [F, bands]."""
        v, shift = self._windowed(x.astype(np.int64))
        energy = _power(self._transformed(v), self.table.astype(np.int64)) @ self.weights.T
        level = _eighths(energy) - 16 * shift - self.quiet
        return np.where(energy > 0, np.clip(level, 0, 255), 0).astype(np.uint8)

    def _windowed(self, x: Ints) -> tuple[Ints, Ints]:
        y = np.zeros_like(x)
        y[:, 1:] = x[:, 1:] - x[:, :-1] + (x[:, :-1] >> 5)
        highest = np.bitwise_or.reduce(y ^ (y >> 63), axis=1, keepdims=True)
        bits = np.ceil(np.log2(highest + 1)).astype(np.int64)
        shift = np.minimum(14 - bits, MOST_SHIFT)
        window = (32769 - np.roll(self.table, -self.window // 4).astype(np.int64)) >> 2
        drop = 14 - shift
        return (y * window + (1 << (drop - 1))) >> drop, shift

    def _transformed(self, v: Ints) -> Ints:
        """The DFT of v[2n] + i v[2n+1], divided by its M points. int64 [F, N] -> [2, F, M], real and imaginary part."""
        m = self.window // 2
        order = order_of(m)
        z = np.stack([v[:, 0::2], v[:, 1::2]])[:, :, order]
        size = 1
        if m.bit_length() % 2 == 0:  # twice a power of four
            a, b = z[..., 0::2], z[..., 1::2]
            z, size = np.stack([(a + b + 1) >> 1, (a - b + 1) >> 1], axis=-1).reshape(z.shape), 2
        while size < m:
            z, size = self._stage(z, size), 4 * size
        return z

    def _stage(self, z: Ints, size: int) -> Ints:
        """Four transforms of `size` points side by side become one, scaled by a quarter."""
        table, n = self.table.astype(np.int64), self.window
        parts = z.reshape(2, z.shape[1], z.shape[2] // (4 * size), 4, size)
        k = np.arange(size) * (n // (4 * size))
        a, *others = (parts[:, :, :, i] for i in range(4))
        b, c, d = (_turned(part, table[(i * k + n // 4) % n], table[i * k % n]) for i, part in enumerate(others, 1))
        (ar, ai), (br, bi), (cr, ci), (dr, di) = a, b, c, d
        real = [ar + br + cr + dr, ar + bi - cr - di, ar - br + cr - dr, ar - bi - cr + di]
        imaginary = [ai + bi + ci + di, ai - br - ci + dr, ai - bi + ci - di, ai + br - ci - dr]
        both = np.stack([np.stack(real, axis=2), np.stack(imaginary, axis=2)])
        return ((both + 2) >> 2).reshape(z.shape)


def _turned(z: Ints, cos: Ints, sin: Ints) -> Ints:
    """z (cos - i sin), rounded."""
    real, imaginary = z
    return np.stack([real * cos + imaginary * sin + (1 << 14), imaginary * cos - real * sin + (1 << 14)]) >> 15


def _power(z: Ints, table: Ints) -> Ints:
    """|X[k]|^2 of the real signal, k = 0 .. M - 1, from its transform as M complex points. [2, F, M] -> [F, M]."""
    m, n = z.shape[2], 2 * z.shape[2]
    k = np.arange(1, m // 2 + 1)
    (ar, ai), (br, bi) = z[:, :, k], z[:, :, m - k]
    real, imaginary = _turned(np.stack([ai + bi, br - ar]), table[k + n // 4], table[k])
    even = np.stack([ar + br, ai - bi])
    low, high = ((even + (sign * np.stack([real, imaginary])) + 1) >> 1 for sign in (1, -1))
    power = np.zeros((z.shape[1], m), np.int64)
    power[:, m - k] = (high**2).sum(axis=0)
    power[:, k] = (low**2).sum(axis=0)
    return power


def _eighths(energy: Ints) -> Ints:
    """floor(8 log2 e), exactly, of 0 < e < 2^32; 0 of 0."""
    octave = np.frexp(energy.astype(np.float64))[1].astype(np.int64) - 1
    octave = np.maximum(octave, 0)
    fraction = (energy << (31 - octave)) >> 16
    return 8 * octave + (fraction[..., None] >= STEPS).sum(axis=-1)


STEPS = np.array([int(np.ceil(2 ** (15 + j / 8))) for j in range(1, 8)], np.int64)


@functools.cache
def order_of(points: int) -> Ints:
    """Which input comes first, second ... where the first stage of a transform reads: digits of four, reversed."""
    if points <= 2:
        return np.arange(points)
    return np.concatenate([4 * order_of(points // 4) + r for r in range(4)])
