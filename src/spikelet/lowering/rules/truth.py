"""Truth values: comparisons, what joins them, and what they choose, all as the numbers 0 and 1.

    x >= c    clip(n - k + 1, 0, 1),  k = ceil(c / u)            x = n u, u the unit in which the tensor is held
    x > c     x >= c with k = floor(c / u) + 1                   x < c, x <= c: what is left of 1
    x != c    (x > c) + (x < c)                                  x == c: what is left of 1
    a and b   a * b      a or b   max(a, b)      not a   1 - a      a xor b   a + b - 2 a b
    where(a, x, y)       a * x + (1 - a) * y

An affine clips integers, so a comparison is one node, and of two tensors it is one of their difference.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.lowering.builder import Builder, is_power_of_two
from spikelet.lowering.pairs import Pair, paired
from spikelet.lowering.reading import as_elements
from spikelet.lowering.registry import function
from spikelet.lowering.rules.clips import maximum
from spikelet.lowering.rules.elementwise import add, mul, operands, sub, sum_of
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Source, Value

MIRRORED = {"gt": "lt", "ge": "le", "lt": "gt", "le": "ge", "eq": "eq", "ne": "ne"}
INT32 = 2**31
CLOSE = 2.0**-20  # some roundings of float32


@function(
    *(f"{mark}{name}{mark}" for name in MIRRORED for mark in ("", "__")), "greater", "greater_equal", "less",
    "less_equal", "not_equal",
)  # fmt: skip
def compared(b: Builder, call: Call, *values: Value) -> Value:
    """Where a tensor is above, at or below a number, or another tensor."""
    longer = {"greater": "gt", "greater_equal": "ge", "less": "lt", "less_equal": "le", "not_equal": "ne"}
    name = longer.get(str(call.target), str(call.target).strip("_"))
    left, right = operands(call, values)
    shape = tuple(call.output.shape)
    if isinstance(right, Tensor) and right.numel() == 1:
        return _against(b, call, values[0], name, float(right), shape)
    if isinstance(left, Tensor) and left.numel() == 1:
        return _against(b, call, values[0], MIRRORED[name], float(left), shape)
    pair = paired(b, call, left, right)
    apart = sum_of(b, call, pair, (1, -1))
    if not _is_exact(apart):
        raise LoweringError(
            f"{call.place}: compares two tensors in units of {float(apart.scales.max()):g}, no power of two, so that "
            "floats that should be equal may not be. Compare sums, in place of means."
        )
    return pair.made(_marked(b, call, apart, name, 0.0), shape)


@function("bool")
def is_not_zero(b: Builder, call: Call, x: Value) -> Value:
    """Where a tensor is not 0."""
    return x if call.read[0].dtype == torch.bool else _against(b, call, x, "ne", 0.0, tuple(call.output.shape))


def _against(b: Builder, call: Call, x: Value, name: str, number: float, shape: tuple[int, ...]) -> Value:
    elements = as_elements(b, x, call.named(name))
    return elements.made(_marked(b, call, elements.source, name, number), shape)


def _marked(b: Builder, call: Call, x: Source, name: str, number: float) -> Source:
    """1 where an edge compares so with a number, else 0."""
    if name in ("eq", "ne"):
        apart = [_marked(b, call, x, one, number) for one in ("gt", "lt")]
        return b.scaled(*_sum_of(b, call, apart, name == "eq"))
    units = number / x.scales
    if not np.isfinite(units).all() or np.abs(units).max() >= INT32 - 1:
        raise LoweringError(f"{call.place}: compares with {number:g}, which is out of the range of its integers.")
    ties = np.abs(units - np.rint(units)) <= np.abs(units) * CLOSE
    if number and not _is_exact(x) and ties.any():
        raise LoweringError(
            f"{call.place}: compares with {number:g}, which its values meet up to the rounding of floats: their unit "
            f"{float(x.scales.max()):g} is no power of two. Compare with a number halfway between two of them, or sums "
            "in place of means."
        )
    first = np.ceil(units) if name in ("ge", "lt") else np.floor(units) + 1  # the first that is at it, or above it
    up = name in ("ge", "gt")
    ones, zeros = np.ones(x.channels, np.int64), np.zeros(x.channels, np.int64)
    node = b.extra_name(call.named(name))
    return b.scaled(x, ones if up else -ones, zeros, 1 - first if up else first, node, np.array(1.0), (0, 1))


def _is_exact(x: Source) -> bool:
    """Whether floats hold an edge's values as they are, not rounded."""
    return all(is_power_of_two(float(scale)) for scale in x.scales.reshape(-1))


def _sum_of(b: Builder, call: Call, parts: list[Source], is_turned: bool) -> tuple[Any, ...]:
    """What `Builder.scaled` takes for the sum of two edges, or for what is left of 1."""
    total = sum_of(b, call, Pair(parts[0], parts[1], parts[0], None, None), (1, 1))
    sign, zeros = np.full(total.channels, -1 if is_turned else 1), np.zeros(total.channels, np.int64)
    return total, sign, zeros, zeros + int(is_turned), b.extra_name(call.named("truth")), np.array(1.0)


@function("logical_and", "__and__", "__iand__", "bitwise_and")
def both(b: Builder, call: Call, *values: Value) -> Value:
    """Where two tensors of truth values hold."""
    return mul(b, call, *_truths(b, call, values))


