"""Weights and maps in the order in which the kernels read them.

Every synapse of a convolution has a number: k = (ky * kw + kx) * C + c, input channel fastest, over all
C input channels. A linear layer over a flattened map [C, H, W] is a convolution of that kernel size.

    rows     int8   [K + 1, O/g padded to 32]   column j of row k: the j-th output of the row's group
    sliced   uint64 [K + 1, words]              bit o of row k: 1 for +1
    ordered  uint64 [K + 1, words]              the same, outputs in their order; of both, those of several pixels
                                                where pixels share a row (plan/shared_rows.py)
    places   uint16 [...]                       the longest list's length; by output the length of its list, and the
                                                list: its synapses of weight +1, filled up to a multiple of 8 with K
    taps     int16  [kh * kw, O padded to 8]   one input channel each, a group of its own
    pairs    int16  [kh, ceil(kw*C / 2), O padded to 8, 2]   two neighbouring synapses side by side
    quads    int8   [kh, ceil(kw*C / 4), O padded to 8, 4]   four of them
    blocks   int8   [ceil(O / 16), ceil(K / 64), 16, 16, 4]   four of them of 16 outputs, 16 times

Row K is zero: lists of rows are filled up with it.

Everything else is int32:

    channels  [..., C padded to 8]              a number by channel, one row of them a step, or of a neuron's table
    map       [H * W, C padded to 8]            a map as it lies in the arena
    runs      [runs + 1, 3]                     a channel map as runs of neighbours
    index     [H * W]                           a pixel of the source for every pixel, or -1
    states    [states, entries]                 numbers of cuts
    steps     [T]                               a number by step
"""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import Codes
from spikelet.base.errors import GraphError

Array = NDArray[np.generic]
Whole = NDArray[np.int8] | NDArray[np.int16]
ALIGNMENT = 64
ROW = 64  # places.h: bytes of many places
UNIT = 8  # events.h: lists are filled up to a multiple of it
CUT_FIRST, CUT_LAST, CUT_APART = 4, 16, 2  # cuts.h: widths of cuts


