"""IDX files, the format of MNIST and its kin, plain or gzipped.

    2 zero bytes, 1 byte type (0x08: unsigned bytes, the only one read here), 1 byte number of axes D,
    D big-endian uint32 lengths, then the values in row-major order, and nothing more.

The lengths are checked before any value is read: at most 1 GiB; in a plain file, as many bytes as there are; in a
gzipped one, at most 100 times its own bytes or 16 MiB (images compress to a fifth, say, and zeros to a thousandth).
Source: LeCun, Cortes and Burges, the MNIST database, "file formats".
"""

from __future__ import annotations

import gzip
import io
import math
import struct
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np

from spikelet.base.errors import DataError
from spikelet.base.regular import open_regular
from spikelet.data.readers.room import room_for

MAX_BYTES = 1 << 30  # the largest set of this kind, EMNIST by class, has half of it
MAX_AXES = 4
_MAX_FILE_BYTES = MAX_BYTES + 1024
_EXPANSION, _SMALL = 100, 16 << 20
_PIECE = 1 << 20
_Stream = BinaryIO | io.BufferedIOBase


def read_idx(path: Path) -> np.ndarray:
    """The array in an IDX file.

    Args:
        path: the file; gzipped if its name ends in .gz.
    Returns:
        uint8, with the axes that the file states.
    Raises:
        FileRefused: not a regular file, or too large.
        DataError: the file is not exactly one IDX array of unsigned bytes.
    """
    with open_regular(path, _MAX_FILE_BYTES) as file:
        length = path.stat().st_size
        if path.suffix.lower() != ".gz":
            return _parse(file, path, length)
        try:
            with gzip.GzipFile(fileobj=file) as stream:
                return _parse(stream, path, max(_SMALL, _EXPANSION * length))
        except (gzip.BadGzipFile, zlib.error, EOFError) as error:
            raise DataError(f"{path} is not a complete gzip file ({error}). Fetch it again.") from error


def _parse(stream: _Stream, path: Path, most: int) -> np.ndarray:
    zero, kind, axes = struct.unpack(">HBB", _take(stream, 4, path))
    if zero != 0 or kind != 0x08 or not 1 <= axes <= MAX_AXES:
        raise DataError(
            f"{path} is not an IDX file of unsigned bytes: it should begin with 00 00 08 and a number of axes, 1 to "
            f"{MAX_AXES}, and begins with {zero >> 8:02x} {zero & 255:02x} {kind:02x} {axes:02x}."
        )
    shape = struct.unpack(f">{axes}I", _take(stream, 4 * axes, path))
    if (size := math.prod(max(n, 1) for n in shape)) > MAX_BYTES:
        raise DataError(f"{path} claims {size} bytes of shape {shape}, more than the {MAX_BYTES} read here.")
    size, left = math.prod(shape), most - 4 - 4 * axes
    if size > left:
        raise DataError(
            f"{path} ends within its data: {size} bytes expected, {left} found at most in a file of its length. "
            "Fetch it again."
        )
    values = room_for((size,), str(path))
    _fill(values, stream, path)
    if stream.read(1):
        raise DataError(f"{path} goes on after the {size} bytes that its shape {shape} asks for. Fetch it again.")
    return values.reshape(shape)


def _take(stream: _Stream, size: int, path: Path) -> bytes:
    data = stream.read(size)
    if len(data) != size:
        raise DataError(f"{path} ends within its header: {size} bytes expected, {len(data)} found. Fetch it again.")
    return data


def _fill(values: np.ndarray, stream: _Stream, path: Path) -> None:
    """Reads `values`, a piece at a time, so that a file that ends early takes no more memory than it has."""
    for start in range(0, len(values), _PIECE):
        piece = stream.read(min(_PIECE, len(values) - start))
        values[start : start + len(piece)] = np.frombuffer(piece, np.uint8)
        if len(piece) < min(_PIECE, len(values) - start):
            found = start + len(piece)
            raise DataError(
                f"{path} ends within its data: {len(values)} bytes expected, {found} found. Fetch it again."
            )
