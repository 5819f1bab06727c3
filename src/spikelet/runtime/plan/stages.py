"""Fusion: one operation of the library does what several nodes say, pixel after pixel, so that no map of 32-bit
currents is written unless somebody else reads it:

    synapses [-> MaxPool] or source -> [Affine] -> [Add] -> [Lif | SumTime]
"""

from __future__ import annotations

import dataclasses
from typing import Any

from spikelet.graph import ir
from spikelet.runtime.plan.constants import is_plain
from spikelet.runtime.plan.emit import Map, Value
from spikelet.runtime.plan.forms import Scaled
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.planner import Planner
from spikelet.runtime.pointwise import DIVIDED

MAX_WINDOW = 4  # of a MaxPool, each way: the input rows under a row of windows are all listed at once
FEWEST_STILL, MOST_STILL = 3, 16  # steps: two go as fast one by one (results/LOG.md); CHUNK of tile.h
MAX_NESTED = 50  # five frames of Python each; an Add further in is an operation of its own


@dataclasses.dataclass(eq=False)
class Stage:
    """A fused operation in the making. `tail` is the last node that it computes so far."""

    kind: Kind
    source: Value
    map: Map
    fields: dict[str, Any]
    tail: ir.Operation | None = None
    affine: ir.Affine | None = None
    addend: Value | Scaled | None = None
    sum_time: ir.SumTime | None = None
    lif: ir.Lif | None = None
    affine_steps: int = 1

    @property
    def addend_map(self) -> Value | None:
        """The map that the addend lies in."""
        return self.addend.spikes if isinstance(self.addend, Scaled) else self.addend

    @property
    def steps(self) -> int:
        """Steps of the current: T where the source, the affine step or the addend has them."""
        return max(self.source.steps, self.addend_map.steps if self.addend_map else 1, self.affine_steps)


def finish(plan: Planner, stage: Stage) -> None:
    """Lets `stage` take in the nodes after its tail, then emits it."""
    if stage.affine is not None:
        _set_affine(plan, stage, stage.affine)
    while True:
        if stage.tail is not None:
            plan.forms.maps[stage.tail.name] = stage.map
        if not (_take_pool(plan, stage) or _take_affine(plan, stage) or _take_add(plan, stage)):
            break
    _take_end(plan, stage)
    places: dict[str, Value | None] = {"addend": stage.addend_map}
    if stage.sum_time is not None:
        places["values"] = plan.emitter.new(Form.VALUES, stage.map, 1)
        plan.forms.bind(stage.sum_time, places["values"])
    elif stage.tail is not None and plan.readers.is_read(stage.tail, stage.lif):
        places["values"] = plan.emitter.new(Form.VALUES, stage.map, stage.steps)
        plan.forms.bind(stage.tail, places["values"])
    at_once = _one_affine(plan, stage)
    if at_once is not None:
        assert stage.lif is not None
        counts = plan.emitter.new(Form.VALUES, stage.map, 1)
        plan.forms.bind(stage.lif, counts)
        plan.emitter.emit(stage.kind, stage.source, stage.map, {"values": counts}, **stage.fields | at_once)
        return
    if stage.lif is not None:
        place, form = ("spikes", Form.SPIKES) if stage.lif.levels == 1 else ("counts", Form.VALUES)
        fired = places[place] = plan.emitter.new(form, stage.map, plan.emitter.T)
        plan.forms.bind(stage.lif, fired)
    plan.emitter.emit(stage.kind, stage.source, stage.map, places, **_fields(plan, stage))
    if stage.sum_time is not None:
        carry(plan, stage.sum_time, plan.forms.values(stage.sum_time.name))


def carry(plan: Planner, node: ir.SumTime, total: Value) -> None:
    """Makes the sum over the steps of a call that over all steps so far, in a stream."""
    if plan.carried is not None:
        plan.emitter.emit(Kind.CARRY, total, total.map, {"values": total}, **plan.state(node, total.map))


def add_up(plan: Planner, first: Value, addend: Value | Scaled) -> Value:
    """The sum of two maps, computed at once."""
    stage = Stage(Kind.POINTWISE, first, first.map, {}, addend=addend)
    total = plan.emitter.new(Form.VALUES, first.map, stage.steps)
    places = {"addend": stage.addend_map, "values": total}
    plan.emitter.emit(stage.kind, stage.source, stage.map, places, **_fields(plan, stage))
    return total


