"""Pictures that are slow to decode, kept on disk under the name of what they were made from.

    folder   $SPIKELET_CACHE, else $XDG_CACHE_HOME/spikelet, else ~/.cache/spikelet
    file     decoded/<sha256 of the source>.pixels, whole or absent (base/files.py): 5 little-endian uint64, which are
             the shape [N, C, H, W] and how many pictures had transparency; blake2b of these and the pixels; the pixels

A file that is missing, damaged or another user's is made anew. Deleting the folder costs time only.
"""

from __future__ import annotations

import dataclasses
import hashlib
import math
import os
import struct
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikelet.base.files import atomic_write
from spikelet.base.regular import open_regular

_HEADER = struct.Struct("<5Q")
_DIGEST_BYTES = 64
_MAX_BYTES = 1 << 35
_TRUSTED = frozenset({0})  # the administrator's number


@dataclasses.dataclass(frozen=True)
class Decoded:
    """Pictures uint8 [N, C, H, W], and how many of them were not opaque."""

    pixels: np.ndarray
    transparent: int


def cache_folder() -> Path | None:
    """The folder of the cache, which need not exist; None for a user without a home."""
    if chosen := os.environ.get("SPIKELET_CACHE"):
        return Path(chosen)
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "spikelet"
    try:
        return Path.home() / ".cache" / "spikelet"
    except RuntimeError:
        return None


def recall(digest: str, count: int, make: Callable[[], Decoded]) -> Decoded:
    """The `count` pictures kept under `digest`, or else `make()`, which is then kept.

    Warns:
        UserWarning: they could not be kept; they are returned all the same.
    """
    folder = cache_folder()
    if folder is None:
        return _unkept(make(), "the user has no home folder")
    path = folder / "decoded" / f"{digest}.pixels"
    kept = _read(path)
    if kept is not None and len(kept.pixels) == count:
        return kept
    made = make()
    try:
        _write(path, made)
    except OSError as error:
        return _unkept(made, f"in {path.parent}: {error}")
    return made


def _unkept(made: Decoded, why: str) -> Decoded:
    warnings.warn(
        f"decoded images could not be kept ({why}); they will be decoded again next time. Set SPIKELET_CACHE to a "
        "folder that can be written to.",
        stacklevel=3,
    )
    return made


def _read(path: Path) -> Decoded | None:
    try:
        with open_regular(path, _MAX_BYTES) as stream:
            if not _is_ours(os.fstat(stream.fileno())):
                return None
            header, digest = stream.read(_HEADER.size), stream.read(_DIGEST_BYTES)
            size = os.fstat(stream.fileno()).st_size - _HEADER.size - _DIGEST_BYTES
            if len(digest) != _DIGEST_BYTES:
                return None
            *shape, transparent = _HEADER.unpack(header)
            if math.prod(shape) != size:
                return None
            pixels = np.frombuffer(bytearray(stream.read(size)), np.uint8)
            if len(pixels) != size or _digest(header, pixels) != digest:
                return None
    except (OSError, ValueError):
        return None
    return Decoded(pixels.reshape(shape), transparent)


def _is_ours(status: os.stat_result) -> bool:
    """Whether a file is the user's own, or the administrator's."""
    return not hasattr(os, "geteuid") or status.st_uid in _TRUSTED | {os.geteuid()}


def _digest(header: bytes, pixels: np.ndarray) -> bytes:
    digest = hashlib.blake2b(header, digest_size=_DIGEST_BYTES)
    digest.update(pixels.data)
    return digest.digest()


def _write(path: Path, made: Decoded) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    header = _HEADER.pack(*made.pixels.shape, made.transparent)
    pixels = np.ascontiguousarray(made.pixels).reshape(-1)
    with atomic_write(path) as stream:
        stream.write(header + _digest(header, pixels))
        stream.write(pixels.data)
