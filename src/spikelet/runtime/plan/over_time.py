"""Rules of what depends on other time steps: neurons, sums over time, delays."""

from __future__ import annotations

from spikelet.graph import ir
from spikelet.runtime.plan.constants import is_plain
from spikelet.runtime.plan.kinds import Form, Kind
from spikelet.runtime.plan.planner import Planner
from spikelet.runtime.plan.stages import Stage, carry, finish


def lif(plan: Planner, node: ir.Lif) -> None:
    """O6 of a map that other operations read too."""
    (name,) = node.inputs
    source = plan.forms.readable(name) if is_plain(node) else plan.forms.in_order(name)
    finish(plan, Stage(Kind.POINTWISE, source, source.map, {}, lif=node))


def charge(plan: Planner, node: ir.Charge) -> None:
    """O17."""
    (name,) = node.inputs
    source = plan.forms.values(name) if is_plain(node) else plan.forms.values_in_order(name)
    reached = plan.emitter.new(Form.VALUES, source.map, plan.emitter.T)
    fields = plan.constants.neuron(node) | plan.state(node, source.map)
    plan.emitter.emit(Kind.CHARGE, source, source.map, {"values": reached}, **fields)
    plan.forms.bind(node, reached)


def sum_time(plan: Planner, node: ir.SumTime) -> None:
    """O10: spikes are counted."""
    (name,) = node.inputs
    if node.running:
        source = plan.forms.values(name)
        sums = plan.emitter.new(Form.VALUES, source.map, plan.emitter.T)
        plan.emitter.emit(Kind.RUNNING, source, source.map, {"values": sums}, **plan.state(node, source.map))
        plan.forms.bind(node, sums)
        return
    spikes = plan.forms.spikes(name)
    if spikes is None:
        source = plan.forms.readable(name)
        finish(plan, Stage(Kind.POINTWISE, source, source.map, {}, sum_time=node))
        return
    count = plan.emitter.new(Form.VALUES, spikes.map, 1)
    plan.emitter.emit(Kind.UNPACK, spikes, spikes.map, {"values": count}, sum_time=True)
    plan.forms.bind(node, count)
    carry(plan, node, count)


def delay(plan: Planner, node: ir.Delay) -> None:
    """O16. A later node's values are kept when they are there, at the end of the step."""
    (name,) = node.inputs
    shape = plan.forms.shape(node.name)
    later = plan.readers.comes_later(name, node)
    assert not later or (plan.emitter.T == 1 and plan.carried is not None), "a loop runs step by step"
    source = None if later else plan.forms.values_in_order(name)
    out = plan.emitter.new(Form.VALUES, shape, plan.emitter.T)
    state = plan.state(node, shape)
    plan.emitter.emit(Kind.DELAY, source or out, shape, {"values": out}, **state)
    plan.forms.bind(node, out)

    def keep() -> None:
        values = plan.forms.values_in_order(name)
        plan.emitter.emit(Kind.KEEP, values, shape, {}, **state)

    if later:
        plan.at_the_end.append(keep)
    elif state:
        keep()
