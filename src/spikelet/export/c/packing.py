"""Weights as rows of packed fields: a row holds the weights of one tap and input channel, of all outputs.

A code is scale * field + offset, field = w + 2^(bits-1): 0 for the smallest code. Fields of 3 bits take 4. Those of 5 to
8 bits are bytes, and field = w, in two's complement.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import Codes, is_odd

WIDTH = 32  # outputs of a word
STORED = {1: 1, 2: 2, 3: 4, 4: 4, 5: 8, 6: 8, 7: 8, 8: 8}


@dataclasses.dataclass(frozen=True, eq=False)
class Packed:
    """Rows uint8 [synapses, row_bytes] of fields of `bits` bits; code = scale * field + offset."""

    rows: NDArray[np.uint8]
    bits: int
    scale: int
    offset: int


def packed(w: Codes, bits: int, grid: str) -> Packed:
    """`w` [synapses, outputs] as rows, the first output in the lowest bits of the first byte."""
    stored = STORED[bits]
    if stored == 8:
        scale, _ = _scaling(bits, grid)
        return Packed(w.astype(np.int8).view(np.uint8), stored, scale, int(scale == 2))
    lanes = np.unpackbits(_fields(w, bits)[..., None], axis=2, bitorder="little")[..., :stored]
    rows = np.packbits(lanes.reshape(len(w), -1), axis=1, bitorder="little")
    return Packed(rows, stored, *_scaling(bits, grid))


@dataclasses.dataclass(frozen=True, eq=False)
class Sliced:
    """Rows uint32 [synapses + 1, bits, words], the last of zeros: bit j of 32 outputs' fields in a word."""

    rows: NDArray[np.uint32]
    bits: int
    scale: int
    offset: int


def sliced(w: Codes, bits: int, grid: str) -> Sliced:
    """`w` [synapses, outputs] as planes of bits, output 0 in the lowest bit of the first word."""
    padded = np.zeros((len(w) + 1, -(-w.shape[1] // WIDTH) * WIDTH), np.uint8)
    padded[:-1, : w.shape[1]] = _fields(w, bits)
    planes = [np.packbits(padded >> j & 1, axis=1, bitorder="little").view("<u4") for j in range(bits)]
    return Sliced(np.stack(planes, axis=1).astype(np.uint32), bits, *_scaling(bits, grid))


def _fields(w: Codes, bits: int) -> NDArray[np.uint8]:
    """w + 2^(bits - 1)."""
    return (w.astype(np.int16) + 2 ** (bits - 1)).astype(np.uint8)


def _scaling(bits: int, grid: str) -> tuple[int, int]:
    """Scale and offset of a code."""
    scale, half = 2 if is_odd(bits, grid) else 1, 2 ** (bits - 1)
    return scale, scale * -half + (scale == 2)


def rows_of_conv(weight: Codes) -> Codes:
    """[O, I, kh, kw] -> [taps, I, O] as [synapses, outputs]."""
    return weight.transpose(2, 3, 1, 0).reshape(-1, weight.shape[0])


def rows_of_linear(weight: Codes, channels: int) -> Codes:
    """[O, C * positions], which reads a flattened map -> [positions, C, O] as [synapses, outputs]."""
    return weight.reshape(len(weight), channels, -1).transpose(2, 1, 0).reshape(-1, len(weight))
