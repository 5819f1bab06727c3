"""What weighted operations (O2 conv, O3 linear) share: codes, their interval, their bits in a file."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, Literal

import numpy as np

from spikelet.base.bits import pack, packed_bytes, unpack
from spikelet.base.codes import GRIDS, Codes, is_odd, values_of, w_range
from spikelet.graph.edge import Int64, padded
from spikelet.graph.ops.operation import Interval, Operation
from spikelet.graph.ops.record import Attribute, Stated, Stream, between, field, one_of

Grid = Literal["symmetric", "odd", "full"]
MAX_FAN_IN = 2**24  # weights of one output: 2^24 * 255 * 2^31 < 2^63, so that the bounds themselves can't wrap
PART = 2**20  # weights whose bounds are derived at once
MOST_SHARED = 2**18  # bytes of weights that pixels share

BITS = field("bits", between(1, 8))
GRID = Attribute(
    "grid",
    lambda node, version: str(node.grid),
    lambda value, what, version: one_of(*GRIDS[: 2 if version < 3 else 3])(value, what, version),
    since=2,
)


def grid_of(stated: Stated) -> Grid:
    """The grid of a file's entry; format 1 has but one."""
    return stated.get("grid", "symmetric")


def weight_stream(stated: Stated) -> list[Stream]:
    """The codes, packed at their bits."""
    shape, bits, grid = stated["shape"], stated["bits"], grid_of(stated)
    count = math.prod(shape)

    def write(node: Any) -> Any:
        return pack(node.weight, bits, grid)

    def read(elements: Any) -> Any:
        return unpack(elements, count, bits, grid).reshape(shape)

    return [Stream("weight", packed_bytes(count, bits), shape, np.int8, write, read)]


def rows_bytes(outputs: int, inputs: int, taps: int) -> int:
    """Bytes of weights of `outputs` a group and `inputs` of all groups: rows of bytes, pairs of 16 bits, blocks of
    bytes, or lists of numbers of 16 bits (or rows of bits, which are smaller). An output is padded to 32, 8 or 16, a
    synapse to a pair or to 64, a list to 8; a row of zeros is added, to a list its length, to all that of the longest.
    """
    bytes_, pairs = padded(outputs, 32) * (taps * inputs + 1), 2 * padded(outputs, 8) * taps * padded(inputs, 2)
    lists = 2 * outputs * (padded(taps * inputs, 8) + 1) + 2
    return max(bytes_, pairs, lists, padded(outputs, 16) * padded(taps * inputs, 64))


def shared_bytes(outputs: int, inputs: int, kernel: tuple[int, int]) -> int:
    """Bytes of weights of 1 bit where output pixels share rows (runtime/plan/shared_rows.py), at most: by cuts, and by
    sums of four pixels. A row is a vector, of up to 64 bytes, and a row of zeros is added."""
    high, wide = kernel
    pixels = 8 if outputs <= 64 else 4 if outputs <= 128 else 2 if outputs <= 256 else 0
    tables = (pixels, 4 if pixels >= 4 else 0)
    return sum(min(inputs * high * (wide + n - 1) * 64, MOST_SHARED) + 64 for n in tables if n)


def since_grid(bits: int, grid: str) -> int:
    """The first format that can say codes of `grid`."""
    return {"symmetric": 1, "odd": 2, "full": 3}.get(grid, 1)


def check_codes(node: Operation, weight: Codes, bits: int, grid: str) -> None:
    """Raises GraphError unless every w is one of its bits and grid."""
    node.require(bits in range(1, 9), "bits", bits, "1 to 8")
    node.require(grid in GRIDS, "grid", repr(grid), "'symmetric', 'odd' or 'full'")
    node.require(bits > 1 or grid == "symmetric", "grid", repr(grid), "'symmetric' at 1 bit")
    node.require(weight.dtype == np.int8, "weight dtype", weight.dtype, "int8")
    node.require(weight.size > 0, "weight shape", weight.shape, "not empty")
    fan_in = math.prod(weight.shape[1:])
    node.require(fan_in <= MAX_FAN_IN, "weights of one output", fan_in, f"at most {MAX_FAN_IN}")
    low, high = w_range(bits, grid)
    smallest, largest = int(weight.min()), int(weight.max())
    meaning = " (w of the code 2 w + 1)" if is_odd(bits, grid) else ""
    node.require(low <= smallest and largest <= high, "weight", f"{smallest}..{largest}", f"{low}..{high}{meaning}")


def dot_interval(node: Any, shape: tuple[int, int, int, int], low: Int64, high: Int64) -> Interval:
    """The interval of sum over i and u of code[g, o, i, u] * x[g, i] for x in [low, high]; [g, o], flat.

    node: its `weight`, of `shape` [g, o, i, u], its `bits` and `grid`. It is looked at part by part, so that a proof
    takes no more memory for many weights than for few.
    """
    weight, ends = node.weight.reshape(shape), np.zeros((2, *shape[:2], 1), np.int64)
    low, high = low[:, :, None], high[:, :, None]
    for part in _parts(shape):
        g, o, i, _ = part
        codes = values_of(weight[part], node.bits, node.grid).astype(np.int64)
        plus, minus = (np.sum(c, axis=3) for c in (np.maximum(codes, 0), np.minimum(codes, 0)))
        ends[0, g, o] += plus @ low[g, i] + minus @ high[g, i]
        ends[1, g, o] += plus @ high[g, i] + minus @ low[g, i]
    return ends[0].reshape(-1), ends[1].reshape(-1)


def _parts(shape: tuple[int, ...]) -> Iterator[tuple[slice, ...]]:
    """Slices that cover `shape`, of at most PART elements each."""
    ranges, inner = [], math.prod(shape)
    for size in shape:
        inner //= size
        step = max(1, PART // inner)
        ranges.append([slice(start, start + step) for start in range(0, size, step)])
    return itertools.product(*ranges)