def round_up(n: int, to: int) -> int:
    """The smallest multiple of `to` that is not below `n`."""
    return -(-n // to) * to


def aligned_empty(size: int) -> NDArray[np.uint8]:
    """`size` bytes that start at a multiple of 64."""
    raw = np.empty(size + ALIGNMENT, np.uint8)
    start = -raw.ctypes.data % ALIGNMENT
    return raw[start : start + size]


def aligned(values: Array) -> Array:
    """A copy of `values` that starts at a multiple of 64."""
    copy = aligned_empty(max(values.nbytes, 1))[: values.nbytes].view(values.dtype).reshape(values.shape)
    copy[...] = values
    return copy


@dataclasses.dataclass(frozen=True, eq=False)
class Weights:
    """An aligned array, its bytes per synapse, and which of the layouts above it has."""

    array: Array
    row_bytes: int
    packing: str


def _by_synapse(weight_OIhw: Whole, groups: int) -> Whole:
    """[O, I, kh, kw] -> [kh * kw * I * groups, O / groups]: k as in the module's docstring."""
    o, i, kh, kw = weight_OIhw.shape
    per_group = weight_OIhw.reshape(groups, o // groups, i, kh, kw)
    return per_group.transpose(3, 4, 0, 2, 1).reshape(kh * kw * groups * i, o // groups)


def rows(name: str, weight_OIhw: Codes, groups: int) -> Weights:
    """int8 rows."""
    by_synapse = _by_synapse(weight_OIhw, groups)
    k, o = by_synapse.shape
    padded = np.zeros((k + 1, round_up(o, 32)), np.int8)
    padded[:k, :o] = by_synapse
    return _within_reach(name, padded, "rows")


def sliced(name: str, weight_OIhw: Whole, pixels: int = 1, stride: int = 1) -> Weights:
    """1-bit rows of two words or a multiple of four, for each of so many output pixels that are `stride` columns apart.

    Outputs lie in blocks of 8 B = 128 or 256 bits: bit 8 i + k of a block is its output B k + i. Counters of blocks
    become numbers without moving any (csrc/sliced_portable.h).
    """
    rows = []
    for bits in _ones_of_pixels(weight_OIhw, pixels, stride, sliced_row_bytes(len(weight_OIhw)) * 8):
        blocks = bits.reshape(len(bits), -1, 8, min(bits.shape[1], 256) // 8).swapaxes(2, 3)
        rows.append(blocks.reshape(bits.shape))
    return _within_reach(name, _words(np.concatenate(rows, axis=1)), "sliced")


def ordered(name: str, weight_OIhw: Whole, pixels: int = 1, stride: int = 1) -> Weights:
    """1-bit rows as in `sliced`, outputs in their order; where several pixels share a row, a pixel of up to 64 outputs
    has one word of it."""
    outputs = len(weight_OIhw)
    of_pixel = shared_row_bytes(outputs) if pixels > 1 else sliced_row_bytes(outputs)
    rows = _ones_of_pixels(weight_OIhw, pixels, stride, 8 * of_pixel)
    return _within_reach(name, _words(np.concatenate(rows, axis=1)), "ordered")


def sliced_row_bytes(outputs: int) -> int:
    """Bytes of a pixel's row of 1-bit weights of so many outputs."""
    return round_up(outputs, _sliced_row(outputs)) // 8


def shared_row_bytes(outputs: int) -> int:
    """The same in a row that pixels share, outputs in their order."""
    return 8 if outputs <= 64 else sliced_row_bytes(outputs)


def _ones_of_pixels(weight_OIhw: Whole, pixels: int, stride: int, bits: int) -> list[NDArray[np.uint8]]:
    """Which codes are +1 under taps that see the windows of all pixels: those of each pixel, zeros elsewhere, in so
    many bits."""
    moved = [(i * stride, (pixels - 1 - i) * stride) for i in range(pixels)]
    codes = weight_OIhw.astype(np.int16)
    return [_ones(np.pad(codes, ((0, 0), (0, 0), (0, 0), columns)), bits) for columns in moved]


def cut_planes(cuts: NDArray[np.int64], row_bytes: int, most_events: int, *, summed: bool) -> NDArray[np.uint64]:
    """The bits of `cuts` [cuts, outputs] in planes of `row_bytes`: by width, cut and bit, the lowest first
    (csrc/cuts.h).

    A cut of width w is moved up by 2^w - 1, as sums are, and held in the bits that they have. The cut for sums over
    j steps (`summed`: the j-th) is moved by 2^j - 1 times that and has j bits more.
    """
    row = 8 * row_bytes
    planes = []
    for width in range(CUT_FIRST, CUT_LAST + 1, CUT_APART):
        for j, cut in enumerate(cuts, 1):
            count, times = (width + 1 + j, 2**j - 1) if summed else (width + 1, 1)
            padded = np.full(row, 2**count - 1)
            padded[: len(cut)] = np.clip(cut + times * (2**width - 1), 0, 2**count - 1)
            planes.append(padded >> np.arange(count)[:, None] & 1)
        if most_events < 2**width:
            break
    return aligned(_words(np.concatenate(planes).astype(np.uint8)))  # type: ignore[return-value]


def _sliced_row(outputs: int) -> int:
    """Bits that rows of so many outputs are padded to a multiple of."""
    return 128 if outputs <= 128 else 256


def _words(bits: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """[rows, bits] as [rows, words]."""
    packed = np.packbits(bits, axis=1, bitorder="little").reshape(len(bits), -1, 8)
    return packed.view("<u8").astype(np.uint64)[..., 0]


def nibbles(name: str, weight_OIhw: Whole) -> Weights:
    """1-bit rows of 4 bits an output: those of outputs i and 32 + i of 64 are the low and high half of byte i."""
    bits = _ones(weight_OIhw, 64)
    halves = bits.reshape(len(bits), -1, 2, 32)
    return _within_reach(name, (halves[:, :, 0] | halves[:, :, 1] << 4).reshape(len(bits), -1), "nibbles")


def _ones(weight_OIhw: Whole, multiple: int) -> NDArray[np.uint8]:
    """Which codes are +1, [synapses + 1, outputs padded to a multiple]; the last row is empty."""
    by_synapse = _by_synapse(weight_OIhw, 1)
    k, o = by_synapse.shape
    bits = np.zeros((k + 1, round_up(o, multiple)), np.uint8)
    bits[:k, :o] = np.greater(by_synapse, 0)
    return bits


def places(weight_OIhw: Whole) -> Weights:
    """Lists of the synapses of weight +1, an output each, filled up with the number behind the last synapse's."""
    by_output = _by_synapse(weight_OIhw, 1).T > 0
    k = by_output.shape[1]
    listed = [np.flatnonzero(one) for one in by_output]
    filled = [np.append(one, np.full(-len(one) % UNIT, k)) for one in listed]
    parts = [part for one in filled for part in ([len(one)], one)]
    lists = np.concatenate([[max(map(len, filled))], *parts])
    return Weights(aligned(lists.astype(np.uint16)), ROW, "places")


def row_of_places(width: int) -> int:
    """Bytes that a row of so many output positions takes: 1, 2, 4 or 8."""
    return 1 if width <= 8 else 2 if width <= 16 else 4 if width <= 32 else 8


def pairs(weight_OIhw: Whole) -> Weights:
    """int16 rows two by two; `row_bytes` are those of a pair."""
    return _side_by_side(weight_OIhw.astype(np.int16), 2, "pairs")


def quads(weight_OIhw: Whole) -> Weights:
    """int8 rows four by four; `row_bytes` are those of a quad."""
    return _side_by_side(weight_OIhw.astype(np.int8), 4, "quads")


def blocks(weight_OIhw: Whole) -> Weights:
    """int8 in blocks of 16 outputs and 64 synapses, a block's synapses four by four; see blocks_portable.h."""
    by_synapse = _by_synapse(weight_OIhw, 1)
    k, o = by_synapse.shape
    padded = np.zeros((round_up(k, 64), round_up(o, 16)), np.int8)
    padded[:k, :o] = by_synapse
    together = padded.reshape(-1, 16, 4, padded.shape[1] // 16, 16).transpose(3, 0, 1, 4, 2)
    return Weights(aligned(np.ascontiguousarray(together)), padded.shape[1], "blocks")


def _side_by_side(weight_OIhw: Whole, synapses: int, packing: str) -> Weights:
    """Rows of so many neighbouring synapses, 4 bytes an output."""
    o, i, kh, kw = weight_OIhw.shape
    padded = np.zeros((kh, round_up(kw * i, synapses), round_up(o, 8)), weight_OIhw.dtype)
    padded[:, : kw * i, :o] = weight_OIhw.transpose(2, 3, 1, 0).reshape(kh, kw * i, o)
    together = padded.reshape(kh, -1, synapses, padded.shape[2]).transpose(0, 1, 3, 2)
    return Weights(aligned(together), padded.shape[2] * 4, packing)


def taps(weight_O1hw: Whole) -> Weights:
    """int16 codes by tap."""
    o, _, kh, kw = weight_O1hw.shape
    padded = np.zeros((kh * kw, round_up(o, 8)), np.int16)
    padded[:, :o] = weight_O1hw.reshape(o, kh * kw).T
    return Weights(aligned(padded), padded.shape[1] * 2, "taps")


def _within_reach(name: str, padded: Array, packing: str) -> Weights:
    if padded.nbytes >= 2**32:
        raise GraphError(f"{name}: its weights take {padded.nbytes} bytes; the native runtime reaches 2^32.")
    return Weights(aligned(padded), padded.nbytes // padded.shape[0], packing)


def runs(source: NDArray[np.int16]) -> NDArray[np.int32]:
    """A channel map as runs of neighbours, int32 [runs + 1, 3]: first output, first input, how many; the last has none.

    -1 0 1 2 -1 7  ->  (1, 0, 3), (5, 7, 1), (0, 0, 0)
    """
    outputs = np.flatnonzero(source >= 0)
    inputs = source[outputs].astype(np.int64)
    starts = np.flatnonzero((np.diff(outputs, prepend=-2) != 1) | (np.diff(inputs, prepend=-2) != 1))
    counts = np.diff(starts, append=len(outputs))
    found = np.stack([outputs[starts], inputs[starts], counts], axis=1)
    return aligned(np.concatenate([found, np.zeros((1, 3))]).astype(np.int32))  # type: ignore[return-value]


def constant_map(values: NDArray[np.int32], c: int, h: int, w: int) -> NDArray[np.int32]:
    """`values` as a map of (c, h, w) in the arena: [h * w, round_up(c, 8)]."""
    padded = np.zeros((h * w, round_up(c, 8)), np.int32)
    padded[:, :c] = values.reshape(c, h * w).T
    return aligned(padded)  # type: ignore[return-value]


def part_of(index: NDArray[np.integer], first: int, count: int) -> NDArray[np.integer]:
    """Numbers `first` .. first + count - 1 of `index` from 0 on, and -1 for all others: one input's part of several."""
    mine = (index >= first) & (index < first + count)
    return np.where(mine, index - first, -1).astype(index.dtype)


def by_channel(values: NDArray[np.integer], channels: int) -> NDArray[np.int32]:
    """[..., C], or [..., 1] for every channel, as int32 [..., C padded to 8 with 0], aligned."""
    shape = *values.shape[:-1], round_up(channels, 8)
    padded = aligned_empty(4 * math.prod(shape)).view(np.int32).reshape(shape)
    padded[..., :channels], padded[..., channels:] = values, 0
    return padded
