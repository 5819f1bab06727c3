"""Runs plans of a graph: plans are made when first asked for, arenas and threads are kept for the next call."""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import reads_later_nodes
from spikelet.graph.file.limits import laid_out
from spikelet.runtime.arenas import Arenas
from spikelet.runtime.binding import Native, bind
from spikelet.runtime.calling import NativeCall
from spikelet.runtime.own_calls import let_call_back
from spikelet.runtime.per_process import PerProcess
from spikelet.runtime.plan import Carried, Plan, Result, Subject, Wanted, make_plan
from spikelet.runtime.plan.sets import set_called
from spikelet.runtime.pools import Pools
from spikelet.runtime.state import StreamState
from spikelet.runtime.structures import Call

BLOCK = 16  # steps that are taken at once where not all are
Results = dict[str, NDArray[Any]]  # int32, or uint8 of spikes


class Engine:
    """A graph, the kernel set by name, and the limits that it runs with.

    laid_out: bytes of all weights and constants as the kernels read them, at most.
    one_by_one: whether the graph has a loop, so that no two steps can be taken at once.
    """

    def __init__(self, subject: Subject, kernels: str, threads: int, max_bytes: int) -> None:
        self.graph, self.edges = subject.graph, subject.edges
        self._subject, self._kernels = subject, set_called(kernels)
        self.threads, self.max_bytes = threads, max_bytes
        self.one_by_one = reads_later_nodes(self.graph)
        self.laid_out = _laid_out(self.graph, max_bytes)
        self._natives: dict[tuple[Wanted, bool], Native] = {}
        self._carried: dict[Result, Carried] = {}
        self._first: dict[tuple[Result, bool], Native] = {}
        self._planning = PerProcess(threading.Lock)
        self.arenas = PerProcess(functools.partial(Arenas, max_bytes - self.laid_out))
        self.pools = PerProcess(Pools)
        self._input_size = math.prod(self.graph.input.shape)

    def native(self, wanted: Wanted, *, stream: bool) -> Native:
        """The plan of one call, bound; of a `stream`, with a state."""
        with self._planning.get():
            if (wanted, stream) not in self._natives:
                carried = self._carried.setdefault(wanted.result, Carried()) if stream else None
                self._natives[wanted, stream] = bind(make_plan(self._subject, self._kernels, wanted, carried))
            return self._natives[wanted, stream]

    def first(self, result: Result, *, still: bool) -> Native:
        """The plan that a whole run begins with: of all T steps, or of the most whose maps fit `max_bytes`.

        Raises:
            GraphError: one step does not fit.
        """
        if (result, still) not in self._first:
            self._first[result, still] = self._fitting(result, still=still)
        return self._first[result, still]

    def _fitting(self, result: Result, *, still: bool) -> Native:
        steps = self.graph.time_steps
        everything = None if self.one_by_one else self.native(Wanted(result, steps, still), stream=False)
        if everything is not None and self._fits(everything):
            return everything
        block = self._block(result, steps, still=still)
        if not self._fits(block):
            needed = self.laid_out + (everything or block).arena_bytes * self.threads
            raise GraphError(
                f"{self.threads} thread(s) at T = {steps} take {needed} bytes, max_bytes allows "
                f"{self.max_bytes}. Use fewer threads, or pass a larger max_bytes if you trust the graph."
            )
        return block

    def _fits(self, native: Native) -> bool:
        return self.laid_out + native.arena_bytes * self.threads <= self.max_bytes

    def _block(self, result: Result, most: int, *, still: bool) -> Native:
        """The plan of the next steps of a stream, `most` at most."""
        if most >= BLOCK and not self.one_by_one:
            block = self.native(Wanted(result, BLOCK, still), stream=True)
            if self._fits(block):
                return block
        return self.native(Wanted(result, 1, still=True), stream=True)

    def whole(self, result: Result, x_TB: NDArray[np.uint8]) -> Results:
        """All T steps of x [1 or T, B, ...]."""
        native = self.first(result, still=len(x_TB) == 1)
        if native.plan.carried:
            return self.advance(result, x_TB, self.graph.time_steps, self.start(result, x_TB.shape[1]))[0]
        state = StreamState(0, np.empty((x_TB.shape[1], 0), np.uint8), {}, "") if native.plan.calls else None
        return self._run(native, x_TB, state)

    def start(self, result: Result, batch: int) -> StreamState:
        """The state before the first step."""
        self.native(Wanted(result, 1, still=True), stream=True)
        return StreamState(0, self._carried[result].start(batch), {}, self._subject.fingerprint)

    def state_bytes(self, result: Result) -> int:
        """What the state of one sample takes between calls."""
        self.native(Wanted(result, 1, still=True), stream=True)
        return self._carried[result].size

    def require_room(self, result: Result, batch: int) -> None:
        """Raises GraphError where the states of `batch` samples do not fit `max_bytes` beside the weights."""
        one = self.state_bytes(result)
        if self.laid_out + batch * one > self.max_bytes:
            raise GraphError(
                f"a stream of {batch} samples keeps {one} bytes of each, and {self.laid_out} of weights: "
                f"{self.laid_out + batch * one} bytes, max_bytes allows {self.max_bytes}. Start several smaller "
                "streams one after another, or pass a larger max_bytes if you trust the graph."
            )

    def require_own(self, result: Result, state: StreamState) -> None:
        """Raises GraphError unless `state` is one of this graph's, as large as those of `start`."""
        size = self.state_bytes(result)
        if not isinstance(state, StreamState):
            raise GraphError(f"state must be one that this stream made, got {type(state).__name__}.")
        if state.graph != self._subject.fingerprint:
            raise GraphError("state must be one that this stream made, got one of another graph.")
        found = state.memory.shape[1]
        if found != size:
            raise GraphError(f"state must be one that this stream made, got {found} bytes a sample, not {size}.")

    def advance(
        self, result: Result, x: NDArray[np.uint8], steps: int, state: StreamState
    ) -> tuple[Results, StreamState]:
        """So many steps of x [1 or steps, B, ...] from `state` on; `state` itself stays as it is."""
        state = state.copy()
        parts: list[Results] = []
        at, still = 0, len(x) == 1
        while at < steps:
            native = self._block(result, steps - at, still=still)
            taken = native.plan.wanted.steps
            parts.append(self._run(native, np.ascontiguousarray(x if still else x[at : at + taken]), state))
            at, state = at + taken, state.after(taken)
        return {
            name: np.concatenate([part[name] for part in parts]) if self.edges[name].timed else last
            for name, last in parts[-1].items()
        }, state

    def _run(self, native: Native, x: NDArray[np.uint8], state: StreamState | None) -> Results:
        """Runs a plan on x [1 or steps, B, ...], and writes what it carries into `state` (None: nothing)."""
        batch, plan = x.shape[1], native.plan
        threads = max(1, min(self.threads, batch))
        results, places = _room(plan, batch)
        arenas, pools = self.arenas.get(), self.pools.get() if threads > 1 else None
        arena, pool = arenas.take(native.arena_bytes * threads), pools and pools.take()

        def give_back() -> None:
            arenas.give(arena)
            if pools and pool:
                pools.give(pool)

        call = Call(
            ops=native.address, op_count=native.count, x=x.ctypes.data, x_size=self._input_size, batch=batch,
            arena=arena.ctypes.data, arena_bytes=native.arena_bytes, threads=threads, set=native.set,
            pool=pool and pool.address, **places,
        )  # fmt: skip
        errors = [] if state is None else _carry(call, plan, state)
        running = NativeCall(call, (native, x, state, results), give_back)
        native.pace.run(running, -(-batch // threads), short=not plan.calls)
        if errors:
            raise errors[0]
        return results


def _laid_out(graph: ir.IntGraph, max_bytes: int) -> int:
    """Bytes of all weights and constants as the kernels read them, at most.

    Raises:
        GraphError: they are beyond `max_bytes`.
    """
    by_node = laid_out(graph.nodes)
    needed = sum(by_node.values())
    if needed > max_bytes:
        name = max(by_node, key=by_node.__getitem__)
        raise GraphError(
            f"weights and constants take up to {needed} bytes as the kernels read them ({name}: {by_node[name]}), "
            f"max_bytes allows {max_bytes}. Pass a larger max_bytes if you trust the graph."
        )
    return needed


def _carry(call: Call, plan: Plan, state: StreamState) -> list[BaseException]:
    """Tells `call` where `state` lies and what it calls back; returns the list of what the callbacks will raise."""
    call.t0, call.state, call.state_bytes = state.step, state.memory.ctypes.data, state.memory.shape[1]
    return let_call_back(call, plan.calls, plan.wanted.steps, state)


def _room(plan: Plan, batch: int) -> tuple[Results, dict[str, int]]:
    """Memory for the results, by node, and the fields of a call that say where it is."""
    if plan.wanted.result == "logits":
        (export,) = plan.exports
        logits = np.empty((batch, *export.shape), np.int32)
        return {export.node: logits}, {"logits": logits.ctypes.data, "logit_count": export.size}
    kind = np.uint8 if plan.wanted.result == "spikes" else np.int32
    everything = np.empty(sum(e.size for e in plan.exports) * batch, kind)
    results: Results = {}
    at = 0
    for export in plan.exports:
        size = export.size * batch
        results[export.node] = everything[at : at + size].reshape(*export.leading, batch, *export.shape)
        at += size
    return results, {plan.wanted.result: everything.ctypes.data}
