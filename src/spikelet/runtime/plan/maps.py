"""Rules of what moves values about or picks among them: input, constant, pools, channels and positions by number."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.graph.edge import as_map
from spikelet.runtime import layout
from spikelet.runtime.plan.constants import constant as packed_as
from spikelet.runtime.plan.constants import window
from spikelet.runtime.plan.emit import Value
from spikelet.runtime.plan.forms import Pooled
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.planner import Planner


@dataclasses.dataclass(frozen=True)
class _Picks:
    """Where an operation has its numbers of what it picks, and how they are packed."""

    field: str
    packing: str
    pack: Callable[[NDArray[Any]], NDArray[Any]]


_RUNS, _INDEX = _Picks("channels", "runs", layout.runs), _Picks("index", "index", layout.aligned)


def given(plan: Planner, node: ir.Input) -> None:
    """O1: the bytes are there from the beginning."""
    plan.forms.bind(node, Value(Form.BYTES, as_map(node.shape), 1 if plan.still else plan.emitter.T, None))


def constant(plan: Planner, node: ir.Constant) -> None:
    """O14."""
    shape = plan.forms.shape(node.name)
    values = plan.constants.get(node, "map", lambda: layout.constant_map(node.values, *shape))
    out = plan.emitter.new(Form.VALUES, shape, 1)
    plan.emitter.emit(Kind.CONSTANT, out, shape, {"values": out}, weight=packed_as(node, "weight", "map", values))
    plan.forms.bind(node, out)


def max_pool(plan: Planner, node: ir.MaxPool) -> None:
    """O7: of spikes, spikes."""
    (name,) = node.inputs
    source = plan.forms.spikes(name) or plan.forms.values(name)
    kind = Kind.MAXPOOL_SPIKES if source.form is Form.SPIKES else Kind.MAXPOOL_VALUES
    plan.map_to_map(node, kind, source, **window(node.kernel, node.stride, node.padding))


def sum_pool(plan: Planner, node: ir.SumPool) -> None:
    """O8: of spikes in squares, left to be computed later."""
    (name,) = node.inputs
    spikes, (kernel, other) = plan.forms.spikes(name), node.kernel
    if spikes is not None and kernel == other:
        shape = plan.forms.shape(node.name)
        plan.forms.pooled[node.name] = Pooled(spikes, kernel, shape)
        plan.forms.maps[node.name] = shape
        return
    plan.map_to_map(node, Kind.SUMPOOL, plan.forms.values(name), **window(node.kernel, node.kernel, (0, 0)))


def flatten(plan: Planner, node: ir.Flatten) -> None:
    """O9: the same maps under another name."""
    plan.forms.rename(node, node.inputs[0])


def channel_map(plan: Planner, node: ir.ChannelMap) -> None:
    """O11: of spikes, spikes."""
    stride = {"stride_h": node.stride, "stride_w": node.stride}
    sizes = [plan.edges[name].shape[0] for name in node.inputs]
    _in_parts(plan, node, Kind.CHANNEL_MAP, node.source, sizes, _RUNS, stride)


def gather(plan: Planner, node: ir.Gather) -> None:
    """O15: of spikes, spikes."""
    sizes = [h * w for _, h, w in map(plan.forms.shape, node.inputs)]
    _in_parts(plan, node, Kind.GATHER, node.index.reshape(-1), sizes, _INDEX, {})


def _in_parts(
    plan: Planner,
    node: ir.Operation,
    kind: Kind,
    index: NDArray[Any],
    sizes: list[int],
    picks: _Picks,
    fields: dict[str, int],
) -> None:
    """An operation for every input that `index`, numbered through inputs of `sizes`, picks from; the first clears."""
    sources = _of_one_form(plan, node.inputs)
    out = plan.emitter.new(sources[0].form, plan.forms.shape(node.name), sources[0].steps)
    place = "spikes" if out.form is Form.SPIKES else "values"
    firsts = np.cumsum([0, *sizes])
    for i, (source, first, size) in enumerate(zip(sources, firsts, sizes, strict=False)):
        packed = plan.constants.get(node, i, lambda f=first, n=size: picks.pack(layout.part_of(index, f, n)))
        array = {picks.field: packed_as(node, f"{picks.field}.{i}", picks.packing, packed)}
        plan.emitter.emit(kind, source, out.map, {place: out}, add_to=i > 0, **array, **fields)
    plan.forms.bind(node, out)


def _of_one_form(plan: Planner, names: tuple[str, ...]) -> list[Value]:
    """Maps in the order of their shapes: all spikes, or all values of as many steps."""
    spikes = [plan.forms.spikes_in_order(name) for name in names]
    if all(s is not None for s in spikes):
        return [s for s in spikes if s is not None]
    values = [plan.forms.values_in_order(name) for name in names]
    steps = max(v.steps for v in values)
    return [plan.forms.expanded(v, v.map, steps) for v in values]
