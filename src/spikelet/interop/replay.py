"""Code that was recorded, run anew in float64 on random currents, beside the equation that it was taken for.

    v[t] = leak * v[t-1] + x[t]          x what the code reads at step t, v less what spikes take from it (dynamics.py)
    s[t] = v[t] > threshold, or >=       both at the threshold too, at the first step

A threshold such as 0.3 is rounded, so that a membrane of the code may lie next to it where that of the equation lies on
it: neurons are compared up to the first step at which that makes a difference.

Only the calls on which a comparison depends run. Whatever else they read is drawn anew.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor

from spikelet.interop.code_events import Event, Events
from spikelet.interop.code_record import CodeRecord, Node
from spikelet.interop.dynamics import After, Dynamics
from spikelet.interop.steps import replaced, tensors_in

LEVELS = 64  # a current is a multiple of the threshold's 64th part
DYADIC = 2.0**20  # constants that are multiples of its inverse are not rounded at the first step
NEAR = 1e-9  # of the threshold: what rounding may take from a membrane


@torch.no_grad()
def differs(record: CodeRecord, events: Events, steps: Sequence[Event], neuron: Dynamics) -> bool:
    """Whether the comparisons `steps` of the code give another spike than `neuron` anywhere, or do not run so."""
    threshold = -steps[0].u.get((), 0.0)
    assert isinstance(neuron.leak, float), "code has one leak for all of its neurons"
    try:
        again = _Again(record, events, steps, threshold)
        with _in_float64():
            theirs = [again.spikes(event).double() for event in steps]
    except (RuntimeError, TypeError, ValueError, IndexError):
        return True
    above, ours = _equation([again.current(event) for event in steps], neuron, threshold)
    exact = all((x * DYADIC).is_integer() for x in (neuron.leak, threshold, again.scale, threshold / again.scale))
    rounded = torch.zeros_like(ours[0], dtype=torch.bool)  # neurons that one of both may have rounded to another side
    for step, (a, b) in enumerate(zip(theirs, ours, strict=True)):
        if step or not exact:
            rounded |= (a.expand_as(b) != b) & (above[step].abs() <= NEAR * threshold)
        if not torch.equal(torch.where(rounded, b, a), b):
            return True
    return not any(bool(spikes.any()) for spikes in ours)


def _equation(currents: list[Tensor], neuron: Dynamics, threshold: float) -> tuple[list[Tensor], list[Tensor]]:
    """How far above its threshold each membrane is at each step, and the spikes."""
    assert isinstance(neuron.leak, float), "code has one leak for all of its neurons"
    v, late, above, spikes = torch.zeros_like(currents[0]), torch.zeros_like(currents[0]), [], []
    for current in currents:
        v = neuron.leak * v + current - late
        s = (v > threshold if neuron.strictly_above else v >= threshold).double()
        above.append(v - threshold)
        late = threshold * s if neuron.after is After.LATE else torch.zeros_like(v)
        v = {After.HARD: v * (1 - s), After.SOFT: v - threshold * s}.get(neuron.after, v)
        spikes.append(s)
    return above, spikes


class _Again:
    """One run of the calls that comparisons depend on."""

    def __init__(self, record: CodeRecord, events: Events, steps: Sequence[Event], threshold: float) -> None:
        self.record, self.events, self.threshold = record, events, threshold
        self.made: dict[int, Tensor] = {}  # by the id of what the code had
        self.drawn: dict[int, Tensor] = {}  # by the node's id
        self.generator = torch.Generator().manual_seed(0)
        self.scale = min(abs(c) for m, c in steps[0].u.items() if m)
        self.outputs = self._run(sorted(needed(record, [event.index for event in steps])))

    def spikes(self, event: Event) -> Tensor:
        """What a comparison gave."""
        return self.outputs[event.index]

    def current(self, event: Event) -> Tensor:
        """What was read at the step of a comparison, from its polynomial."""
        parts = [(c, self._tensor(self.events.others[m[0]])) for m, c in event.u.items() if m and m[0].startswith("x")]
        return torch.stack(torch.broadcast_tensors(*(c * x for c, x in parts))).sum(0)

    def _run(self, calls: list[int]) -> dict[int, Tensor]:
        outputs: dict[int, Tensor] = {}
        with _in_float64():
            for call in calls:
                step = self.record.steps[call]
                for tensor, node in zip(tensors_in((step.args, step.kwargs)), step.read, strict=True):
                    if id(tensor) not in self.made:
                        known = [outputs[made] for made in node.made_by if made in outputs]  # read back where it lies
                        made = known[-1] if known else self._tensor(node)
                        self.made[id(tensor)] = made.double() if tensor.is_floating_point() else made
                args, kwargs = (replaced(tree, Tensor, lambda x: self.made[id(x)]) for tree in (step.args, step.kwargs))
                function = torch.Tensor.double if step.function.__name__ == "float" else step.function
                given = function(*args, **kwargs)
                for old, new in zip(tensors_in(step.output), tensors_in(given), strict=True):
                    self.made[id(old)] = outputs[call] = new
        return outputs

    def _tensor(self, node: Node) -> Tensor:
        shape = () if node.tensor is None else tuple(node.tensor.shape)
        if node.value is not None:
            return torch.full(shape, node.value, dtype=torch.float64)
        if id(node) not in self.drawn:
            units = torch.randint(-LEVELS, 2 * LEVELS + 1, shape, generator=self.generator).double()
            self.drawn[id(node)] = units / LEVELS * (self.threshold / self.scale)
        return self.drawn[id(node)]


def needed(record: CodeRecord, compares: Sequence[int]) -> set[int]:
    """The calls on which comparisons depend, from one to the next."""
    waiting = [node for node in record.nodes if node.index in compares]
    seen: dict[int, Node] = {}
    while waiting:
        node = waiting.pop()
        if id(node) not in seen and node.operation:
            seen[id(node)] = node
            waiting += node.operands
    return {call for node in seen.values() for call in node.made_by}


@contextmanager
def _in_float64() -> Iterator[None]:
    before: Any = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
