"""A loop over time in which code stands for neurons, and one that records what its code does (neurons_in_code.py)."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.interop.code_record import CodeRecord, sign_of
from spikelet.interop.joined_feedback import LoopWithJoins
from spikelet.interop.lockstep import Call, LoopRefused
from spikelet.interop.membranes import computed
from spikelet.interop.neurons_in_code import NeuronsInCode
from spikelet.interop.refused_currents import written_in_place
from spikelet.interop.steps import Steps, replaced, tensors_in
from spikelet.interop.writes import memory, written


class LoopWithNeurons(LoopWithJoins):
    """One run of such a loop.

    Args:
        time_steps, cut: see Lockstep.
        neurons: that stand for code, by name.
        record: of the code's calls; None where nobody reads it.
    """

    def __init__(
        self, time_steps: int, cut: int | None, neurons: Mapping[str, NeuronsInCode], record: CodeRecord | None = None
    ) -> None:
        super().__init__(time_steps, cut)
        self.neurons, self.record = neurons, record
        self.calls = self.own = 0  # of the code, and how deep the loop itself is in what it does
        self.currents: dict[str, dict[int, Tensor]] = {name: {} for name in neurons}  # parts of them, all steps
        self.spikes: dict[str, Steps] = {}
        self.membranes: dict[str, Steps] = {}
        self.stands_in: dict[Any, Tensor] = {}  # for spikes of the code, by where they lie in memory
        self.states: dict[Any, tuple[str, int]] = {}  # membranes of the code in the same way: whose, of which step

    def __torch_function__(
        self, func: Call, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.inside or self.own:
            return super().__torch_function__(func, types, args, kwargs)
        args, given = computed(args), computed(kwargs or {})
        targets = written(func, args, given)
        if any(memory(x) in self.stands_in for x in targets):
            raise LoopRefused(written_in_place(func.__name__, "spikes"))
        own = any(self.calls in neurons.plan.own for neurons in self.neurons.values())
        args, given = (self._replaced(tree, membranes=not own, but=targets) for tree in (args, given))
        output = self._done(func, args, given)
        for x in targets:
            self.states.pop(memory(x), None)  # it holds something else now
        made = targets or tensors_in(output)
        if made:  # others are looks at a tensor, by whomever
            self._after(func, args, given, output, made[0])
        return output

    def _after(self, func: Call, args: Any, kwargs: Any, output: Any, made: Tensor) -> None:
        """Runs neurons whose current was read, and has their spikes stand for those that were made."""
        call, sign = self.calls, sign_of(func, args)
        self.calls += 1
        with self._own():
            for name, neurons in self.neurons.items():
                plan = neurons.plan
                if plan.own.get(call, sign) != sign:
                    raise self._other_path(name)
                for part, (at, which, factor) in enumerate(plan.current):
                    if at == call:
                        self._read(name, neurons, part, tensors_in((args, kwargs))[which], factor)
                if call in plan.membranes:
                    self.kept.append(made)
                    self.states[memory(made)] = name, plan.membranes[call]
                if call in plan.spikes:
                    self._stand_in(name, plan.spikes[call], made)
        if self.record is not None:
            self.record.note(func, args, kwargs, output)

    def still(self, x: Tensor) -> Tensor:
        """See Lockstep."""
        with self._own():
            return super().still(x)

    def watch(self, frames: Tensor) -> None:
        """See Lockstep."""
        with self._own():
            super().watch(frames)

    def constant(self, x: Tensor) -> None:
        """See Lockstep."""
        with self._own():
            super().constant(x)

    def called(self, unit: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See Lockstep."""
        with self._own():
            return self._noted(super().called(unit, call, self._replaced(args), self._replaced(kwargs)))

    def in_one(self, unit: nn.Module, call: Call, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """See Lockstep."""
        with self._own():
            return self._noted(super().in_one(unit, call, self._replaced(args), self._replaced(kwargs)))

    @contextmanager
    def _own(self) -> Iterator[None]:
        self.own += 1
        try:
            yield
        finally:
            self.own -= 1

    def _noted(self, output: Any) -> Any:
        if self.record is not None and not self.inside:
            self.record.other(output)
        return output

    def given(self, output: Any) -> Any:
        """See Lockstep."""
        with self._own():
            return self._replaced(computed(output))

    def _replaced(self, tree: Any, *, membranes: bool = True, but: Sequence[Tensor] = ()) -> Any:
        """`tree` with what stands for the tensors that the code made; but for those that it writes."""
        if self.inside or not (self.states or self.stands_in):
            return tree

        def stand_in(x: Tensor) -> Tensor:
            where = memory(x) if x.is_floating_point() else None
            is_read = membranes and not any(x is one for one in but)
            if is_read and where in self.states:
                return self._membrane_of(*self.states[where])
            return self.stands_in.get(where, x)

        return replaced(tree, Tensor, stand_in)

    def _membrane_of(self, name: str, step: int) -> Tensor:
        """The neurons' own membrane in the place of the code's."""
        if name not in self.membranes:
            current = self.current(name)
            with torch.set_grad_enabled(current.requires_grad):
                self.membranes[name] = self._every(self._whole(self.neurons[name].membranes, current))
        with self._own():
            return self._step_of(self.membranes[name], step)

    def current(self, name: str) -> Tensor:
        """What neurons read, at all steps."""
        parts = [self.currents[name][i] for i in sorted(self.currents[name])]
        return self._whole(lambda: functools.reduce(torch.add, parts))

    def _read(self, name: str, neurons: NeuronsInCode, part: int, x: Tensor, factor: float) -> None:
        """Notes a part of what neurons read, and runs them where it is the last."""
        place = self._place(x)
        if place is None or place[1] not in (None, 0):
            raise self._other_path(name)
        whole = place[0].whole
        with torch.set_grad_enabled(whole.requires_grad):  # an autograd.Function runs without
            self.currents[name][part] = whole if factor == 1 else self._whole(lambda: whole * factor)
            if len(self.currents[name]) == len(neurons.plan.current):
                spikes = self._whole(neurons.lif, self.current(name))
                self._require_steps(neurons.lif, spikes)
                self.spikes[name] = self._every(spikes)

    def _every(self, whole: Tensor) -> Steps:
        """The steps of a tensor, taken now."""
        sequence = Steps(whole=whole, still=False)
        with self._own():
            sequence.at(0)
        return sequence

    def _stand_in(self, name: str, step: int, made: Tensor) -> None:
        if name not in self.spikes or made.shape != self.spikes[name].at(step).shape:
            raise self._other_path(name)
        if not made.is_floating_point():
            return
        self.kept.append(made)
        known = [x for x in self.stands_in.values() if self._place(x) == (self.spikes[name], step)]
        self.stands_in[memory(made)] = known[0] if known else self._step_of(self.spikes[name], step)
        if self.record is not None:
            self.record.other(self.stands_in[memory(made)])

    def require_all_steps(self) -> None:
        """See Lockstep; and where the code made other calls than in the first pass."""
        super().require_all_steps()
        for name, neurons in self.neurons.items():
            if self.calls != neurons.plan.calls or name not in self.spikes:
                raise self._other_path(name)

    def _other_path(self, name: str) -> LoopRefused:
        return LoopRefused(
            f"net.{name}: the network's code calls other functions than in its first pass, or with other numbers, so "
            "that nothing says which of them are its neurons. Let its path and its constants depend on neither the "
            "input, the batch nor self.training, or make its neurons a module."
        )
