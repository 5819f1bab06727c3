"""Sums, differences, products and quotients, element by element, of two tensors or of one and a constant."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.arrange import constant, times_of
from spikelet.lowering.builder import FINEST, Builder, is_power_of_two
from spikelet.lowering.pairs import Numbers, Pair, more_steps, paired
from spikelet.lowering.reading import as_elements
from spikelet.lowering.registry import function
from spikelet.lowering.rules.synapses import divided
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Source, Value

Operand = Value | Tensor


def operands(call: Call, values: tuple[Value, ...]) -> tuple[Operand, Operand]:
    """The two things that a call joins: tensors of the trace, and constants (numbers too) as tensors.

    Raises:
        LoweringError: something else than two is given.
    """
    given = [*call.args, *call.kwargs.values()]
    left, flags = iter(values), iter(call.traced)
    found: list[Operand] = []
    for one in given:
        if isinstance(one, Tensor):
            found.append(next(left) if next(flags) else one)
        elif isinstance(one, bool | int | float):
            found.append(torch.tensor(float(one), dtype=torch.float64))
    if len(found) != 2:
        raise LoweringError(f"{call.place}: takes two tensors, or a tensor and a number, got {len(found)} of them.")
    return found[0], found[1]


def _unweighted(call: Call, values: tuple[Value, ...]) -> tuple[Operand, Operand]:
    named = {k: v for k, v in call.kwargs.items() if k not in ("alpha", "out")}
    weighted = call.kwargs.get("alpha", 1) != 1 or len(call.args) + len(named) != 2
    if weighted or call.kwargs.get("out") is not None:
        raise LoweringError(f"{call.place}: only a plain sum of two tensors can be lowered; multiply by itself first.")
    return operands(call, values)


@function("add", "__add__", "__radd__", "__iadd__", "add_")
def add(b: Builder, call: Call, *values: Value) -> Value:
    """The sum. Raises LoweringError for truth values, whose sum is another."""
    if call.output.dtype == torch.bool:
        raise LoweringError(
            f"{call.place}: adds truth values. Use torch.logical_or, or numbers: a.float() + b.float()."
        )
    left, right = _unweighted(call, values)
    if _is_number(right, 0) or _is_number(left, 0):  # Python's sum() starts from 0
        return values[0]
    shape = tuple(call.output.shape)
    if len(values) == 1 and values[0].shape == shape and _is_zero(right if left is values[0] else left):
        return values[0]
    total = more_steps(b, left, right, call.named("sum"))
    if total is not None:
        return total
    pair = paired(b, call, left, right)
    return pair.made(sum_of(b, call, pair, (1, 1)), shape)


@function("sub", "__sub__", "__isub__", "sub_", "subtract", "__rsub__", "rsub")
def sub(b: Builder, call: Call, *values: Value) -> Value:
    """The difference."""
    left, right = _unweighted(call, values)
    if call.target in ("__rsub__", "rsub"):
        left, right = right, left
    pair = paired(b, call, left, right)
    return pair.made(sum_of(b, call, pair, (1, -1)), tuple(call.output.shape))


@function("neg", "__neg__", "neg_", "negative")
def neg(b: Builder, call: Call, x: Value) -> Value:
    """The negative."""
    elements = as_elements(b, x, call.named("neg"))
    return elements.made(negative(b, call, elements.source), tuple(call.output.shape))


def negative(b: Builder, call: Call, x: Source) -> Source:
    """An edge times -1."""
    zeros = np.zeros(x.channels)
    return b.scaled(
        x, zeros.astype(np.int64) - 1, zeros.astype(np.int64), zeros, b.extra_name(call.named("neg")), x.scale
    )


def sum_of(b: Builder, call: Call, pair: Pair, signs: tuple[int, int]) -> Source:
    """The sum of both sides of a pair, each times its sign, in the layout of the whole one."""
    _require_one_time(call, pair)
    name, sides = call.named("add"), []
    for side, sign in zip((pair.left, pair.right), signs, strict=True):
        source = side if isinstance(side, Source) else constant(b, sign * side, name)
        sides.append(negative(b, call, source) if isinstance(side, Source) and sign < 0 else source)
    scale = min(float(x.scale.min()) for x in sides)  # the finer one: a sum is exact, only neurons round it
    aligned = [b.at_scale(x, scale, name) for x in sides]
    node = ir.Add(b.extra_name(name), tuple(x.node for x in aligned))
    return _joined(b, pair, node, np.array(scale))


def _require_one_time(call: Call, pair: Pair) -> None:
    """Raises LoweringError where a constant, which every step has, meets a tensor that was summed over time."""
    constants = any(not isinstance(side, Source) or side.constant is not None for side in (pair.left, pair.right))
    if constants and any(x.time == "summed" for x in pair.sources):
        raise LoweringError(
            f"{call.place}: joins a mean over time and a constant. Join them before the mean: (x + c).mean(0) is "
            "x.mean(0) + c, and so is a product."
        )


def _joined(b: Builder, pair: Pair, node: ir.Operation, scale: Numbers) -> Source:
    time = "steps" if any(x.time == "steps" for x in pair.sources) else pair.whole.time
    return b.append(node, pair.whole.shape, scale, time, pair.whole.kinds)


@function("mul", "__mul__", "__rmul__", "__imul__", "mul_", "multiply")
def mul(b: Builder, call: Call, *values: Value) -> Value:
    """The product; by a power of two it is a change of scale."""
    left, right = operands(call, values)
    number = _number(right) if isinstance(right, Tensor) else _number(left)
    if number is not None:
        return _times(b, call, values[0], number)
    weights = _weights_of_steps(b, values[0], right if isinstance(right, Tensor) else left)
    if weights is not None:
        return _weighted(b, call, values[0], weights)
    pair = paired(b, call, left, right)
    _require_one_time(call, pair)
    sides = [side if isinstance(side, Source) else _factor(b, call, side) for side in (pair.left, pair.right)]
    node = ir.Mul(b.extra_name(call.named("mul")), tuple(x.node for x in sides))
    scale = np.asarray(sides[0].scale * sides[1].scale)
    return pair.made(_joined(b, pair, node, scale), tuple(call.output.shape))


@function("div", "__truediv__", "__itruediv__", "div_", "divide", "true_divide")
def div(b: Builder, call: Call, *values: Value) -> Value:
    """The quotient by a power of two or, as a mean divides, by a count: a change of scale."""
    left, right = operands(call, values)
    number = _number(right) if isinstance(right, Tensor) else None
    if number is None or number == 0 or isinstance(left, Tensor) or "rounding_mode" in call.kwargs:
        raise LoweringError(f"{call.place}: integers divide by one whole number only. {_INVERSE} {_SCALE}")
    if number.is_integer() and 0 < number < 2**15 and not is_power_of_two(number):
        return divided(b, values[0], number, tuple(call.output.shape))
    return _times(b, call, values[0], 1 / number if is_power_of_two(abs(number)) else number, over=True)


_INVERSE = "By a tensor of constants multiply, x * (1 / c): its numbers must be multiples of 2^-16."
_SCALE = "Use spikelet.nn.Scale(g), whose gain is rounded to m * 2^-e and applied on the grid."
_AVERAGE = "Use spikelet.nn.Average for the mean of two streams, which rounds to the grid, or spikelet.nn.Scale."


def _times(b: Builder, call: Call, x: Value, number: float, *, over: bool = False) -> Value:
    shape = tuple(call.output.shape)
    if is_power_of_two(number):
        _check_unit(b, call, x, number)
        return divided(b, x, 1 / number, shape)
    if over or not (float(number).is_integer() and abs(number) < 2**15):
        what = "divides" if over else "multiplies"
        raise LoweringError(f"{call.place}: {what} by {number:.6g}, which is no power of two. {_SCALE}")
    elements = as_elements(b, x, call.named("mul"))
    source, zeros = elements.source, np.zeros(elements.source.channels)
    multiplier = np.full(source.channels, int(number))
    name = b.extra_name(call.named("mul"))
    return elements.made(b.scaled(source, multiplier, zeros.astype(np.int64), zeros, name, source.scale), shape)


def _weights_of_steps(b: Builder, x: Value, constant: Operand) -> Numbers | None:
    """[T] of a constant [T, 1, ...] that multiplies the time steps of `x` [T, B, ...], or of what every step has alike;
    None of any other operand."""
    if not isinstance(constant, Tensor) or constant.dim() != len(x.shape) or x.shape[0] not in (1, b.time_steps):
        return None
    if constant.numel() != b.time_steps or len(constant) != b.time_steps:
        return None
    steps = [times_of(b, Value(x.shape[1:], None, addresses)) for addresses in x.addresses]
    if steps != [{t} for t in range(b.time_steps)] and not _is_still(x, steps):
        return None
    return constant.detach().double().cpu().numpy().reshape(-1)


def _is_still(x: Value, steps: list[set[str | int]]) -> bool:
    return all(one == {"still"} for one in steps) and bool((x.addresses == x.addresses[:1]).all())


def _weighted(b: Builder, call: Call, x: Value, weights: Numbers) -> Value:
    """Every time step times its own number, exactly: whole multiples of one power of two."""
    unit = next((2.0**-e for e in range(17) if not (weights * 2.0**e % 1).any()), None)
    if unit is None or (np.abs(weights / unit) >= 2**15).any():
        raise LoweringError(
            f"{call.place}: multiplies time steps by numbers such as {weights[np.abs(weights).argmax()]:.6g}, and not "
            f"all are multiples of one power of two from 2^-16 on. {_SCALE}"
        )
    _check_unit(b, call, x, unit)
    still = x.source is None and _is_still(x, [times_of(b, x)])
    elements = as_elements(b, Value((1, *x.shape[1:]), None, x.addresses[:1]) if still else x, call.named("mul"))
    source, multiplier = elements.source, (weights / unit).astype(np.int64)[:, None]
    multiplier = np.broadcast_to(multiplier, (len(weights), source.channels))
    zeros, name = np.zeros_like(multiplier), b.extra_name(call.named("mul"))
    y = b.scaled(source, multiplier, zeros, zeros.astype(np.float64), name, source.scale * unit)
    return elements.made(y, tuple(call.output.shape))


def _check_unit(b: Builder, call: Call, x: Value, number: float) -> None:
    """Refuses a halving that makes the unit of a current finer than 2^-16."""
    places = b.sources.places(x.addresses)
    finest = min((float(b.sources.all[i].scale.min()) for i in places.used), default=math.inf)  # of zeros alone
    if number < 1 and finest * number < FINEST:
        raise LoweringError(
            f"{call.place}: multiplies by {number:g} a tensor whose unit is {finest:g}; below 2^-16 the halvings of a "
            f"stream use up the bits of float32. {_AVERAGE}"
        )


def _factor(b: Builder, call: Call, numbers: Numbers) -> Source:
    try:
        return constant(b, numbers, call.named("mul"))
    except LoweringError as e:
        raise LoweringError(
            f"{call.place}: multiplies by constants such as {float(numbers.reshape(-1)[0]):.6g}, which are no "
            f"multiples of 2^-16. {_SCALE}"
        ) from e


def _number(operand: Any) -> float | None:
    """The one number of a constant of one element."""
    return float(operand.detach()) if isinstance(operand, Tensor) and operand.numel() == 1 else None


def _is_zero(operand: Operand) -> bool:
    """Whether it is a constant of zeros, to which a loop adds."""
    return isinstance(operand, Tensor) and not bool(operand.detach().any())


def _is_number(operand: Operand, number: float) -> bool:
    return isinstance(operand, Tensor) and operand.dim() == 0 and float(operand.detach()) == number


@function("zeros_like", "ones_like", "new_zeros", "new_ones", "new_full", "full_like", "new_tensor")
def made_alike(b: Builder, call: Call, *values: Value) -> Value:
    """A constant of the shape of a tensor, made again: the forward may have written into its own.

    Raises:
        LoweringError: what it is filled with comes from the input.
    """
    if len(values) > 1 or not call.traced[0]:
        raise LoweringError(f"{call.place}: fills a tensor with a value that depends on the input; use a product.")
    alike = torch.empty(call.read[0].shape, dtype=call.read[0].dtype)
    args = [alike if t is call.read[0] else t for t in call.args]
    assert call.function is not None
    made = call.function(*args, **{k: v for k, v in call.kwargs.items() if k != "device"})
    return Value(tuple(made.shape), None, b.constant(made))
