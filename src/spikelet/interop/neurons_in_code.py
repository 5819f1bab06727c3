"""Neurons that a network's loop writes out as tensor functions, which no module stands for.

    mem = mem * decay * (1 - spike) + self.fc(x)          reset to zero                            STBP
    spike = act(mem)                                      mem > threshold, by any function

    mem = decay * mem + self.fc(x) - threshold * spike    threshold subtracted, a step later or at once
    mem = mem + (self.fc(x) - mem) / tau                  a current that is scaled

Each becomes a module of its own, `neurons_0` and so on, which gives the spikes in the code's place. In the first pass
the code is recorded, call by call, and its comparisons are read as polynomials (code_events.py): T of them, each from
the state and spikes of the one before in the same way, make neurons. What was recognised is compared with the code
itself, run anew in float64 on random currents: every spike must be the same, or the network is refused by name. From
then on a tensor of spikes that the code makes stands for the neurons' spikes of that step. The rest of the recurrence
still runs, and nothing reads it; membranes that are returned or read are refused.

A loop may call modules of neurons too, before, between and behind those that it writes out.

Which calls make which spikes is told by their place in the order of calls. A pass that makes other calls is refused.
"""

from __future__ import annotations

import dataclasses
import functools

from torch import nn

from spikelet.base.errors import ConversionError
from spikelet.interop.beside import put_beside
from spikelet.interop.code_events import Event, Events
from spikelet.interop.code_record import CodeRecord, Node, Sign, sign_of
from spikelet.interop.dynamics import After, Dynamics, to_lif
from spikelet.interop.lockstep import Lockstep, LoopRefused
from spikelet.interop.polynomials import Polynomial, alike, names_in, number, plus, times
from spikelet.interop.replay import differs, needed
from spikelet.neurons import LIF, Membranes, Triangle

PREFIX = "neurons_"
CLOSE = 1e-6


@dataclasses.dataclass(frozen=True)
class Plan:
    """Where neurons stand in the order of calls.

    current: the calls that read what their current at the first step is the sum of, which of its tensors that is, and
        what it is multiplied by.
    compares: the calls that compare, step by step.
    spikes: the step of each call that makes a tensor of spikes.
    membranes: the step of each call that makes a tensor of membranes, before the reset.
    own: the calls that compute one membrane from the one before; of each its function and the numbers it reads.
    calls: how many there are in a pass.
    """

    current: tuple[tuple[int, int, float], ...]
    compares: tuple[int, ...]
    spikes: dict[int, int]
    membranes: dict[int, int]
    own: dict[int, Sign]
    calls: int


class NeuronsInCode(nn.Module):
    """Neurons that stand for those in the code.

    Args:
        lif: the neurons.
        plan: where they stand.
        cut: the axis of which the loop takes its steps.
    """

    def __init__(self, lif: LIF, plan: Plan, cut: int | None) -> None:
        super().__init__()
        self.lif, self.plan, self.cut = lif, plan, cut
        self.membranes = Membranes(lif)


class NeuronsFound(Exception):
    """Raised where neurons were recognised that have no module yet."""

    def __init__(self, neuron: Dynamics, plan: Plan, cut: int | None) -> None:
        super().__init__("neurons are written out in the code.")
        self.neuron, self.plan, self.cut = neuron, plan, cut


def in_code_of(net: nn.Module) -> dict[str, NeuronsInCode]:
    """The modules of `net` that stand for neurons in its code, by name."""
    return {name: module for name, module in net.named_children() if isinstance(module, NeuronsInCode)}


def add_neurons(net: nn.Module, found: NeuronsFound, time_steps: int, *, round_leak: bool) -> None:
    """Gives `net` the module of neurons that were found. Raises ConversionError where they have no counterpart."""

    def make(name: str) -> NeuronsInCode:
        return NeuronsInCode(to_lif(f"net.{name}", found.neuron, time_steps, round_leak), found.plan, found.cut)

    put_beside(net, PREFIX, make)


def find(record: CodeRecord, loop: Lockstep, known: list[NeuronsInCode], cut: int | None) -> ConversionError | None:
    """Raises NeuronsFound for the first neurons in `record`, of one pass through `loop`, that have no module yet.

    Returns:
        Why those that are there have no counterpart; None where there are none.
    """
    taken = {index for neurons in known for index in neurons.plan.compares}
    refusals: list[ConversionError] = []
    for to_the_end in (True, False):
        events = Events(record, to_the_end=to_the_end)
        for chain in _chains(events, taken):
            try:
                raise _found(chain, events, record, loop, cut)
            except ConversionError as e:
                refusals.append(e)
    return refusals[0] if refusals else None


