"""Memory and time that a file will need, known before any of it is taken.

    kept        1 or 2 bytes a weight code, 9 bytes an affine channel, 2 bytes a mapped channel, 16 bytes a channel of
                an edge (its interval), 4 bytes a value of an edge (one sample, one time step)
    passing     for the largest node: 48 bytes a weight code, 128 bytes a channel and input (unpacking, analysis)
    operations  T times, for each node: a weight for every position of its output, a value of a window, an input

A 100-byte file can describe an input of 65536 x 65536 pixels, or a convolution that runs for a day; these sums refuse
them. Shapes are those of `analysis.analyse`, computed here without arrays; a node that `analyse` will refuse may get
any shape.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from spikelet.base.codes import dtype_of
from spikelet.graph.document import Entry, codes, grid_of


def footprint(entries: Sequence[Entry]) -> int:
    """Bytes that loading `entries` takes, at most; Python integers, so no size can wrap."""
    kept = passing = 0
    for entry, shape in zip(entries, shapes_of(entries), strict=True):
        channels = shape[0]
        kept += codes(entry) * _code_bytes(entry) + 4 * math.prod(shape)
        kept += (16 + 9 * (entry.op == "affine") + 2 * (entry.op == "channelmap")) * channels
        passing = max(passing, 48 * codes(entry) + 128 * channels * max(len(entry.inputs), 1))
    return kept + passing


def operations(entries: Sequence[Entry], time_steps: int) -> int:
    """Multiply-accumulates, additions and comparisons of one sample through all steps, at most."""
    return time_steps * sum(map(_operations, entries, shapes_of(entries)))


def _operations(entry: Entry, shape: tuple[int, ...]) -> int:
    if entry.op in ("conv", "linear"):
        return codes(entry) * math.prod(shape[1:])
    return math.prod(shape) * max(entry.attributes.get("kernel", 1) ** 2, len(entry.inputs))


def _code_bytes(entry: Entry) -> int:
    return dtype_of(entry.attributes["bits"], grid_of(entry)).itemsize if codes(entry) else 0


def shapes_of(entries: Sequence[Entry]) -> list[tuple[int, ...]]:
    """Sample shape of each entry's output."""
    shapes: list[tuple[int, ...]] = []
    for entry in entries:
        shapes.append(_shape(entry, [shapes[i] for i in entry.inputs]))
    return shapes


def _shape(entry: Entry, sources: list[tuple[int, ...]]) -> tuple[int, ...]:
    a, first = entry.attributes, (sources or [(1,)])[0]
    match entry.op:
        case "input":
            return a["shape"]
        case "linear" | "conv":
            windows = zip(first[1:], a["shape"][2:], a.get("stride", ()), a.get("padding", ()), strict=False)
            return (a["shape"][0], *(_positions(*window) for window in windows))
        case "maxpool":
            return (first[0], *(_positions(d, a["kernel"], a["stride"], a["padding"]) for d in first[1:]))
        case "sumpool":
            return (first[0], *(_positions(d, a["kernel"], a["kernel"], 0) for d in first[1:]))
        case "channelmap":
            return (a["shape"][0], *(_positions(d, 1, a["stride"], 0) for d in first[1:]))
        case "flatten":
            return (math.prod(first),)
    return first


def _positions(size: int, kernel: int, stride: int, padding: int) -> int:
    """Windows along one axis; stride 0, which `analyse` refuses, counts as 1."""
    return max((size + 2 * padding - kernel) // max(stride, 1) + 1, 0)
