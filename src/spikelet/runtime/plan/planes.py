"""Sums of spikes as planes: one map of spikes for each bit of the sums, where layers read them as lists of events.

    Add of spikes, or of such sums      ADD_PLANES      16 values a pixel and channel in 4 bits, where values take 32

A residual stream is such a sum. Whoever else reads it gets its values.
"""

from __future__ import annotations

from spikelet.graph import ir
from spikelet.runtime.plan.emit import Value
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.planner import Planner
from spikelet.runtime.plan.synapses import READS_SPIKES, Read, Synapses

MOST_PLANES = 4  # of a sum that is listed: values from 16 on are no events


def add_planes(plan: Planner, node: ir.Add) -> bool:
    """Makes the sum as planes, two inputs at a time, where that pays; says whether it did."""
    inputs = [plan.forms.counted(name) for name in node.inputs]
    shape, able = plan.forms.shape(node.name), Kind.ADD_PLANES in plan.emitter.kernels.kinds
    if not able or plan.readers.is_root(node) or not _is_listed(plan, node):
        return False
    if any(x is None or x.map != shape or x.steps != plan.emitter.T for x in inputs):
        return False
    total, most = None, 0
    for name, addend in zip(node.inputs, inputs, strict=True):
        most += int(plan.edges[name].high.max())
        total = addend if total is None else _sum(plan, total, addend, most.bit_length())
    assert total is not None
    plan.forms.bind(node, total)
    return True


def _sum(plan: Planner, first: Value, addend: Value | None, planes: int) -> Value:
    assert addend is not None
    total = plan.emitter.new(Form.PLANES, first.map, first.steps, planes)
    fields = {
        "source_planes": first.planes, "planes": addend.planes, "sum_planes": planes,
        "addend_source": addend.form, "addend_t": addend.steps,
    }  # fmt: skip
    plan.emitter.emit(Kind.ADD_PLANES, first, first.map, {"addend": addend, "spikes": total}, **fields)
    return total


def _is_listed(plan: Planner, node: ir.Add) -> bool:
    """Whether a convolution lists the sum, or a further sum of it."""
    fits = int(plan.edges[node.name].high.max()) < 2**MOST_PLANES  # which ends a chain of sums too
    return fits and any(_lists(plan, reader) for reader in plan.readers.of(node))


def _lists(plan: Planner, reader: ir.Operation) -> bool:
    """Whether the rules, or a choice, run the reader by lists of events, or one that reads its sum."""
    if type(reader) is ir.Add:
        return _is_listed(plan, reader)
    if type(reader) is not ir.Conv:
        return False
    layer = Synapses.of(reader)
    (name,) = reader.inputs
    _, high, wide = plan.forms.shape(reader.name)
    read = Read(plan.edges[name], plan.means[name], 0, high * wide * plan.emitter.T, (wide, wide))
    return plan.chosen(reader, layer.kinds(plan.emitter.kernels, read)[0]) in READS_SPIKES
