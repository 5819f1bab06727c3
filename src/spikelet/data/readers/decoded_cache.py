"""Arrays that are slow to make, kept on disk under the name of what they were made from.

    folder   $SPIKELET_CACHE, else $XDG_CACHE_HOME/spikelet, else ~/.cache/spikelet
    file     decoded/<sha256 of the source>.npy, whole or absent (base/files.py)

A file that is missing or does not read as such an array is made anew. Deleting the folder costs time only.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np

from spikelet.base.files import atomic_write


def cache_folder() -> Path:
    """The folder of the cache, which need not exist."""
    if chosen := os.environ.get("SPIKELET_CACHE"):
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "spikelet"


def recall(digest: str, make: Callable[[], np.ndarray]) -> np.ndarray:
    """The uint8 array [N, C, H, W] kept under `digest`, or else `make()`, which is then kept.

    Warns:
        UserWarning: the array could not be kept; it is returned all the same.
    """
    path = cache_folder() / "decoded" / f"{digest}.npy"
    kept = _read(path)
    if kept is not None:
        return kept
    made = make()
    try:
        _write(path, made)
    except OSError as error:
        warnings.warn(
            f"decoded images could not be kept in {path.parent} ({error}); they will be decoded again next time. "
            "Set SPIKELET_CACHE to a folder that can be written to.",
            stacklevel=2,
        )
    return made


def _read(path: Path) -> np.ndarray | None:
    try:
        array = np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError):
        return None
    return array if isinstance(array, np.ndarray) and array.dtype == np.uint8 and array.ndim == 4 else None


def _write(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic_write(path) as stream:
        np.save(stream, array, allow_pickle=False)
