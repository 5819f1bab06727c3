"""Spiking neurons: one node, with the integers that the neuron itself states."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.reading import Elements, as_elements, by_channel, check_time_first
from spikelet.lowering.registry import rule
from spikelet.lowering.rules.synapses import float64
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Int64, Source, Value
from spikelet.neurons import Delay, Integrator, Membranes
from spikelet.neurons.levels import TimesTheta
from spikelet.neurons.neuron import IntegerNeuron, Neuron
from spikelet.quant.grid import snap_gain

FIELDS = ("leak", "gain", "leak_bits", "threshold", "reset", "levels", "step", "start", "rounding")
NEW = {"levels": 1, "step": None, "start": 0, "rounding": "floor"}  # not stated where they are as ever


@rule(Neuron, subclasses=True)
def neuron(b: Builder, call: Call, layer: Neuron, x: Value) -> Value:
    """A `lif` node on the current, times its gain and rounded to the neuron's grid."""
    constants = constants_of(call, layer)
    if layer.time_steps > 1:
        check_time_first(b, x, call.where)
    elements, channel = read_for(b, x, constants, call.where)
    current = current_of(b, elements.source, constants, call.where)
    spikes = lif(b, b.name(call.where), current, constants, channel)
    return Elements(elements.source, elements.addresses).made(spikes, tuple(call.output.shape))


@rule(TimesTheta)
def times_theta(b: Builder, call: Call, layer: TimesTheta, y: Value) -> Value:
    """The product with a threshold, rounded to the grid."""
    elements, theta = as_elements(b, y, call.where), float64(snap_gain(call.read[1]))
    scaled = b.affine(elements.source, theta, np.array(0.0), call.where)
    return elements.made(scaled, tuple(call.output.shape))


def current_of(b: Builder, x: Source, constants: IntegerNeuron, where: str) -> Source:
    """`x` as the neuron integrates it."""
    unit = 2.0**-constants.fraction_bits
    if constants.input_gain == 1:
        return b.on_grid(x, where, unit)
    return b.affine(x, np.array(constants.input_gain), np.array(0.0), f"{where}.current", unit)


@rule(Membranes)
def membranes(b: Builder, call: Call, layer: Membranes, x: Value) -> Value:
    """A `charge` node on the neuron's current, or a running sum where nothing else becomes of it."""
    return _charges(b, call, constants_of(call, layer.neuron), x)


@rule(Delay)
def delay(b: Builder, call: Call, layer: Delay, x: Value) -> Value:
    """A `delay` node for each step."""
    check_time_first(b, x, call.where)
    elements = as_elements(b, x, call.where)
    y = elements.source
    for _ in range(layer.steps):
        node = ir.Delay(b.name(call.where), (y.node,), y.shape)
        y = b.append(node, y.shape, y.scale, "steps", y.kinds)
    return elements.made(y, tuple(call.output.shape))


@rule(Integrator)
def integrator(b: Builder, call: Call, layer: Integrator, x: Value) -> Value:
    """The same, of a neuron that nothing resets."""
    return _charges(b, call, layer.lowered(), x)


def _charges(b: Builder, call: Call, constants: IntegerNeuron, x: Value) -> Value:
    check_time_first(b, x, call.where)
    elements, channel = read_for(b, x, constants, call.where)
    current = current_of(b, elements.source, constants, call.where)
    reached = charge(b, b.extra_name(call.where), current, constants, channel)
    return Elements(elements.source, elements.addresses).made(reached, tuple(call.output.shape))


def charge(b: Builder, name: str, x: Source, constants: IntegerNeuron, channel: Int64 | None = None) -> Source:
    """A node of this name that gives what membranes reach; arguments as `lif`'s."""
    if _only_sums(constants):
        node: ir.Operation = ir.SumTime(name, (x.node,), running=True)
    else:
        node = ir.Charge(name, (x.node,), **_fields(constants, channel))
    return b.append(node, x.shape, x.scale, "steps", x.kinds)


def _only_sums(constants: IntegerNeuron) -> bool:
    """Whether a neuron neither leaks nor is reset."""
    one = 1 << constants.leak_bits
    stated = (constants.leak, constants.gain, constants.reset, constants.start)
    if any(isinstance(value, np.ndarray) for value in stated) or constants.membrane is not None:
        return False
    return stated == (one, one, 0, 0)


def constants_of(call: Call, layer: Neuron) -> IntegerNeuron:
    """The integers that a neuron states. Raises LoweringError, by the call's name, where there are none."""
    try:
        return layer.lowered()
    except LoweringError as e:
        raise LoweringError(f"{call.where}: {e}") from e


def read_for(b: Builder, x: Value, constants: IntegerNeuron, where: str) -> tuple[Elements, Int64 | None]:
    """The elements that a neuron reads, and where each channel of their edge stands on axis 2, which constants by
    channel need."""
    if any(isinstance(getattr(constants, field), np.ndarray) for field in FIELDS):
        return by_channel(b, x, 2, where)
    return as_elements(b, x, where), None


def lif(b: Builder, name: str, x: Source, constants: IntegerNeuron, channel: Int64 | None = None) -> Source:
    """A `lif` node of this name that reads `x`.

    Args:
        channel: which constant each channel of the edge has, where constants are arrays.
    """
    node = ir.Lif(name, (x.node,), **_fields(constants, channel))
    return b.append(node, x.shape, np.array(constants.value), "steps", x.kinds)


def _fields(constants: IntegerNeuron, channel: Int64 | None) -> dict[str, Any]:
    fields: dict[str, Any] = {field: getattr(constants, field) for field in FIELDS}
    fields = {k: v[channel] if isinstance(v, np.ndarray) else v for k, v in fields.items()}
    fields = {k: v for k, v in fields.items() if k not in NEW or isinstance(v, np.ndarray) or v != NEW[k]}
    return fields | {"membrane": None if constants.membrane is None else ir.Membrane(*constants.membrane)}
