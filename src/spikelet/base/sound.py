"""One sound, from the bytes of a WAV file to one channel of 16 bits at the rate asked for, all in integers.

    PCM of 8, 16, 24 or 32 bits -> 16 bits: x * 2^8 of 8, from 24 and 32 halves round up and what is too loud is clipped
    several channels            -> one: their mean, halves up
    rate R -> rate S            y[m] = (sum over n of h[p, n] x[floor(m R / S) + n] + 2^14) >> 15, clipped

p is the part of a sample that m R / S is behind a whole one, and h a sinc under Hann's window over 16 zero crossings
on each side, which ends at half of the lower rate; each of its rows is rounded to integers whose sum is 2^15. Outside
the file is silence. What is compressed or floating is refused.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import struct

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import DataError

MAX_FILE_BYTES = 1 << 26
MAX_CHANNELS = 8
LOWEST, HIGHEST = 1000, 192000  # samples a second
MAX_WEIGHTS = 1 << 22  # of a change of rates
CROSSINGS = 16
BLOCK = 4096  # samples that are made at once
PCM, EXTENSIBLE = 1, 0xFFFE
WIDTHS = (8, 16, 24, 32)
ENDINGS = (".wav", ".wave")

Shorts = NDArray[np.int16]


@dataclasses.dataclass(frozen=True)
class Sound:
    """One channel of sound: int16 [n], `rate` a second; and what its file held."""

    samples: Shorts
    rate: int
    bits: int
    channels: int


def begins_like_sound(data: bytes) -> bool:
    """Whether these are the first bytes of a WAV file."""
    return data[:4] == b"RIFF" and data[8:12] == b"WAVE"


def decode(data: bytes, name: str) -> Sound:
    """The sound in the bytes of a WAV file, which errors call `name`.

    Raises:
        DataError: it is no WAV file, it is damaged, or it holds other samples than are read here.
    """
    chunks = _chunks(data, name)
    if len(chunks.get(b"fmt ", b"")) < 16 or b"data" not in chunks:
        raise DataError(f"{name} is damaged: a WAV file has a format and samples. Save it anew.")
    form, body = chunks[b"fmt "], chunks[b"data"]
    kind, channels, rate, _, _, bits = struct.unpack_from("<HHIIHH", form)
    if kind == EXTENSIBLE and len(form) >= 26:
        kind = struct.unpack_from("<H", form, 24)[0]
    if kind != PCM or bits not in WIDTHS:
        raise DataError(
            f"{name} holds samples of format {kind} with {bits} bits; integers (PCM, format 1) of "
            f"{', '.join(map(str, WIDTHS))} bits are read. Save it as 16-bit PCM."
        )
    if not 1 <= channels <= MAX_CHANNELS or not LOWEST <= rate <= HIGHEST:
        raise DataError(
            f"{name} has {channels} channels and {rate} samples a second; 1 to {MAX_CHANNELS} and {LOWEST} to "
            f"{HIGHEST} are read. Save it anew."
        )
    if len(body) % (channels * bits // 8):
        raise DataError(f"{name} is damaged: it ends within a sample. Save it anew.")
    return Sound(_one_channel(_shorts(body, bits).reshape(-1, channels)), rate, bits, channels)


def at_rate(sound: Sound, rate: int, name: str) -> Shorts:
    """The samples of `sound` at `rate` a second, int16 [floor(n rate / its own)]; the module has the equation.

    Raises:
        DataError: the two rates have so little in common that too many weights would be needed.
    """
    if rate == sound.rate:
        return sound.samples
    up, down = rate // math.gcd(rate, sound.rate), sound.rate // math.gcd(rate, sound.rate)
    reach = _reach(up, down)
    if up * 2 * reach > MAX_WEIGHTS:
        raise DataError(
            f"{name} has {sound.rate} samples a second, which can't be brought to {rate} here. Save it at {rate}."
        )
    weights = _weights(up, down)
    padded = np.pad(sound.samples.astype(np.int64), (reach, reach + 1))
    made = np.empty(len(sound.samples) * up // down, np.int16)
    for begin in range(0, len(made), BLOCK):
        place = np.arange(begin, min(begin + BLOCK, len(made)), dtype=np.int64) * down
        near = padded[place[:, None] // up + np.arange(1, 2 * reach + 1)]
        sums = (near * weights[place % up]).sum(axis=1)
        made[begin : begin + len(place)] = np.clip((sums + (1 << 14)) >> 15, -(1 << 15), (1 << 15) - 1)
    return made


def centred(samples: Shorts, length: int) -> Shorts:
    """`length` samples about the middle of `samples`, with silence on both sides where there are fewer."""
    spare = length - len(samples)
    if spare <= 0:
        return samples[-spare // 2 : -spare // 2 + length]
    return np.pad(samples, (spare // 2, spare - spare // 2))


def _chunks(data: bytes, name: str) -> dict[bytes, bytes]:
    """The first chunk of each name of a RIFF file."""
    if not begins_like_sound(data):
        raise DataError(f"{name} is no WAV file: it does not begin as one. Save it as 16-bit PCM.")
    found: dict[bytes, bytes] = {}
    at = 12
    while at + 8 <= len(data):
        kind, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if at + 8 + size > len(data):
            raise DataError(f"{name} is damaged: it has {len(data)} bytes, and says that there are more. Save it anew.")
        found.setdefault(kind, data[at + 8 : at + 8 + size])
        at += 8 + size + size % 2
    return found


def _shorts(body: bytes, bits: int) -> NDArray[np.int64]:
    """Samples of `bits` as 16 bits. int64 [n]"""
    if bits == 8:
        return (np.frombuffer(body, np.uint8).astype(np.int64) - 128) << 8
    if bits == 16:
        return np.frombuffer(body, "<i2").astype(np.int64)
    if bits == 32:
        whole = np.frombuffer(body, "<i4").astype(np.int64)
    else:
        parts = np.frombuffer(body, np.uint8).reshape(-1, 3).astype(np.int64)
        whole = parts[:, 0] | parts[:, 1] << 8 | (parts[:, 2] ^ 128) - 128 << 16
    drop = bits - 16
    return np.minimum((whole + (1 << (drop - 1))) >> drop, (1 << 15) - 1)


def _one_channel(samples: NDArray[np.int64]) -> Shorts:
    channels = samples.shape[1]
    return ((2 * samples.sum(axis=1) + channels) // (2 * channels)).astype(np.int16)


def _reach(up: int, down: int) -> int:
    """Samples on each side that a sample of the new rate is made of."""
    return -(-CROSSINGS * max(up, down) // up)


@functools.lru_cache(8)
def _weights(up: int, down: int) -> NDArray[np.int64]:
    """h[p, n], n = 1 - reach .. reach. int64 [up, 2 reach]"""
    reach = _reach(up, down)
    away = (np.arange(1 - reach, reach + 1) - np.arange(up)[:, None] / up) * min(1.0, up / down)
    window = np.where(np.abs(away) < CROSSINGS, 0.5 + 0.5 * np.cos(np.pi * away / CROSSINGS), 0.0)
    real = np.sinc(away) * window
    weights = np.floor(real / real.sum(axis=1, keepdims=True) * (1 << 15) + 0.5).astype(np.int64)
    rows, nearest = np.arange(up), np.abs(away).argmin(axis=1)
    weights[rows, nearest] += (1 << 15) - weights.sum(axis=1)
    return weights
