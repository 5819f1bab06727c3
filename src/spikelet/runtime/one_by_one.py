"""A plan's operations, each in a native call of its own: what every one of them costs."""

from __future__ import annotations

import ctypes
import dataclasses
import statistics
import time
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import GraphError
from spikelet.runtime import layout
from spikelet.runtime.binding import bind
from spikelet.runtime.library import library
from spikelet.runtime.plan import Plan
from spikelet.runtime.program import Program
from spikelet.runtime.structures import Call, Op

FEWEST = 5  # rounds


@dataclasses.dataclass(frozen=True)
class Timed:
    """An operation of a plan: the node whose rule made it, its kernel, and its time for one sample."""

    node: str
    kind: str
    microseconds: float


class OneByOne:
    """The operations of a program's plan for one sample, to be run one after the other on one arena.

    Args:
        x: one sample, uint8 [1, ...] for every step or [T, 1, ...].

    Raises:
        GraphError: the program runs step by step, or runs nodes in Python.
    """

    def __init__(self, program: Program, x: NDArray[np.uint8]) -> None:
        self.plan: Plan = program.plan(still=x.ndim == len(program.graph.input.shape) + 1)
        if self.plan.carried or self.plan.calls:
            raise GraphError("a program that runs step by step, or runs nodes in Python, can't be timed by operation.")
        self._native = bind(self.plan)
        self._x = np.ascontiguousarray(x)
        self._arena = layout.aligned_empty(self.plan.arena_bytes)
        self._results = np.empty(sum(export.size for export in self.plan.exports), np.int32)

    def call(self, first: int, count: int) -> Callable[[], None]:
        """A native call of `count` operations from the one numbered `first`."""
        call = Call(
            ops=self._native.address + first * ctypes.sizeof(Op), op_count=count, x=self._x.ctypes.data,
            x_size=self._x.size if self.plan.wanted.still else self._x.size // len(self._x), batch=1,
            logits=self._results.ctypes.data, logit_count=self._results.size, arena=self._arena.ctypes.data,
            arena_bytes=self.plan.arena_bytes, threads=1, set=self._native.set,
        )  # fmt: skip
        run, pointer = library().spk_run, ctypes.byref(call)
        return lambda: run(pointer)

    @property
    def results(self) -> NDArray[np.int32]:
        """What the last operation left."""
        return self._results


def times(program: Program, xs: Sequence[NDArray[np.uint8]], seconds: float) -> list[Timed]:
    """The time of every operation: the median of its processor time over rounds, the mean over `xs`, one sample each.

    A round runs every operation once, each on what those before have left; what a call without operations takes is
    taken off.

    Raises:
        GraphError: as for OneByOne.
        RuntimeError: run one by one, the operations give other results than the program.
    """
    totals: list[float] = []
    for x in xs:
        steps = OneByOne(program, x)
        count = len(steps.plan.operations)
        calls = [steps.call(0, 0), *(steps.call(i, 1) for i in range(count))]
        taken: list[list[int]] = [[] for _ in calls]
        end = time.perf_counter() + seconds / len(xs)
        while len(taken[0]) < FEWEST or time.perf_counter() < end:
            for of_one, call in zip(taken, calls, strict=True):
                start = time.thread_time_ns()
                call()
                of_one.append(time.thread_time_ns() - start)
        if (steps.results != program(x).reshape(-1)).any():
            raise RuntimeError("operations run one by one give other results than the program")
        nothing, *each = map(statistics.median, taken)
        totals = [a + max(b - nothing, 0) for a, b in zip(totals or [0.0] * count, each, strict=True)]
    return [
        Timed(op.node, op.kind.name, total / len(xs) / 1e3)
        for op, total in zip(steps.plan.operations, totals, strict=True)
    ]