def _chains(events: Events, taken: set[int]) -> list[list[int]]:
    """Events that follow one another, each from the states of one before; those of no other, and nothing after, are
    truth values."""
    chains: list[list[int]] = []
    for i, event in enumerate(events.all):
        if event.index in taken:
            continue
        chain = next((chain for chain in chains if chain[-1] in event.states), None)
        if chain is None:
            chains.append([i])
        else:
            chain.append(i)
    return [chain for chain in chains if len(chain) > 1]


def _found(chain: list[int], events: Events, record: CodeRecord, loop: Lockstep, cut: int | None) -> NeuronsFound:
    """The neurons of a chain. Raises LoopRefused where they have no counterpart."""
    steps = _with_first_state([events.all[i] for i in chain], chain)
    where = f"the neurons written out in the network's loop ({_words(record, steps[0])})"
    if len(chain) != loop.time_steps:
        raise LoopRefused(
            f"{where} fire at {len(chain)} steps, and the conversion was told of time_steps={loop.time_steps}. Convert "
            "with as many steps as the loop takes. Where it compares a membrane before it adds the current of the "
            "step, its spikes come a step late, which a converted neuron's don't: add the current first. snnTorch's "
            "Synaptic is a neuron whose synapses leak."
        )
    currents = [
        _currents(event, i, events, loop, t, where)
        for t, (event, i) in enumerate(zip(steps, [None, *chain], strict=False))
    ]
    if any(not alike(current, currents[0]) for current in currents):
        raise LoopRefused(
            f"{where} read another current at some steps than at the first, such as that of an earlier step, or an "
            "image that is shown at the first step only. Feed frames, time_axis=0, and read each in its own step."
        )
    neuron = _dynamics(steps, chain, where)
    unit = 1.0 if neuron.scale_input else steps[0].factor
    current = tuple(
        (*_read_at(events.others[name], record, loop, where), value / steps[0].factor)
        for (name, *_), value in ((m, v) for m, v in steps[0].u.items() if m)
    )
    threshold = -steps[0].u.get((), 0.0)
    spikes = {call: chain.index(event) for call, event in events.spikes.items() if event in chain}
    membranes = {
        call: chain.index(event)
        for call, (event, p, q) in events.membranes.items()
        if event in chain and abs(p - unit) <= CLOSE and abs(q + threshold) <= CLOSE
    }
    compares = tuple(event.index for event in steps)
    own = {call: sign_of(record.steps[call].function, record.steps[call].args) for call in needed(record, compares)}
    plan = Plan(current, compares, spikes, membranes, own, len(record.steps))
    if differs(record, events, steps, neuron):
        raise LoopRefused(
            f"{where} give other spikes, when they run anew on random currents, than those they were taken for. Make "
            "them a module, and say what it computes: neurons={MyLIF: LIFParams(...)}."
        )
    return NeuronsFound(neuron, plan, cut)


def _with_first_state(steps: list[Event], chain: list[int]) -> list[Event]:
    """The events of a chain; the second by the state of the first, where that state is a tensor which is the current of
    all steps too, so that the code does not tell them apart: it is told as the third from the second."""
    if len(chain) < 3:
        return steps
    (first, second, third), (zero, one) = steps[:3], chain[:2]
    told: Polynomial = {monomial: value for monomial, value in first.u.items() if monomial}
    for monomial, value in third.u.items():
        if not any(name.startswith("x") for name in monomial):
            renamed = tuple(sorted({f"u{one}": f"u{zero}", f"s{one}": f"s{zero}"}.get(name, name) for name in monomial))
            told[renamed] = told.get(renamed, 0.0) + value
    in_full: Polynomial = {}
    for monomial, value in told.items():
        parts = [first.u if name == f"u{zero}" else {(name,): 1.0} for name in monomial]
        in_full = plus(in_full, functools.reduce(times, parts, number(1.0)), value)
    if f"u{zero}" in names_in(second.u) or not alike(in_full, second.u):
        return steps
    return [first, dataclasses.replace(second, u=told), *steps[2:]]


