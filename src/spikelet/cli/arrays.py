"""An .npy file of bytes. Its header is read first; nothing is allocated, and no object made, of what it only claims."""

from __future__ import annotations

import math
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import FileRefused
from spikelet.base.regular import open_regular

MAX_FILE_BYTES = 1 << 40  # of which no more is read than the shape asks for
_HEADERS = {(1, 0): np.lib.format.read_array_header_1_0, (2, 0): np.lib.format.read_array_header_2_0}


def read_array(path: Path, shapes: tuple[tuple[int, ...], tuple[int, ...]]) -> NDArray[np.uint8]:
    """The array in `path`, uint8 of one of two shapes: one image, or one frame a time step.

    Raises:
        FileNotFoundError, PermissionError: no such file, or it may not be read.
        FileRefused: not an .npy file, a damaged one, or one of another type or shape.
    """
    with open_regular(path, MAX_FILE_BYTES) as file:
        shape, by_columns, dtype = _header(file, path)
        if dtype != np.uint8 or shape not in shapes:
            raise FileRefused(
                f"{path} must hold uint8 of shape {list(shapes[0])}, or {list(shapes[1])} for one frame a time step; "
                f"got {str(dtype)[:40]} {str(list(shape))[:60]}."
            )
        size = math.prod(shape)
        data = file.read(size + 1)
    if len(data) != size:
        raise FileRefused(
            f"{path} holds {'more' if len(data) > size else 'less'} than the {size} bytes that its shape asks for. "
            "Save it anew."
        )
    return np.frombuffer(data, np.uint8).reshape(shape, order="F" if by_columns else "C")


def _header(file: BinaryIO, path: Path) -> tuple[tuple[int, ...], bool, np.dtype]:
    """Shape, whether columns come first, and type."""
    try:
        return _HEADERS[np.lib.format.read_magic(file)](file)
    except Exception as error:  # another version, or whatever Python's tokenizer and parser raise
        raise FileRefused(f"{path} is not an .npy file, or its header is damaged. Save it anew.") from error
