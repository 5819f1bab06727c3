"""Weight codes as packed bits (spec Q2, Q3).

    1 bit     bit 1 = +1, bit 0 = -1
    b bits    two's complement of b bits, b = 2..8

Codes stand one after another in row-major order, the first code in the lowest bits of the first byte;
each code has its own lowest bit first. The bits after the last code, up to a whole byte, are zero.

    codes  +1 -1 -1 +1 +1      1 bit   ->  0b00011001
    codes   3 -2  1            3 bits  ->  0b01110011 0b00000000      (011, then 110, then 001)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet.graph.errors import ArtifactError, GraphError


def packed_bytes(count: int, bits: int) -> int:
    """Bytes that `count` codes of `bits` bits take."""
    return (count * bits + 7) // 8


def pack(codes: NDArray[np.int8], bits: int) -> NDArray[np.uint8]:
    """Codes of any shape to uint8 [packed_bytes(codes.size, bits)].

    Raises:
        GraphError: `bits` is not 1 to 8, or a code does not fit.
    """
    low, high = _code_range(bits)
    flat = np.ascontiguousarray(codes, dtype=np.int8).reshape(-1)
    if flat.size and (flat.min() < low or flat.max() > high or (bits == 1 and not flat.all())):
        raise GraphError(
            f"codes of {bits} bits must be {'-1 or +1' if bits == 1 else f'{low} to {high}'}, "
            f"got {flat.min()} to {flat.max()}{' with zeros' if not flat.all() else ''}."
        )
    if bits == 1:
        return np.packbits(flat > 0, bitorder="little")
    if bits == 8:
        return flat.view(np.uint8).copy()
    lanes = np.unpackbits(flat.view(np.uint8)[:, None], axis=1, bitorder="little")
    return np.packbits(lanes[:, :bits], bitorder="little")


def unpack(packed: NDArray[np.uint8], count: int, bits: int) -> NDArray[np.int8]:
    """The inverse of `pack`: int8 [count].

    Raises:
        GraphError: `bits` is not 1 to 8.
        ArtifactError: `packed` has another length than `count` codes take, or a padding bit is set.
    """
    _code_range(bits)
    if packed.shape != (packed_bytes(count, bits),):
        raise ArtifactError(
            f"{count} codes of {bits} bits take {packed_bytes(count, bits)} bytes, got shape {packed.shape}."
        )
    used = count * bits % 8
    padding = int(packed[-1]) >> used if used else 0
    if padding:
        raise ArtifactError(f"the {8 - used} padding bits after the last code must be 0, got {padding:b} (binary).")
    if bits == 8:
        return packed.view(np.int8).copy()
    lanes = np.unpackbits(packed, count=count * bits, bitorder="little")
    if bits == 1:
        return lanes.view(np.int8) * np.int8(2) - np.int8(1)
    lanes = lanes.reshape(count, bits)
    sign = np.repeat(lanes[:, -1:], 8 - bits, axis=1)
    return np.packbits(np.concatenate([lanes, sign], axis=1), axis=1, bitorder="little").reshape(-1).view(np.int8)


def _code_range(bits: int) -> tuple[int, int]:
    if bits not in range(1, 9):
        raise GraphError(f"bits must be 1 to 8, got {bits}.")
    return (-1, 1) if bits == 1 else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)
