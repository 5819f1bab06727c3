"""Values cut off at bounds: clamp and relu, and with them the larger and the smaller of two tensors.

    max(a, b) = b + relu(a - b)        min(a, b) = a - relu(a - b)        |a| = relu(a) + relu(-a)

An affine clips integers, so a bound must be a whole number of the units in which the tensor is held.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.lowering.builder import Builder
from spikelet.lowering.pairs import Pair, paired
from spikelet.lowering.reading import as_elements
from spikelet.lowering.registry import convert, function
from spikelet.lowering.rules.elementwise import negative, operands, sum_of
from spikelet.lowering.rules.sums import reduced_axes
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Source, Value

MOST = 64  # values that are compared by pairs
INT32 = (-(2**31), 2**31 - 1)
BOUNDS: dict[str, tuple[tuple[str, float], tuple[str, float]]] = {
    "relu": (("", 0.0), ("", math.inf)),
    "relu6": (("", 0.0), ("", 6.0)),
    "clamp": (("min", -math.inf), ("max", math.inf)),
    "clamp_min": (("min", -math.inf), ("", math.inf)),
    "clamp_max": (("", -math.inf), ("max", math.inf)),
    "hardtanh": (("min_val", -1.0), ("max_val", 1.0)),
}  # the names of their arguments, "" for none, and what these are unless given


@function(*BOUNDS, *(f"{name}_" for name in BOUNDS if name != "relu6"), "clip", "clip_")
def clamp(b: Builder, call: Call, *values: Value) -> Value:
    """What is within the bounds. Real values then go on, which only neurons and Requantize make small again."""
    name = str(call.target).removesuffix("_").replace("clip", "clamp")
    low, high = _bounds(call, name)
    elements = as_elements(b, values[0], call.named(name))
    return elements.made(_clipped(b, call, elements.source, low, high), tuple(call.output.shape))


def _bounds(call: Call, name: str) -> list[float]:
    given, found = list(call.args[1:]), []
    for argument, otherwise in BOUNDS[name]:
        value: Any = otherwise
        if argument:
            value = given.pop(0) if given else call.kwargs.get(argument, otherwise)
        if isinstance(value, Tensor):
            raise LoweringError(f"{call.place}: its bounds must be numbers. Use torch.maximum and torch.minimum.")
        found.append(otherwise if value is None else float(value))
    return found


def _clipped(b: Builder, call: Call, x: Source, low: float, high: float) -> Source:
    """An edge within bounds."""
    whole = [_in_units(call, x, bound, end) for bound, end in zip((low, high), INT32, strict=True)]
    zeros, ones = np.zeros(x.channels), np.ones(x.channels, np.int64)
    name = b.extra_name(call.named("clip"))
    return b.scaled(x, ones, zeros.astype(np.int64), zeros, name, x.scale, (whole[0], whole[1]))


def _in_units(call: Call, x: Source, bound: float, end: int) -> int:
    if bound == 0 or math.isinf(bound):
        return 0 if bound == 0 else end
    units = bound / x.scales
    if (units != units.flat[0]).any() or units.flat[0] % 1 or abs(units.flat[0]) >= end * np.sign(end):
        raise LoweringError(
            f"{call.place}: cuts off at {bound:g}, which is no whole number of the units in which its tensor is held. "
            "Put it behind a batch norm, which leaves multiples of 2^-12, or a bound of 0 (relu)."
        )
    return int(units.flat[0])


@function("maximum", "fmax")
def maximum(b: Builder, call: Call, *values: Value) -> Value:
    """The larger of two tensors."""
    pair, above = _difference(b, call, values)
    total = sum_of(b, call, dataclasses.replace(pair, left=pair.right, right=above), (1, 1))
    return pair.made(total, tuple(call.output.shape))


@function("minimum", "fmin")
def minimum(b: Builder, call: Call, *values: Value) -> Value:
    """The smaller of two tensors."""
    pair, above = _difference(b, call, values)
    return pair.made(sum_of(b, call, dataclasses.replace(pair, right=above), (1, -1)), tuple(call.output.shape))


def _difference(b: Builder, call: Call, values: tuple[Value, ...]) -> tuple[Pair, Source]:
    """The pair (a, b), and relu(a - b)."""
    pair = paired(b, call, *operands(call, values))
    return pair, _clipped(b, call, sum_of(b, call, pair, (1, -1)), 0.0, math.inf)


@function("amax", "max", "amin", "min")
def extreme(b: Builder, call: Call, x: Value, *others: Value) -> Value:
    """The largest or smallest along one axis, such as time, by pairs; the largest of every map or sequence, by a pool;
    of two tensors the larger or smaller.

    Raises:
        LoweringError: it goes over several axes, or over many values.
    """
    larger = "max" in str(call.target)
    if len(call.read) > 1:
        return (maximum if larger else minimum)(b, call, x, *others)
    axes: list[int] = list(reduced_axes(call))
    maps = _maps_of(x, axes) if larger and not call.index else None
    if maps is not None:
        try:
            with b.attempt():
                return _of_every_map(b, call, maps)
        except LoweringError:  # axes of time, samples or channels
            pass
    if call.index or len(axes) > 1 or x.shape[axes[0]] > MOST:
        raise LoweringError(
            f"{call.place}: takes {'which place holds ' if call.index else ''}the {call.target} over "
            f"{math.prod(x.shape[a] for a in axes)} values. One axis of up to {MOST} values has an integer form, as "
            "x.max(0).values of T steps. Over a map use spikelet.nn.MaxPool2d."
        )
    shape = tuple(n for a, n in enumerate(x.shape) if a != axes[0])
    rest = [Value(shape, None, part) for part in x.addresses.unbind(axes[0])]
    tensor = torch.empty(shape, dtype=call.output.dtype, device="meta")
    fields: dict[str, Any] = {"args": (tensor, tensor), "kwargs": {}, "traced": (True, True), "output": tensor}
    pairwise = dataclasses.replace(call, target="maximum" if larger else "minimum", **fields)
    while len(rest) > 1:
        pairs = [convert(b, pairwise, [left, right]) for left, right in zip(rest[::2], rest[1::2], strict=False)]
        rest = pairs + rest[2 * len(pairs) :]
    return Value(tuple(call.output.shape), None, rest[0].addresses.reshape(call.output.shape))


def _maps_of(x: Value, axes: list[int]) -> Value | None:
    """Maps whose last two axes are `axes`, or into which a long last axis is cut; None of any others."""
    last = len(x.shape) - 1
    if len(x.shape) > 3 and axes == [last - 1, last]:
        return x
    if len(x.shape) < 3 or axes != [last] or x.shape[last] <= MOST:
        return None
    rows = next(n for n in range(MOST, 0, -1) if x.shape[last] % n == 0)
    maps = x.addresses.unflatten(-1, (rows, -1))
    return Value(tuple(maps.shape), None, maps)


def _of_every_map(b: Builder, call: Call, x: Value) -> Value:
    """The largest of each map [..., C, H, W], by one window of its size."""
    output = torch.empty((*x.shape[:-2], 1, 1), dtype=call.output.dtype, device="meta")
    fields: dict[str, Any] = {"args": (call.read[0], tuple(x.shape[-2:])), "kwargs": {}, "output": output}
    pooled = convert(b, dataclasses.replace(call, target="max_pool2d", **fields), [x])
    return Value(tuple(call.output.shape), None, pooled.addresses.reshape(call.output.shape))


@function("abs", "abs_", "absolute", "__abs__")
def magnitude(b: Builder, call: Call, x: Value) -> Value:
    """What is left without the sign."""
    elements = as_elements(b, x, call.named("abs"))
    source = elements.source
    above, below = (_clipped(b, call, s, 0.0, math.inf) for s in (source, negative(b, call, source)))
    total = sum_of(b, call, Pair(above, below, source, None, None), (1, 1))
    return elements.made(total, tuple(call.output.shape))
