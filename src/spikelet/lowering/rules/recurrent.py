"""Neurons that read their own spikes of the step before: the one cycle that a graph may have, through a delay."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import torch
from torch import nn

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.pairs import paired
from spikelet.lowering.reading import Elements, check_time_first
from spikelet.lowering.registry import convert, rule
from spikelet.lowering.rules.elementwise import sum_of
from spikelet.lowering.rules.neurons import charge, constants_of, lif, read_for
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Value
from spikelet.nn import Recurrent


@rule(Recurrent)
def recurrent(b: Builder, call: Call, layer: Recurrent, x: Value) -> Value:
    """delay -> synapses -> norm -> add -> (charge ->) lif, and back to the delay."""
    check_time_first(b, x, call.where)
    constants = constants_of(call, layer.neuron)
    spikes, shape = b.name(call.where), tuple(call.output.shape)
    current, channel = read_for(b, x, constants, call.where)
    node = ir.Delay(b.extra_name(f"{call.where}.delay"), (spikes,), current.source.shape)
    delayed = b.append(node, current.source.shape, np.array(constants.value), "steps", current.source.kinds)
    before = Elements(current.source, current.addresses).made(delayed, shape)
    feedback = _through(b, call, layer.synapses, "synapses", before)
    feedback = _through(b, call, layer.norm, "norm", feedback)
    joined = dataclasses.replace(call, target="add", output=torch.empty(shape, device="meta"))
    pair = paired(b, joined, x, feedback)
    total = b.on_grid(sum_of(b, call, pair, (1, 1)), call.where, 2.0**-constants.fraction_bits)
    if total.shape != current.source.shape:
        raise LoweringError(f"{call.where}: its feedback has another layout than its current.")
    if layer.integrator is not None:
        total = charge(b, b.extra_name(f"{call.where}.integrator"), total, layer.integrator.lowered())
    return pair.made(lif(b, spikes, total, constants, channel), shape)


def _through(b: Builder, call: Call, layer: nn.Module, name: str, x: Value) -> Value:
    """What a part of the layer makes of `x`, by its own rule."""
    if isinstance(layer, nn.Sequential):
        for i, part in enumerate(layer):
            x = _through(b, call, part, f"{name}.{i}", x)
        return x
    tensor = torch.empty(x.shape, dtype=call.output.dtype, device="meta")
    fields: dict[str, Any] = {"args": (tensor,), "kwargs": {}, "traced": (True,), "output": tensor}
    return convert(b, dataclasses.replace(call, target=layer, where=f"{call.where}.{name}", **fields), [x])