@function("logical_or", "__or__", "__ior__", "bitwise_or")
def either(b: Builder, call: Call, *values: Value) -> Value:
    """Where one of two holds."""
    return maximum(b, call, *_truths(b, call, values))


@function("logical_xor", "__xor__", "bitwise_xor")
def one_alone(b: Builder, call: Call, *values: Value) -> Value:
    """Where one of two holds, and not both."""
    truths = _truths(b, call, values)
    pair = paired(b, call, *operands(call, truths))
    return pair.made(_marked(b, call, sum_of(b, call, pair, (1, -1)), "ne", 0.0), tuple(call.output.shape))


@function("logical_not", "__invert__", "bitwise_not")
def opposite(b: Builder, call: Call, x: Value) -> Value:
    """Where a truth value does not hold."""
    (x,) = _truths(b, call, (x,))
    return _against(b, call, x, "lt", 1.0, tuple(call.output.shape))


def _truths(b: Builder, call: Call, values: tuple[Value, ...]) -> tuple[Value, ...]:
    """`values`, those that hold other numbers as where they are not 0.

    Raises:
        LoweringError: an operator joins the bits of whole numbers.
    """
    read = _traced(call)
    bits = str(call.target).startswith(("bitwise", "__"))
    if any(t.dtype != torch.bool for t in (read if bits else []) + _constants(call)):
        raise LoweringError(f"{call.place}: joins the bits of numbers. Compare first: (x > 0) & (y > 0).")
    pairs = zip(read, values, strict=True)
    return tuple(v if t.dtype == torch.bool else _against(b, call, v, "ne", 0.0, v.shape) for t, v in pairs)


@function("where")
def chosen(b: Builder, call: Call, *values: Value) -> Value:
    """One tensor or number where a truth value holds, the other elsewhere."""
    order = ("self", "condition", "other") if call.function is Tensor.where else ("condition", "input", "other")
    given = _arguments(call, *order)
    if len(given) != len(order):
        raise LoweringError(f"{call.place}: gives places, which depend on the input. Use torch.where(a, x, y).")
    kept = given["self" if "self" in given else "input"]
    return _choice(b, call, (given["condition"], kept, given["other"]), values)


@function("masked_fill", "masked_fill_")
def filled(b: Builder, call: Call, *values: Value) -> Value:
    """A number where a truth value holds."""
    given = _arguments(call, "input", "mask", "value")
    return _choice(b, call, (given["mask"], given["value"], given["input"]), values)


def _arguments(call: Call, *names: str) -> dict[str, Any]:
    """What was passed, by name; `names` are those of what has none, in order."""
    return {**dict(zip(names, call.args, strict=False)), **call.kwargs}


def _traced(call: Call) -> list[Tensor]:
    return [t for t, traced in zip(call.read, call.traced, strict=True) if traced]


def _constants(call: Call) -> list[Tensor]:
    return [t for t, traced in zip(call.read, call.traced, strict=True) if not traced]


def _choice(b: Builder, call: Call, given: tuple[Any, Any, Any], values: tuple[Value, ...]) -> Value:
    """given[1] where given[0] holds, else given[2]; `values` are what the call read of the input."""
    of = {id(tensor): value for tensor, value in zip(_traced(call), values, strict=True)}
    mask, x, y = (of.get(id(one), one) for one in given)
    shape = tuple(call.output.shape)
    for number in (one for one in (x, y) if not isinstance(one, Value)):
        numbers = torch.as_tensor(number)
        if not torch.isfinite(numbers).all():
            raise LoweringError(
                f"{call.place}: chooses {float(numbers[~torch.isfinite(numbers)][0]):g}, which integers don't have. "
                "Use a number below, or above, all that is compared, such as -1000."
            )
    if not isinstance(mask, Value):
        held = torch.as_tensor(mask).to(torch.float32)
        return _two(b, call, add, _two(b, call, mul, x, held, shape), _two(b, call, mul, y, 1 - held, shape), shape)
    apart = _two(b, call, sub, x, y, shape)
    if not isinstance(apart, Value) and not bool(apart.any()):  # one number, wherever
        return Value(shape, None, b.constant(torch.as_tensor(y).expand(shape)))
    return _two(b, call, add, _two(b, call, mul, mask, apart, shape), y, shape)


def _two(b: Builder, call: Call, rule: Callable[..., Value], left: Any, right: Any, shape: tuple[int, ...]) -> Any:
    """What the rule of a function of two makes of tensors, constants and numbers; of constants alone a constant."""
    if not isinstance(left, Value) and not isinstance(right, Value):
        return {add: torch.add, sub: torch.sub, mul: torch.mul}[rule](torch.as_tensor(left), torch.as_tensor(right))
    flags = [isinstance(one, Value) for one in (left, right)]
    args = [torch.empty(one.shape, device="meta") if isinstance(one, Value) else one for one in (left, right)]
    tensors = [flag for one, flag in zip(args, flags, strict=True) if isinstance(one, Tensor)]
    sizes = torch.broadcast_shapes(*(one.shape for one in args if isinstance(one, Tensor)))
    names = {add: "add", sub: "sub", mul: "mul"}
    fields: dict[str, Any] = {"args": tuple(args), "kwargs": {}, "traced": tuple(tensors)}
    part = dataclasses.replace(call, target=names[rule], output=torch.empty(sizes, device="meta"), **fields)
    return rule(b, part, *(one for one in (left, right) if isinstance(one, Value)))
