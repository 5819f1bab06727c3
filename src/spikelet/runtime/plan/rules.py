"""One rule an operation: what the library is told for a node of each class."""

from __future__ import annotations

from collections.abc import Mapping

from spikelet.graph import ir
from spikelet.runtime import layout
from spikelet.runtime.emit import Value
from spikelet.runtime.plan.constants import window
from spikelet.runtime.plan.forms import Pooled
from spikelet.runtime.plan.planner import Planner, Rule
from spikelet.runtime.plan.stages import Stage, add_up, finish
from spikelet.runtime.plan.synapses import Synapses
from spikelet.runtime.structures import Form, Kind


def conv(plan: Planner, node: ir.Conv) -> None:
    """O2."""
    _synapses(plan, Synapses(node, node.weight, node.stride, node.padding, node.groups))


def linear(plan: Planner, node: ir.Linear) -> None:
    """O3: a convolution with a kernel of the size of the map."""
    weight = node.weight.reshape(len(node.weight), *plan.forms.maps[node.inputs[0]])
    _synapses(plan, Synapses(node, weight, (1, 1), (0, 0), 1))


def _synapses(plan: Planner, layer: Synapses) -> None:
    node, (name,) = layer.node, layer.node.inputs
    pooled = plan.forms.pooled.get(name)
    source = pooled.spikes if pooled else plan.forms.spikes(name) or plan.forms.readable(name)
    pool, spikes = pooled.kernel[0] if pooled else 1, source.form is Form.SPIKES
    kind = layer.kind(plan.emitter.kernels, plan.edges[name], spikes=spikes, pool=pool)
    weights: layout.Weights = plan.constants.get(node, (kind, layer.weight.shape), layer.packer(kind))
    place = {"pool": pool, "weight": weights.array.ctypes.data, "row_bytes": weights.row_bytes}
    shape = plan.forms.shape(node.name)
    finish(plan, Stage(kind, source, shape, layer.fields() | place, tail=node))


def affine(plan: Planner, node: ir.Affine) -> None:
    """O4: left to be computed later where it chooses between two constants for sums alone."""
    (name,) = node.inputs
    shape = plan.forms.shape(node.name)
    only_added = plan.readers.is_read(node, None) and all(isinstance(u, ir.Add) for u in plan.readers.of(node))
    later = plan.forms.spikes(name) and only_added and not plan.readers.is_root(node)
    if later and plan.forms.maps[name] == shape:
        plan.forms.scaled[node.name], plan.forms.maps[node.name] = node, shape
        return
    finish(plan, Stage(Kind.POINTWISE, plan.forms.in_order(name), shape, {}, tail=node, affine=node))


def add(plan: Planner, node: ir.Add) -> None:
    """O5, two at a time."""
    forms = plan.forms
    alike = len({forms.maps[n] for n in node.inputs}) == 1
    first = (forms.readable if alike else forms.in_order)(node.inputs[0])
    *most, last = ((forms.addend if alike else forms.values_in_order)(n) for n in node.inputs[1:])
    for addend in most:
        first = add_up(plan, first, addend)
    finish(plan, Stage(Kind.POINTWISE, first, first.map, {}, tail=node, addend=last))


def lif(plan: Planner, node: ir.Lif) -> None:
    """O6 of a map that other operations read too."""
    source = plan.forms.readable(node.inputs[0])
    finish(plan, Stage(Kind.POINTWISE, source, source.map, {}, lif=node))


def sum_time(plan: Planner, node: ir.SumTime) -> None:
    """O10: spikes are counted."""
    spikes = plan.forms.spikes(node.inputs[0])
    if spikes is None:
        source = plan.forms.readable(node.inputs[0])
        finish(plan, Stage(Kind.POINTWISE, source, source.map, {}, sum_time=node))
        return
    count = plan.emitter.new(Form.VALUES, spikes.map, 1)
    plan.emitter.emit(Kind.UNPACK, spikes, spikes.map, {"values": count}, sum_time=True)
    plan.forms.bind(node, count)


def max_pool(plan: Planner, node: ir.MaxPool) -> None:
    """O7: of spikes, spikes."""
    (name,) = node.inputs
    source = plan.forms.spikes(name) or plan.forms.values(name)
    kind = Kind.MAXPOOL_SPIKES if source.form is Form.SPIKES else Kind.MAXPOOL_VALUES
    _map_to_map(plan, node, kind, source, **window(node.kernel, node.stride, node.padding))


def sum_pool(plan: Planner, node: ir.SumPool) -> None:
    """O8: of spikes, left to be computed later."""
    (name,) = node.inputs
    spikes, shape = plan.forms.spikes(name), plan.forms.shape(node.name)
    if spikes is not None and node.kernel[0] == node.kernel[1]:
        plan.forms.pooled[node.name] = Pooled(spikes, node.kernel, shape)
        plan.forms.maps[node.name] = shape
        return
    _map_to_map(plan, node, Kind.SUMPOOL, plan.forms.values(name), **window(node.kernel, node.kernel, (0, 0)))


def channel_map(plan: Planner, node: ir.ChannelMap) -> None:
    """O11: of spikes, spikes."""
    (name,) = node.inputs
    source = plan.forms.spikes(name) or plan.forms.values(name)
    channels = plan.constants.get(node, "channels", lambda: layout.runs(node.source))
    stride = {"stride_h": node.stride, "stride_w": node.stride}
    _map_to_map(plan, node, Kind.CHANNEL_MAP, source, channels=channels.ctypes.data, **stride)


def _map_to_map(plan: Planner, node: ir.Operation, kind: Kind, source: Value, **fields: int) -> None:
    """An operation of its own whose result has the form of its source."""
    out = plan.emitter.new(source.form, plan.forms.shape(node.name), source.steps)
    place = "spikes" if source.form is Form.SPIKES else "values"
    plan.emitter.emit(kind, source, out.map, {place: out}, **fields)
    plan.forms.bind(node, out)


def flatten(plan: Planner, node: ir.Flatten) -> None:
    """O9: the same maps under another name."""
    plan.forms.rename(node, node.inputs[0])


RULES: Mapping[type[ir.Operation], Rule] = {
    ir.Conv: conv,
    ir.Linear: linear,
    ir.Affine: affine,
    ir.Add: add,
    ir.Lif: lif,
    ir.MaxPool: max_pool,
    ir.SumPool: sum_pool,
    ir.Flatten: flatten,
    ir.SumTime: sum_time,
    ir.ChannelMap: channel_map,
}
