"""Rules of what computes: synapses, affine steps, sums and products."""

from __future__ import annotations

from spikelet.graph import ir
from spikelet.runtime import layout
from spikelet.runtime.plan.constants import constant
from spikelet.runtime.plan.cuts import Ending, emit_cuts, ending
from spikelet.runtime.plan.emit import Map, Value
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.planes import add_planes
from spikelet.runtime.plan.planner import Planner
from spikelet.runtime.plan.stages import Stage, add_up, finish
from spikelet.runtime.plan.synapses import (
    COUNTS_ONES,
    COUNTS_VALUES,
    READS_BYTES,
    READS_EVENTS,
    READS_SPIKES,
    Read,
    Synapses,
)


def conv(plan: Planner, node: ir.Conv) -> None:
    """O2."""
    _synapses(plan, Synapses.of(node))


def linear(plan: Planner, node: ir.Linear) -> None:
    """O3: a convolution with a kernel of the size of the map."""
    weight = node.weight.reshape(len(node.weight), *plan.forms.maps[node.inputs[0]])
    _synapses(plan, Synapses(node, weight, (1, 1), (0, 0), 1))


def _synapses(plan: Planner, layer: Synapses) -> None:
    node, (name,) = layer.node, layer.node.inputs
    pooled = None if layer.dilated else plan.forms.pooled.get(name)
    spikes = None if layer.dilated else plan.forms.spikes(name)
    fired, pool = pooled.spikes if pooled else spikes, pooled.kernel if pooled else 1
    planes = None if layer.dilated or fired else plan.forms.counted(name)
    steps = (fired or planes or plan.forms.readable(name)).steps
    _, high, wide = plan.forms.shape(node.name)
    widths = plan.forms.maps[name][2], wide
    read = Read(plan.edges[name], plan.means[name], 0 if fired is None else pool, high * wide * steps, widths)
    kinds = layer.kinds(plan.emitter.kernels, read)
    end = _end(plan, layer, steps, kinds)
    if end is not None:
        kinds = end.among(kinds, layer.row_pixels(plan.emitter.kernels, Kind.CONV_CUTS, wide), read.mean)
    kind = plan.choose(node, kinds, () if end is None or end.alone else (Kind.CONV_CUTS, Kind.CONV_SLICED))
    shared = layer.row_pixels(plan.emitter.kernels, kind, wide)
    fields = layer.fields(kind) | ({"row_pixels": shared} if shared > 1 else {})
    if kind in READS_SPIKES and fired is not None and (pool == 1 or kind in READS_EVENTS):
        source = fired
    else:
        values = plan.forms.readable if kind in READS_BYTES else plan.forms.values
        source, pool = planes if kind in READS_SPIKES and planes else values(name), 1
        fields |= {"most": int(plan.edges[name].high.max())} if kind in COUNTS_VALUES else {}
    if kind is Kind.CONV_CUTS:
        assert end is not None
        emit_cuts(plan, layer, source, end, **fields, pool=pool)
        return
    packing = kind, layer.weight.shape, shared
    weights: layout.Weights = plan.constants.get(node, packing, layer.packer(kind, shared))
    packed = constant(node, "weight", weights.packing, weights.array)
    edge = plan.edges[node.name]
    short = kind in COUNTS_ONES and edge.low.min() >= -(2**15) and edge.high.max() < 2**15
    fields |= {"short_sums": short, "pool": pool, "weight": packed, "row_bytes": weights.row_bytes}
    finish(plan, Stage(kind, source, plan.forms.shape(node.name), fields, tail=node))


def _end(plan: Planner, layer: Synapses, steps: int, kinds: tuple[Kind, ...]) -> Ending | None:
    """How a layer of 1-bit rows ends in a neuron, on a kernel set that knows such ends."""
    able = Kind.CONV_SLICED in kinds and Kind.CONV_CUTS in plan.emitter.kernels.kinds
    return ending(plan, layer, steps) if able else None


def affine(plan: Planner, node: ir.Affine) -> None:
    """O4: left to be computed later where it chooses between two constants for sums alone."""
    (name,) = node.inputs
    shape = plan.forms.shape(node.name)
    only_added = plan.readers.is_read(node, None) and all(type(u) is ir.Add for u in plan.readers.of(node))
    later = plan.forms.spikes(name) and only_added and not plan.readers.is_root(node) and len(node.shift) == 1
    if later and plan.forms.maps[name] == shape:
        plan.forms.scaled[node.name], plan.forms.maps[node.name] = node, shape
        return
    finish(plan, Stage(Kind.POINTWISE, plan.forms.in_order(name), shape, {}, tail=node, affine=node))


def add(plan: Planner, node: ir.Add) -> None:
    """O5, two at a time."""
    if add_planes(plan, node):
        return
    forms = plan.forms
    if len({plan.edges[n].shape for n in node.inputs}) > 1:
        first, *rest = _same_map(plan, node)
    else:
        alike = len({forms.maps[n] for n in node.inputs}) == 1
        first = (forms.readable if alike else forms.in_order)(node.inputs[0])
        rest = [(forms.addend if alike else forms.values_in_order)(n) for n in node.inputs[1:]]
    *most, last = rest
    for addend in most:
        first = add_up(plan, first, addend)
    finish(plan, Stage(Kind.POINTWISE, first, first.map, {}, tail=node, addend=last))


def _same_map(plan: Planner, node: ir.Operation) -> list[Value]:
    """The node's inputs as values of its own shape."""
    shape: Map = plan.forms.shape(node.name)
    values = [plan.forms.values_in_order(name) for name in node.inputs]
    return [plan.forms.expanded(value, shape, value.steps) for value in values]


def multiply(plan: Planner, node: ir.Mul) -> None:
    """O13."""
    a, b = _same_map(plan, node)
    product = plan.emitter.new(Form.VALUES, a.map, max(a.steps, b.steps))
    plan.emitter.emit(Kind.MUL, a, a.map, {"addend": b, "values": product}, addend_t=b.steps)
    plan.forms.bind(node, product)
