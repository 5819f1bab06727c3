"""What a recorded call was given, and what that says of the units of what it makes."""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch

from spikelet.base.whole import power_of_two_from
from spikelet.conversion.numbered import ADDS, COUNTED, OVER
from spikelet.conversion.rewrites import Pooled, Rewrite, Summed, with_tensors
from spikelet.lowering.rules.sums import reduced_axes
from spikelet.lowering.rules.synapses import pair
from spikelet.lowering.trace import Call

PADS = {"pad", "constant_pad_nd"}


def traced_operands(call: Call) -> Iterator[tuple[int, int]]:
    """The place among the tensors passed, and the number, of each that came from the input."""
    left = iter(call.inputs)
    for place, is_traced in enumerate(call.traced):
        if is_traced:
            yield place, next(left)


def drops(call: Call) -> bool:
    """Whether a dropout is one of training, as torch's own default is."""
    return bool(call.kwargs.get("training", call.args[2] if len(call.args) > 2 else True))


def terms(call: Call) -> float:
    """How many products a number that a product makes is the sum of."""
    args, kwargs = with_tensors((call.args, call.kwargs), iter([torch.ones_like(t) for t in call.read]))
    assert call.function is not None
    return float(call.function(*args, **kwargs).max())


def keeps_no_unit(call: Call, name: str) -> bool:
    """Whether a function of these arguments makes something else than a multiple where its operand is multiplied."""
    if call.kwargs.get("out") is not None:
        return name in COUNTED
    if name in OVER:
        return call.kwargs.get("rounding_mode") is not None or not call.traced[0]
    if name in PADS:
        names = ("input", "pad", "mode", "value") if name == "pad" else ("input", "pad", "value")
        given = dict(zip(names, call.args, strict=False)) | call.kwargs
        return given.get("value") not in (None, 0)
    return False


def has_constants(call: Call) -> bool:
    """Whether a sum has something that did not come from the input."""
    numbers = [a for a in (*call.args, call.kwargs.get("other")) if isinstance(a, int | float) and a != 0]
    return not all(call.traced) or (call.target in ADDS and bool(numbers))


def factor_of(call: Call) -> float | None:
    """The one number that a tensor is multiplied or divided by."""
    for operand in (*call.args, *call.kwargs.values()):
        if isinstance(operand, int | float) and not isinstance(operand, bool):
            return float(operand)
    constants = [t for t, is_traced in zip(call.read, call.traced, strict=True) if not is_traced]
    return float(constants[0].detach()) if len(constants) == 1 and constants[0].numel() == 1 else None


def as_sum(call: Call, name: str) -> tuple[int, Rewrite | None]:
    """How many values a mean takes together, and the sum in its place; None where it has none, as windows differ."""
    x = call.read[0]
    if name == "mean":
        axes = reduced_axes(call)
        values = math.prod(x.shape[a] for a in axes)
        keepdim = bool(call.kwargs.get("keepdim", call.args[2] if len(call.args) > 2 else False))
        return values, Summed(axes, keepdim, power_of_two_from(values))
    if name == "adaptive_avg_pool2d":
        (h, w), (to_h, to_w) = x.shape[-2:], call.output.shape[-2:]
        kernel = (h // to_h, w // to_w)
        fits = h % to_h == w % to_w == 0
    else:
        names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
        given = dict(zip(names, call.args, strict=False)) | call.kwargs
        kernel = pair(given["kernel_size"])
        stride = kernel if given.get("stride") in (None, []) else pair(given["stride"])
        fits = stride == kernel and pair(given.get("padding", 0)) == (0, 0)
        fits &= not given.get("ceil_mode") and not given.get("divisor_override")
    values = kernel[0] * kernel[1]
    return values, Pooled(kernel, power_of_two_from(values)) if fits else None
