"""Layers from spikes to spikes: 1-bit weights, an affine step and a neuron whose spikes are comparisons of the weighted
sums (spikelet/graph/threshold_forms.py), where nobody else wants the currents.

    Conv or Linear [-> Affine] -> Lif      CONV_CUTS

Where currents are wanted or a stream keeps membranes, CONV_SLICED runs such a layer.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from spikelet.graph import ir
from spikelet.graph.threshold_forms import Form as ThresholdForm
from spikelet.graph.threshold_forms import threshold_form
from spikelet.runtime import layout
from spikelet.runtime.plan.constants import constant
from spikelet.runtime.plan.emit import Value
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.planner import Planner
from spikelet.runtime.plan.synapses import COUNTS_ONES, NARROW, Synapses

FEW_STATES = 3  # of an automaton that is faster than sums in 32 bits
BUSY = 0.25  # ones of a map from which on CONV_PLACES, which counts as long whatever fires, is faster than lists


@dataclasses.dataclass(frozen=True, eq=False)
class Ending:
    """What follows a layer's weights up to its neuron, and the neuron by cuts.

    alone: whether nobody else reads what lies between, and no state is kept.
    """

    affine: ir.Affine | None
    lif: ir.Lif
    form: ThresholdForm
    alone: bool

    def among(self, kinds: tuple[Kind, ...], row_pixels: int, mean: float) -> tuple[Kind, ...]:
        """`kinds` and, where the layer's end is its own, that of cuts: first where it is the fastest as far as was
        measured, else second.

        Args:
            row_pixels: output pixels that share a row of weights there.
            mean: the expected mean of what the layer reads.
        """
        if not self.alone:
            return kinds
        states = 0 if self.form.transitions is None else len(self.form.transitions)
        many = self.form.cuts.shape[1] > NARROW
        few = row_pixels > 1 and (kinds[0] is not Kind.CONV_PLACES or mean < BUSY)
        fastest = kinds[0] in COUNTS_ONES and (states == 1 or (states <= FEW_STATES and (many or few)))
        return (Kind.CONV_CUTS, *kinds) if fastest else (kinds[0], Kind.CONV_CUTS, *kinds[1:])


def ending(plan: Planner, layer: Synapses, steps: int) -> Ending | None:
    """How a layer whose source has so many steps ends in a neuron with cuts; None where it doesn't."""
    affine = next((u for u in plan.readers.of(layer.node) if type(u) is ir.Affine), None)
    lif = next((u for u in plan.readers.of(affine or layer.node) if type(u) is ir.Lif), None)
    if lif is None or steps != plan.emitter.T:
        return None
    edge = plan.edges[layer.node.name]
    key = affine.name if affine else "", lif.name, steps
    form = plan.constants.get(layer.node, key, lambda: threshold_form(affine, lif, edge, steps))
    if form is None:
        return None
    between = [layer.node, *([affine] if affine else [])]
    alone = plan.carried is None and all(plan.readers.only(node) is not None for node in between)
    return Ending(affine, lif, form, alone)


def emit_cuts(plan: Planner, layer: Synapses, source: Value, end: Ending, **fields: Any) -> None:
    """One operation for the layer and its neuron."""
    node, form = layer.node, end.form
    events = layer.weight[0].size * (fields["pool"] ** 2 if source.form is Form.SPIKES else fields["most"])
    shape, shared = plan.forms.shape(node.name), fields.get("row_pixels", 1)

    def weights() -> layout.Weights:
        codes = layer.codes()
        turned = np.where(form.turned.reshape(-1, 1, 1, 1), -codes, codes)
        return layout.ordered(node.name, turned, shared, layer.stride[1])

    def planes() -> Any:
        return layout.cut_planes(form.cuts, row, events, summed=form.transitions is None)

    packed = plan.constants.get(node, (Kind.CONV_CUTS, layer.weight.shape, shared), weights)
    row = packed.row_bytes // shared
    arrays = {
        "weight": constant(node, "weight", packed.packing, packed.array),
        "cuts": constant(end.lif, "cuts", "cuts", plan.constants.get(end.lif, ("cuts", node.name, row), planes)),
    }
    fields |= {"cut_count": len(form.cuts), "soft_reset": end.lif.drop is not None, "row_bytes": packed.row_bytes}
    if form.transitions is not None:
        fields |= {"states": len(form.transitions)}
        arrays["transitions"] = constant(end.lif, "transitions", "states", layout.aligned(form.transitions))
    spikes = plan.emitter.new(Form.SPIKES, shape, plan.emitter.T)
    for inside in (node, end.affine):
        if inside is not None:
            plan.forms.maps[inside.name] = shape
    plan.forms.bind(end.lif, spikes)
    plan.emitter.emit(Kind.CONV_CUTS, source, shape, {"spikes": spikes}, **fields, **arrays)
