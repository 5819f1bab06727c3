"""The layers of attention and residual streams: gains, roundings, clips, averages, constants and running sums."""

from __future__ import annotations

import dataclasses

import numpy as np
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder, multipliers
from spikelet.lowering.pairs import paired
from spikelet.lowering.reading import Elements, as_elements, by_channel, check_time_first
from spikelet.lowering.registry import function, rule
from spikelet.lowering.rules.elementwise import add, negative, sum_of
from spikelet.lowering.rules.synapses import float64
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Value
from spikelet.nn import AddConstant, Average, RelativeBias, Scale
from spikelet.nn.increments import Increments
from spikelet.nn.requantize import Clipped
from spikelet.nn.times_constant import TimesConstant
from spikelet.quant.grid import snap_gain


@rule(Scale)
def scale(b: Builder, call: Call, layer: Scale, x: Value) -> Value:
    """A gain by channel and step, rounded to the grid."""
    gain, shape = float64(snap_gain(layer.gain)), tuple(call.output.shape)
    if gain.ndim == 0 or gain.shape[-1] == 1:
        elements = as_elements(b, x, call.where)
        return elements.made(b.affine(elements.source, gain, np.array(0.0), call.where), shape)
    elements, channel = by_channel(b, x, 2, call.where)
    blocks = x.shape[2] // gain.shape[-1]
    y = b.affine(elements.source, gain[..., channel // blocks], np.array(0.0), call.where)
    return elements.made(y, shape)


@rule(TimesConstant)
def times_constant(b: Builder, call: Call, layer: TimesConstant, x: Value) -> Value:
    """The same of a constant that is one number, or one a channel or a time step or both, whichever axes these are.

    Raises:
        LoweringError: it has others, such as one for each position.
    """
    gain, shape = float64(snap_gain(call.read[1])), tuple(call.output.shape)
    gain = gain.reshape((1,) * (len(shape) - gain.ndim) + gain.shape)
    axes = [a for a in range(gain.ndim) if gain.shape[a] > 1]
    steps = 0 in axes and gain.shape[0] == b.time_steps
    others = axes[1:] if steps else axes
    if len(others) > 1 or (shape != x.shape and not (steps and x.shape[0] == 1)):
        raise LoweringError(
            f"{call.place}: multiplies by a constant of shape {tuple(call.read[1].shape)}. One number for each channel "
            "or time step has an integer form, such as shape [C, 1, 1] for maps and [C] for vectors."
        )
    by_step = gain.reshape(gain.shape[0] if steps else 1, -1)
    if not others:
        elements = as_elements(b, x, call.where)
    else:
        elements, channel = by_channel(b, x, others[0], call.where)
        by_step = by_step[:, channel]
    return elements.made(b.affine(elements.source, by_step, np.array(0.0), call.where), shape)


@rule(Clipped, subclasses=True)
def clipped(b: Builder, call: Call, layer: Clipped, x: Value) -> Value:
    """Whole units of the layer, within its bits."""
    elements = as_elements(b, x, call.where)
    source, unit = elements.source, 2.0 ** -layer.exponent()
    if (np.frexp(source.scale)[0] != 0.5).any():
        raise LoweringError(
            f"{call.where}: reads a mean over a number of values that is no power of two. Use spikelet.nn.SumPool2d."
        )
    multiplier, shift = multipliers(source.scales / unit)
    zeros, clip = np.zeros(source.channels), (layer.low, layer.high)
    y = b.scaled(source, multiplier, shift, zeros, b.name(call.where), np.array(unit), clip)
    return elements.made(y, tuple(call.output.shape))


@rule(Average)
def average(b: Builder, call: Call, layer: Average, *values: Value) -> Value:
    """Half the sum of two currents, rounded to the grid."""
    left, right = values if len(values) == 2 else values * 2
    pair = paired(b, call, left, right)
    total = sum_of(b, call, pair, (1, 1))
    b.not_held.add(total.node)
    return pair.made(
        b.affine(total, np.array(0.5), np.array(0.0), call.where, 2.0**-layer.fraction_bits), tuple(call.output.shape)
    )


@rule(Increments)
def increments(b: Builder, call: Call, layer: Increments, x: Value) -> Value:
    """t times the value, less t - 1 times that of the step before, within its bound."""
    check_time_first(b, x, call.where)
    elements = as_elements(b, x, call.where)
    if elements.source.time != "steps":
        raise LoweringError(f"{call.where}: reads a value that is the same at every step, whose increments are itself.")
    steps = np.arange(1.0, b.time_steps + 1)[:, None]
    sums = b.affine(elements.source, steps, np.array(0.0), f"{call.where}.sums")
    before = b.like(sums, ir.Delay(b.name(f"{call.where}.delay"), (sums.node,), sums.shape))
    minus = negative(b, call, before)
    change = b.like(sums, ir.Add(b.name(f"{call.where}.change"), (sums.node, minus.node)))
    b.not_held.update(x.node for x in (sums, before, minus, change))
    unit, one = float(sums.scale), np.ones(sums.channels, np.int64)
    clip = (-round(layer.bound / unit), round(layer.bound / unit) - 1)
    y = b.scaled(change, one, 0 * one, np.zeros(sums.channels), b.name(call.where), sums.scale, clip)
    return elements.made(y, tuple(call.output.shape))


@rule(AddConstant)
def add_constant(b: Builder, call: Call, layer: AddConstant, x: Value) -> Value:
    """The sum with a constant on the grid."""
    return _plus(b, call, layer.on_grid(), x)


@rule(RelativeBias)
def relative_bias(b: Builder, call: Call, layer: RelativeBias, x: Value) -> Value:
    """The sum with the bias of the pairs that are used."""
    part = call.kwargs.get("part", call.args[-1])
    return _plus(b, call, part(layer.on_grid()), x)


def _plus(b: Builder, call: Call, constant: Tensor, x: Value) -> Value:
    constant = constant.detach()
    step = dataclasses.replace(call, target="add", args=(call.read[0], constant), kwargs={}, traced=(True, False))
    return add(b, step, x)


@function("cumsum")
def running_sum(b: Builder, call: Call, x: Value) -> Value:
    """The sum of the time steps so far.

    Raises:
        LoweringError: it runs over another axis.
    """
    dim = call.kwargs.get("dim", call.kwargs.get("axis", call.args[1] if len(call.args) > 1 else None))
    elements = as_elements(b, x, call.named("running"))
    if dim not in (0, -len(x.shape)) or not _is_time_first(b, x, elements):
        raise LoweringError(f"{call.place}: sums up axis {dim}; only time, axis 0 of [T, B, ...], can be summed up.")
    if elements.source.time == "still":
        return x
    node = ir.SumTime(b.extra_name(call.named("running")), (elements.source.node,), running=True)
    return elements.made(b.like(elements.source, node), tuple(call.output.shape))


def _is_time_first(b: Builder, x: Value, elements: Elements) -> bool:
    """Whether the elements along axis 0 are those of all time steps, in order."""
    source = elements.source
    if x.shape[0] != source.steps or source.time == "summed":
        return False
    addresses = x.addresses.numpy() if elements.addresses is None else elements.addresses
    step = b.sources.places(addresses).step
    return bool((step == np.arange(source.steps).reshape(-1, *[1] * (step.ndim - 1))).all())
