"""IDX files, the format of MNIST and its kin, plain or gzipped.

    2 zero bytes, 1 byte type (0x08: unsigned bytes, the only one read here), 1 byte number of axes D,
    D big-endian uint32 lengths, then the values in row-major order, and nothing more.

Source: LeCun, Cortes and Burges, the MNIST database, "file formats".
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path

import numpy as np

_MAX_BYTES = 1 << 32  # far above any set of this kind; a damaged length is refused before it is allocated


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file.

    Args:
        path: the file; gzipped if its name ends in .gz.
    Returns:
        uint8, with the axes that the file states.
    Raises:
        ValueError: the file is not exactly one IDX array of unsigned bytes.
    """
    try:
        with gzip.open(path, "rb") if path.suffix == ".gz" else path.open("rb") as stream:
            return _parse(stream, path)
    except (gzip.BadGzipFile, zlib.error, EOFError) as error:
        raise ValueError(f"{path} is not a complete gzip file ({error}). Fetch it again.") from error


def _take(stream: io.BufferedIOBase, size: int, path: Path, what: str) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise ValueError(f"{path} ends within its {what}: {size} bytes expected, {len(data)} found. Fetch it again.")
    return data


def _parse(stream: io.BufferedIOBase, path: Path) -> np.ndarray:
    zero, kind, axes = struct.unpack(">HBB", _take(stream, 4, path, "header"))
    if zero != 0 or kind != 0x08 or axes == 0:
        raise ValueError(
            f"{path} is not an IDX file of unsigned bytes: it should begin with 00 00 08 and a number of axes, "
            f"and begins with {zero >> 8:02x} {zero & 255:02x} {kind:02x} {axes:02x}."
        )
    shape = struct.unpack(f">{axes}I", _take(stream, 4 * axes, path, "header"))
    size = math.prod(shape)
    if size > _MAX_BYTES:
        raise ValueError(f"{path} claims {size} bytes of shape {shape}, more than the {_MAX_BYTES} read here.")
    data = _take(stream, size, path, "data")
    if stream.read(1):
        raise ValueError(f"{path} goes on after the {size} bytes that its shape {shape} asks for. Fetch it again.")
    return np.frombuffer(data, np.uint8).reshape(shape)
