"""Weight codes as packed bits (spec Q2, Q3, Q5). A graph's w (base/codes.py) is stored as a field of b bits:

    symmetric, full   two's complement
    odd, 1 bit        k = w + 2^(b-1): 0 for the smallest code, 2^b - 1 for the largest; at 1 bit, bit 1 = +1

Fields stand one after another in row-major order, the first in the lowest bits of the first byte; each field has
its own lowest bit first. The bits after the last one, up to a whole byte, are zero.

    codes  +1 -1 -1 +1 +1      1 bit          ->  0b00011001
    codes   3 -2  1            3 bits         ->  0b01110011 0b00000000      (011, then 110, then 001)
    codes   3 -1 -3            2 bits, odd    ->  0b00000111                 (11, then 01, then 00)
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import Codes, is_odd
from spikelet.base.errors import ArtifactError, GraphError

PIECE = 2**17  # codes that are moved at once, a multiple of 8


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take."""
    return (count * bits + 7) // 8


def pack(w: Codes, bits: int, grid: str = "symmetric") -> NDArray[np.uint8]:
    """Codes, held as `w` of any shape, as uint8 [packed_bytes(w.size, bits)].

    Raises:
        GraphError: `bits` is not 1 to 8, or a w needs more bits.
    """
    _check_bits(bits)
    flat = np.ascontiguousarray(w).reshape(-1)
    half = 2 ** (bits - 1)
    if flat.size and (flat.min() < -half or flat.max() >= half):
        raise GraphError(f"w of {bits} bits must be {-half} to {half - 1}, got {flat.min()} to {flat.max()}.")
    fields = flat.astype(np.int8).view(np.uint8) ^ np.uint8(_flip(bits, grid))
    if bits == 8:
        return fields
    packed = np.empty(packed_bytes(flat.size, bits), np.uint8)
    for codes, bytes_ in _pieces(flat.size, bits):
        lanes = np.unpackbits(fields[codes, None], axis=1, bitorder="little")
        packed[bytes_] = np.packbits(lanes[:, :bits], bitorder="little")
    return packed


def unpack(packed: NDArray[np.uint8], count: int, bits: int, grid: str = "symmetric") -> Codes:
    """The inverse of `pack`: w, int8 [count].

    Raises:
        GraphError: `bits` is not 1 to 8.
        ArtifactError: `packed` has another length than `count` codes take, or a padding bit is set.
    """
    _check_bits(bits)
    if packed.shape != (packed_bytes(count, bits),):
        raise ArtifactError(
            f"{count} codes of {bits} bits take {packed_bytes(count, bits)} bytes, got shape {packed.shape}."
        )
    used = count * bits % 8
    padding = int(packed[-1]) >> used if used else 0
    if padding:
        raise ArtifactError(f"the {8 - used} padding bits after the last code must be 0, got {padding:b} (binary).")
    if bits == 8:
        return (packed ^ np.uint8(_flip(bits, grid))).view(np.int8)
    w = np.empty(count, np.uint8)
    for codes, bytes_ in _pieces(count, bits):
        size = min(codes.stop, count) - codes.start
        lanes = np.unpackbits(packed[bytes_], count=size * bits, bitorder="little").reshape(size, bits)
        if is_odd(bits, grid):
            lanes[:, -1] ^= 1
        signed = np.concatenate([lanes, np.repeat(lanes[:, -1:], 8 - bits, axis=1)], axis=1)
        w[codes] = np.packbits(signed, axis=1, bitorder="little").reshape(-1)
    return w.view(np.int8)


def _pieces(count: int, bits: int) -> Iterator[tuple[slice, slice]]:
    """Codes, and the whole bytes that they take, a piece after the other: a bit takes a byte while it is moved."""
    for start in range(0, count, PIECE):
        yield slice(start, start + PIECE), slice(start * bits // 8, (start + PIECE) * bits // 8)


def _flip(bits: int, grid: str) -> int:
    """The bit in which k = w + 2^(b-1) differs from w's two's complement."""
    return 1 << (bits - 1) if is_odd(bits, grid) else 0


def _check_bits(bits: int) -> None:
    if bits not in range(1, 9):
        raise GraphError(f"bits must be 1 to 8, got {bits}.")