def _read_at(node: Node, record: CodeRecord, loop: Lockstep, where: str) -> tuple[int, int]:
    """The call that reads a current first, and the tensor's place among those that it reads."""
    at = next(((n, i) for n, step in enumerate(record.steps) for i, x in enumerate(step.read) if x is node), None)
    if at is None or loop._place(record.read_by(at)) is None:
        raise LoopRefused(f"{where} read a current that no layer gives at every step. Give them that of a layer.")
    return at


def _words(record: CodeRecord, event: Event) -> str:
    shape = getattr(event.current.tensor, "shape", ())
    return f"of shape {list(shape[1:])}" if len(shape) > 1 else "in its code"


def _currents(event: Event, before: int | None, events: Events, loop: Lockstep, step: int, where: str) -> Polynomial:
    """What u of an event holds beside states, with the sequences of which it reads this step."""
    found: Polynomial = {}
    of_others = {m: value for m, value in event.u.items() if any(name.startswith("x") for name in m)}
    if any(len(monomial) > 1 for monomial in of_others):
        raise LoopRefused(
            f"{where} multiply their current or membrane by spikes of the step before or by another tensor, where a "
            "converted neuron takes its current as it is, and has one number for a leak: mem * leak * (1 - spike) + "
            "current."
        )
    for (name,), value in of_others.items():
        tensor = events.others[name].tensor
        place = None if tensor is None else loop._place(tensor)
        if place is None or place[1] not in (None, step):
            raise LoopRefused(
                f"{where} read something else than a current of their step, such as spikes of the step before, "
                "of their own or of another layer, a tensor that differs by step, or a leak or threshold for each "
                "channel. Feed each layer the currents of its own step alone, and give it one leak and one threshold; "
                "neurons that read their own spikes, or have constants by channel, are a module, such as RLeaky, Leaky "
                "or a LinearRecurrentContainer."
            )
        key = (f"x{id(place[0])}",)
        found[key] = found.get(key, 0.0) + value
    return found


def _dynamics(steps: list[Event], chain: list[int], where: str) -> Dynamics:
    """The neuron's equation. Raises LoopRefused where it is no LIF's."""
    threshold = -steps[0].u.get((), 0.0)
    gain = steps[0].factor
    if threshold <= 0 or gain <= 0:
        raise LoopRefused(f"{where} fire at {threshold:.6g}, without a current. A converted neuron fires above 0.")
    equations = [_of_state(event.u, before, threshold) for event, before in zip(steps[1:], chain, strict=False)]
    if any(not alike(one, equations[0]) for one in equations):
        raise LoopRefused(f"{where} change their equation from step to step, and a converted one keeps it.")
    leak, spike, both, rest = (equations[0].get(key, 0.0) for key in (("v",), ("s",), ("s", "v"), ()))
    after = next((kind for kind, s, sv in (
        (After.NEVER, 0.0, 0.0), (After.HARD, 0.0, -leak), (After.SOFT, -leak * threshold, 0.0),
        (After.LATE, -threshold, 0.0),
    ) if abs(s - spike) <= CLOSE and abs(sv - both) <= CLOSE), None)  # fmt: skip
    if after is None or abs(rest) > CLOSE or not 0 <= leak <= 1 + CLOSE:
        raise LoopRefused(
            f"{where} compute mem = {leak:.6g} mem {both:+.6g} mem spike {spike:+.6g} spike {rest:+.6g} + current and "
            f"fire at {threshold:.6g}, which no LIF does: its leak is 0 to 1, and a spike sets it to 0, subtracts the "
            "threshold, or does nothing. Train with one of these."
        )
    scaled = abs(gain - (1 - leak)) <= CLOSE and gain < 1 - CLOSE
    unit = 1.0 if scaled else gain
    return Dynamics(
        min(leak, 1.0), f"the decay {leak:.6g}", threshold / unit, steps[0].strictly, after, scaled, Triangle()
    )


def _of_state(u: Polynomial, before: int, threshold: float) -> Polynomial:
    """u + threshold as a polynomial of the membrane v = u + threshold of the event before, and its spikes."""
    leak, spike = u.get((f"u{before}",), 0.0), u.get((f"s{before}",), 0.0)
    both = u.get((f"s{before}", f"u{before}"), 0.0)
    rest = u.get((), 0.0) + threshold - leak * threshold
    return {("v",): leak, ("s",): spike - both * threshold, ("s", "v"): both, (): rest}
