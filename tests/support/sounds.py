"""Sounds to hear, front ends that hear them, and WAV files."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelet.base.logmel import LogMel

FRONT_ENDS = (
    LogMel(),
    LogMel(window=64, hop=64, bands=8),
    LogMel(window=128, hop=100, bands=12, quiet=0),
    LogMel(rate=16000, window=512, hop=200, bands=40, highest=7600),
    LogMel(window=1024, hop=333, bands=30),
    LogMel(adapt=3),
    LogMel(window=128, hop=100, bands=12, adapt=8),
)


def name_of(hears: LogMel) -> str:
    """What a test calls a front end."""
    return f"{hears.window}-{hears.hop}-{hears.bands}" + (f"-adapt{hears.adapt}" if hears.adapt else "")


def _draw() -> np.random.Generator:
    return np.random.default_rng(7)


def _short(values: NDArray[np.generic]) -> NDArray[np.int16]:
    return np.clip(values, -32768, 32767).astype(np.int16)


SOUNDS: dict[str, Callable[[int], NDArray[np.int16]]] = {
    "noise": lambda n: _short(_draw().integers(-32768, 32768, n)),
    "hardly anything": lambda n: _short(_draw().integers(-2, 3, n)),
    "silence": lambda n: np.zeros(n, np.int16),
    "the ends of the range": lambda n: _short(_draw().choice([-32768, 32767], n)),
    "up and down": lambda n: _short(np.where(np.arange(n) % 2, 32767, -32768)),
    "a tone": lambda n: _short(32767 * np.sin(np.arange(n) * 0.7)),
    "a click": lambda n: _short((np.arange(n) == n // 3) * -32768),
    "every volume": lambda n: _short(_draw().integers(-32768, 32768, n) >> _draw().integers(0, 16, n)),
}


def wav(samples: NDArray[np.generic], rate: int = 8000, bits: int = 16, kind: int = 1) -> bytes:
    """A WAV file of samples [n] or [n, channels] that are integers of `bits`, as the file has them."""
    frames = samples.reshape(len(samples), -1).astype(np.int64)
    width, channels = bits // 8, frames.shape[1]
    body = frames.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width].tobytes()
    form = struct.pack("<HHIIHH", kind, channels, rate, rate * channels * width, channels * width, bits)
    chunks = b"fmt " + struct.pack("<I", len(form)) + form + b"LIST" + struct.pack("<I", 3) + b"abc\0"
    chunks += b"data" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunks)) + b"WAVE" + chunks


def put(path: Path, data: bytes) -> Path:
    """A file whose folders are made too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)
    return path
