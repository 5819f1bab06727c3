"""Arithmetic on one position: affine, add, mul."""

from __future__ import annotations

import numpy as np

from spikelet.export.c.code import number
from spikelet.export.c.stage import Place, Stage
from spikelet.graph import ir
from spikelet.graph.edge import INT32, Edge, Int64

STRUCT = 4 * 7  # bytes of spk_scaling


def affine(stage: Stage, node: ir.Affine, vector: str, place: Place) -> None:
    """The source, scaled."""
    steps, width = node.shift.shape
    stage.emit(node.inputs[0], vector, place)
    low, high = INT32 if node.clip is None else node.clip
    x = stage.layout.edges[node.inputs[0]]
    kernel, multiplier, shift, offset = _constants(node, x)
    arrays = (multiplier.astype(np.int32), shift.astype(np.uint8), offset.astype(np.int32))
    names = [stage.constants.array(w, a) for w, a in zip(("gain", "shift", "offset"), arrays, strict=True)]
    fields = [str(int(width > 1)), str(width if steps > 1 else 0), number(low), number(high), *names]
    name = stage.constants.struct("affine", "spk_scaling", fields, STRUCT)
    step = "t" if steps > 1 else "0"
    stage.code(f"{kernel}({vector}, &{name}, {step}, {stage.layout.channels(node.name)});")


def _constants(node: ir.Affine, x: Edge) -> tuple[str, Int64, Int64, Int64]:
    """The kernel with the fewest instructions, and its multipliers, shifts and offsets."""
    even = at_one_shift(node, x)
    multiplier, shift, offset = (a.astype(np.int64) for a in (node.multiplier, node.shift, node.offset))
    if even is None:
        return "spk_affine_short" if is_short(node, x) else "spk_affine", multiplier, shift, offset
    multiplier, shift = even
    whole = (offset << shift) + (1 << int(shift[0]) >> 1)
    most = np.abs(multiplier) * np.maximum(-x.low, x.high) + np.abs(whole)  # 2^62 + 2^62 at most
    if most.max() <= INT32[1]:
        return "spk_affine_word", multiplier, shift, whole
    return "spk_affine_even", multiplier, shift, offset


def is_short(node: ir.Affine, x: Edge) -> bool:
    """Whether every value on the way to the result, of every channel and step, fits 32 bits."""
    multiplier, shift, offset = (a.astype(np.int64) for a in (node.multiplier, node.shift, node.offset))
    product = np.abs(multiplier) * np.maximum(-x.low, x.high) + (np.int64(1) << shift >> 1)  # 2^62 + 2^61 at most
    result = (product >> shift) + np.abs(offset)
    return bool(shift.max() < 32 and product.max() <= INT32[1] and result.max() <= INT32[1])


def at_one_shift(node: ir.Affine, x: Edge) -> tuple[Int64, Int64] | None:
    """Multipliers and a shift from 1 to 31 of all channels that give the same; None where there are none, or a result
    does not fit 32 bits."""
    multiplier, shift, offset = (a.astype(np.int64) for a in (node.multiplier, node.shift, node.offset))
    common = max(int(shift.max()), 1)
    if (
        node.clip is not None
        or shift.shape[1] == 1
        or common > 31
        or (np.abs(multiplier).astype(np.float64) * 2.0 ** (common - shift)).max() > INT32[1]
    ):
        return None
    even = multiplier << (common - shift)
    product = np.abs(even) * np.maximum(-x.low, x.high) + (np.int64(1) << common >> 1)  # 2^62 + 2^30 at most
    fits = ((product >> common) + np.abs(offset)).max() < INT32[1]
    return (even, np.array([common])) if fits else None


def add(stage: Stage, node: ir.Add, vector: str, place: Place) -> None:
    """The sum of all sources."""
    _combined(stage, node, vector, place, "spk_add")


def mul(stage: Stage, node: ir.Mul, vector: str, place: Place) -> None:
    """The product of both sources."""
    _combined(stage, node, vector, place, "spk_mul")


def _combined(stage: Stage, node: ir.Add | ir.Mul, vector: str, place: Place, kernel: str) -> None:
    """The sources one after the other, those that lie in memory last: int32 values are read there."""
    shape = stage.layout.edges[node.name].shape
    first, *others = sorted(node.inputs, key=lambda name: name in stage.layout.in_memory)
    _operand(stage, first, shape, vector, place, node.name)
    for name in others:
        other = stage.vector(node.name)
        if stage.layout.edges[name].shape == shape:
            other = stage.values(name, other, place)
        else:
            _operand(stage, name, shape, other, place, node.name)
        stage.code(f"{kernel}({vector}, {other}, {stage.layout.channels(node.name)});")


def _operand(stage: Stage, name: str, shape: tuple[int, ...], vector: str, place: Place, whole: str) -> None:
    """`name` at a place of a map of `shape`, as `whole` has it; a dimension of 1 is repeated."""
    if stage.layout.edges[name].shape == shape:
        stage.emit(name, vector, place)
        return
    channels = stage.layout.channels(whole)
    stage.code(
        f"spk_broadcast({vector}, {stage.pointer(name)}, {stage.form(name)}, {place.row}, {place.column}, {channels});"
    )
