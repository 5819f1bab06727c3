"""A graph as a native program.

    logits = Program(graph, threads=2)(x)          int32 [B, K]
    spikes = Program(graph).spikes(x)              {lif: uint8 [T, B, ...]}

Equal, bit for bit, to `graph.reference.Reference(graph)`, on every kernel set and for every number of
threads. A program keeps nothing between calls; several Python threads may call one at once.
"""

from __future__ import annotations

import ctypes
import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.reference import time_first
from spikelet.runtime import layout
from spikelet.runtime.emit import Plan
from spikelet.runtime.library import MAX_THREADS, choose, library
from spikelet.runtime.plan import Packed, make_plan
from spikelet.runtime.structures import Call

MAX_BYTES = 2**32


class Program:
    """Runs `graph` on this machine's processor.

    Args:
        graph: an integer graph.
        threads: samples of a batch that run side by side, 1 to 64. Results don't depend on it.
        kernels: "auto", or a set by name ("scalar": the slow one to compare with; "portable"; "avx2").
        max_bytes: the most memory that all threads may take for maps in between, of T steps each.

    Raises:
        GraphError: `graph` has no meaning, `threads` is out of range, or max_bytes is too little.
        RuntimeUnavailable: the library is not built, or has no such kernels for this machine.
    """

    def __init__(
        self, graph: ir.IntGraph, threads: int = 1, kernels: str = "auto", *, max_bytes: int = MAX_BYTES
    ) -> None:
        if not isinstance(threads, int) or not 1 <= threads <= MAX_THREADS:
            raise GraphError(f"threads must be a whole number from 1 to {MAX_THREADS}, got {threads!r}.")
        self.graph = graph
        self.threads = threads
        self.max_bytes = max_bytes
        self._edges = analyse(graph)
        self._set = choose(kernels)
        self.kernels = self._set.name
        self._packed = Packed()
        self._plans: dict[tuple[bool, bool], Plan] = {}
        self._arenas: list[NDArray[np.uint8]] = []  # arenas that no call is using
        self.plan(still=True, spikes=False)

    def __call__(self, x: ArrayLike) -> NDArray[np.int32]:
        """Integer logits [B, K] of x, uint8 [B, *input shape] (one image for every step) or [T, B, *input shape]."""
        x_TB = np.ascontiguousarray(time_first(x, self.graph))  # type: ignore[arg-type]
        logits = np.empty((x_TB.shape[1], *self._edges[self.graph.output.name].shape), np.int32)
        plan = self.plan(still=len(x_TB) == 1, spikes=False)
        self._run(plan, x_TB, logits=logits.ctypes.data, logit_count=logits.shape[1])
        return logits

    def spikes(self, x: ArrayLike) -> dict[str, NDArray[np.uint8]]:
        """Spikes [T, B, ...], 0 or 1, of every Lif, by node name."""
        x_TB = np.ascontiguousarray(time_first(x, self.graph))  # type: ignore[arg-type]
        plan = self.plan(still=len(x_TB) == 1, spikes=True)
        shapes = {name: (self.graph.time_steps, x_TB.shape[1], *shape) for name, shape in plan.spike_outputs}
        ends = np.cumsum([0, *map(math.prod, shapes.values())])
        everything = np.empty(ends[-1], np.uint8)
        self._run(plan, x_TB, spikes=everything.ctypes.data)
        return {
            name: everything[start:end].reshape(shape)
            for (name, shape), start, end in zip(shapes.items(), ends, ends[1:], strict=False)
        }

    def plan(self, *, still: bool, spikes: bool) -> Plan:
        """The operations of the library for an input of one step (`still`) or T, giving logits or spikes."""
        still = still or self.graph.time_steps == 1
        if (still, spikes) not in self._plans:
            plan = make_plan(self.graph, self._edges, self._set, self._packed, still=still, spikes=spikes)
            needed = plan.arena_bytes * self.threads
            if needed > self.max_bytes:
                raise GraphError(
                    f"{self.threads} thread(s) at T = {self.graph.time_steps} take {needed} bytes, max_bytes allows "
                    f"{self.max_bytes}. Use fewer threads, or pass a larger max_bytes if you trust the graph."
                )
            self._plans[still, spikes] = plan
        return self._plans[still, spikes]

    def _run(self, plan: Plan, x_TB: NDArray[np.uint8], **outputs: int) -> None:
        batch = x_TB.shape[1]
        threads = max(1, min(self.threads, batch))
        arena = self._take_arena(plan.arena_bytes * threads)
        call = Call(
            ops=ctypes.addressof(plan.ops),
            op_count=len(plan.ops),
            x=x_TB.ctypes.data,
            x_size=math.prod(self.graph.input.shape),
            batch=batch,
            arena=arena.ctypes.data,
            arena_bytes=plan.arena_bytes,
            threads=threads,
            set=self._set.index,
            **outputs,
        )
        library().spk_run(ctypes.byref(call))
        self._arenas.append(arena)

    def _take_arena(self, size: int) -> NDArray[np.uint8]:
        """An arena of at least `size` bytes that no other call holds."""
        try:
            arena = self._arenas.pop()
        except IndexError:
            return layout.aligned_empty(size)
        return arena if arena.size >= size else layout.aligned_empty(size)
