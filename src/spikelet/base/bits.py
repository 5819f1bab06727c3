"""Weight codes as packed bits (spec Q2, Q3, Q5). A code is stored as a field of b bits:

    symmetric   its two's complement, b = 2..8
    odd         k = (code + s) / 2,  s = 2^b - 1: 0 .. s for -s .. s
    1 bit       the same k: bit 1 = +1, bit 0 = -1

Fields stand one after another in row-major order, the first in the lowest bits of the first byte; each field has
its own lowest bit first. The bits after the last one, up to a whole byte, are zero.

    codes  +1 -1 -1 +1 +1      1 bit          ->  0b00011001
    codes   3 -2  1            3 bits         ->  0b01110011 0b00000000      (011, then 110, then 001)
    codes   3 -1 -3            2 bits, odd    ->  0b00000111                 (11, then 01, then 00)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import Codes, dtype_of, has_zero, top_code
from spikelet.base.errors import ArtifactError, GraphError


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take."""
    return (count * bits + 7) // 8


def pack(codes: Codes, bits: int, grid: str = "symmetric") -> NDArray[np.uint8]:
    """Codes of any shape to uint8 [packed_bytes(codes.size, bits)].

    Raises:
        GraphError: `bits` is not 1 to 8, or a code does not fit.
    """
    _check_bits(bits)
    fields = _fields(np.ascontiguousarray(codes).reshape(-1), bits, grid)
    if bits == 1:
        return np.packbits(fields, bitorder="little")
    if bits == 8:
        return fields
    lanes = np.unpackbits(fields[:, None], axis=1, bitorder="little")
    return np.packbits(lanes[:, :bits], bitorder="little")


def unpack(packed: NDArray[np.uint8], count: int, bits: int, grid: str = "symmetric") -> Codes:
    """The inverse of `pack`: [count], int8, or int16 for odd codes of 8 bits.

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
    odd = not has_zero(bits, grid)
    fields = packed if bits == 8 else _unpacked_fields(packed, count, bits, signed=not odd)
    if not odd:
        return fields.view(np.int8).copy()
    codes = fields.astype(dtype_of(bits, grid))
    codes *= 2  # may wrap, and the subtraction wraps back
    codes -= top_code(bits, grid)
    return codes


def _unpacked_fields(packed: NDArray[np.uint8], count: int, bits: int, *, signed: bool) -> NDArray[np.uint8]:
    lanes = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
    if signed:
        lanes = np.concatenate([lanes, np.repeat(lanes[:, -1:], 8 - bits, axis=1)], axis=1)
    return np.packbits(lanes, axis=1, bitorder="little").reshape(-1)


def _fields(codes: Codes, bits: int, grid: str) -> NDArray[np.uint8]:
    """The field of every code, uint8 [codes.size]."""
    odd, top = not has_zero(bits, grid), top_code(bits, grid)
    low, high = (-top, top) if odd else (-top - 1, top)
    if codes.size and (codes.min() < low or codes.max() > high):
        raise GraphError(_wrong(bits, low, high, odd, f"{codes.min()} to {codes.max()}"))
    if odd and not (codes & 1).all():
        raise GraphError(_wrong(bits, low, high, odd, f"{codes.min()} to {codes.max()} with even ones"))
    if odd:
        return ((codes.astype(np.int16) + np.int16(high)) >> 1).astype(np.uint8)
    return codes.astype(np.int8).view(np.uint8)


def _wrong(bits: int, low: int, high: int, odd: bool, got: str) -> str:
    wanted = "-1 or +1" if bits == 1 else f"{low} to {high}{', all odd' if odd else ''}"
    return f"codes of {bits} bits must be {wanted}, got {got}."


def _check_bits(bits: int) -> None:
    if bits not in range(1, 9):
        raise GraphError(f"bits must be 1 to 8, got {bits}.")
