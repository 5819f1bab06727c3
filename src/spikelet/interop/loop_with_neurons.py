"""A loop over time in which code stands for neurons, and one that records what its code does (neurons_in_code.py)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn

from spikelet.interop.code_record import CodeRecord
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
        self.spikes: dict[str, Steps] = {}
        self.stands_in: dict[Any, Tensor] = {}  # for spikes of the code, by where they lie in memory

    def __torch_function__(
        self, func: Call, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if self.inside or self.own:
            return super().__torch_function__(func, types, args, kwargs)
        args, kwargs = computed(args), computed(kwargs or {})
        targets = written(func, args, kwargs)
        if any(memory(x) in self.stands_in for x in targets):
            raise LoopRefused(written_in_place(func.__name__, "spikes"))
        args, kwargs = self._replaced(args), self._replaced(kwargs)
        output = self._done(func, args, kwargs)
        made = targets or tensors_in(output)
        if made:  # others are looks at a tensor, by whomever
            self._after(func, args, kwargs, output, made[0])
        return output

    def _after(self, func: Call, args: Any, kwargs: Any, output: Any, made: Tensor) -> None:
        """Runs neurons whose current was read, and has their spikes stand for those that were made."""
        call = self.calls
        self.calls += 1
        with self._own():
            for name, neurons in self.neurons.items():
                if neurons.plan.current[0] == call:
                    self._run_neurons(name, neurons, tensors_in((args, kwargs))[neurons.plan.current[1]])
                if call in neurons.plan.spikes:
                    self._stand_in(name, neurons.plan.spikes[call], made)
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

    def _replaced(self, tree: Any) -> Any:
        if self.inside or not self.stands_in:
            return tree
        return replaced(tree, Tensor, lambda x: self.stands_in.get(memory(x), x) if x.is_floating_point() else x)

    def _run_neurons(self, name: str, neurons: NeuronsInCode, current: Tensor) -> None:
        place = self._place(current)
        if place is None or place[1] not in (None, 0):
            raise self._other_path(name)
        spikes = self._whole(neurons.lif, place[0].whole)
        self._require_steps(neurons.lif, spikes)
        self.spikes[name] = Steps(whole=spikes, still=False)

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
            f"net.{name}: the network's code calls other functions than in its first pass, so that nothing says which of "
            "them are its neurons. Let its path depend on shapes and steps alone, or make its neurons a module."
        )