def _take_pool(plan: Planner, stage: Stage) -> bool:
    """A MaxPool of sums of synapses, its windows side by side: the sums of a window are never all there at once."""
    user = plan.readers.only(stage.tail)
    if type(user) is not ir.MaxPool or not isinstance(stage.tail, ir.Conv) or user.kernel != user.stride:
        return False
    if any(user.padding) or max(user.kernel) > MAX_WINDOW:
        return False
    stage.tail, stage.map = user, plan.forms.shape(user.name)
    stage.fields |= {"max_h": user.kernel[0], "max_w": user.kernel[1]}
    return True


def _take_affine(plan: Planner, stage: Stage) -> bool:
    user = plan.readers.only(stage.tail)
    if type(user) is not ir.Affine or stage.affine is not None or stage.addend is not None:
        return False
    if stage.map != plan.forms.shape(user.name):
        return False
    stage.tail = user
    _set_affine(plan, stage, user)
    return True


def _set_affine(plan: Planner, stage: Stage, node: ir.Affine) -> None:
    stage.affine, stage.affine_steps = node, plan.emitter.T if len(node.shift) > 1 else 1


def _take_add(plan: Planner, stage: Stage) -> bool:
    """An Add of the tail and of something else, which is made first: it can't depend on the tail."""
    user = plan.readers.only(stage.tail)
    if type(user) is not ir.Add or len(user.inputs) != 2 or stage.addend is not None or stage.tail is None:
        return False
    others = [n for n in user.inputs if n != stage.tail.name]
    if len(others) != 1 or plan.nested == MAX_NESTED or len({plan.edges[n].shape for n in user.inputs}) != 1:
        return False
    plan.nested += 1
    plan.make(plan.readers.needed_by(others[0], plan.forms.maps))
    plan.nested -= 1
    if not plan.forms.has_value(others[0]) or plan.forms.maps[others[0]] != stage.map:
        return False
    stage.addend, stage.tail = plan.forms.addend(others[0]), user
    return True


def _take_end(plan: Planner, stage: Stage) -> None:
    """A neuron that reads the tail, or a sum over time that nobody else competes with."""
    if stage.tail is None:
        return
    neurons = (u for u in plan.readers.of(stage.tail) if type(u) is ir.Lif)
    stage.lif = next((n for n in neurons if _ends_in(plan, stage, n)), None)
    only = plan.readers.only(stage.tail)
    stage.sum_time = only if type(only) is ir.SumTime and not only.running else None


def _ends_in(plan: Planner, stage: Stage, neuron: ir.Lif) -> bool:
    """Whether a stage can end in `neuron`: constants by channel need a map in the order of its shape."""
    return is_plain(neuron) or stage.map == plan.forms.shape(neuron.name)


def _one_affine(plan: Planner, stage: Stage) -> dict[str, Any] | None:
    """The fields of an affine step that gives the counts of the stage's neuron, where one does and nothing else is
    wanted; the kernels to compare with compute both."""
    neuron, affine = stage.lif, stage.affine
    if neuron is None or affine is None or stage.tail is not affine or stage.kind is not Kind.POINTWISE:
        return None
    still = plan.emitter.T == 1 and plan.carried is None and stage.steps == 1
    if not still or plan.emitter.kernels.costs is None or neuron.levels < DIVIDED:
        return None
    return None if plan.readers.is_read(affine, neuron) else plan.constants.counted(affine, neuron)


def _is_still(plan: Planner, stage: Stage, neuron: ir.Lif) -> bool:
    """Whether the neuron's current is the same at enough steps, and its first spike says all the others."""
    steps, kernels = plan.emitter.T, plan.emitter.kernels
    still = (
        stage.steps == 1 and FEWEST_STILL <= steps <= MOST_STILL and plan.carried is None and kernels.costs is not None
    )
    held = plan.edges[neuron.inputs[0]].low.min() > -(2**31)  # one below it too is an int32
    return bool(still and held and is_plain(neuron) and neuron.drop is None)


def _fields(plan: Planner, stage: Stage) -> dict[str, Any]:
    fields = stage.fields | {"sum_time": stage.sum_time is not None}
    if stage.lif is not None:
        fields |= plan.constants.neuron(stage.lif) | plan.state(stage.lif, stage.map)
        fields |= plan.constants.first_spikes(stage.lif) if _is_still(plan, stage, stage.lif) else {}
    if stage.affine is not None:
        fields |= plan.constants.affine(stage.affine)
    if stage.addend_map is not None:
        fields |= {"addend_t": stage.addend_map.steps, "addend_source": stage.addend_map.form}
    if isinstance(stage.addend, Scaled):
        fields |= stage.addend.levels
    return fields
