"""A graph as a native program.

    logits = Program(graph, threads=2)(x)          int32 [B, K]
    spikes = Program(graph).spikes(x)              {lif: uint8 [T, B, ...]}
    outputs = Program(graph).outputs(x)            {node: int32 [T, B, ...] or [B, ...]}
    stream = Program(graph).stream()               some steps at a time

Equal, bit for bit, to `graph.reference.Reference(graph)`, on every kernel set and for every number of
threads. A program keeps nothing between calls; several Python threads may call one at once.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.reference import check_steps, time_first
from spikelet.runtime.engine import Engine
from spikelet.runtime.library import MAX_THREADS, choose
from spikelet.runtime.plan import Plan, Result
from spikelet.runtime.plan.rules import RULES
from spikelet.runtime.state import StreamState

MAX_BYTES = 2**32


class Program:
    """Runs `graph` on this machine's processor.

    Args:
        graph: an integer graph.
        threads: samples of a batch that run side by side, 1 to 64. Results don't depend on it.
        kernels: "auto", or a set by name ("scalar": the slow one to compare with; "portable"; "avx2").
        max_bytes: the most memory that all threads may take for maps in between, of T steps each. Where they take
            more, 16 steps run at once, or one; a graph with a loop always runs step by step.

    Raises:
        GraphError: `graph` has no meaning, `threads` is out of range, or max_bytes is too little for one step.
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
        chosen = choose(kernels)
        self.kernels = chosen.name
        edges = analyse(graph)
        self._engine = Engine(graph, edges, chosen, threads, max_bytes)
        self._logits: Result = "outputs" if edges[graph.output.name].timed else "logits"
        self.plan(still=True)

    @property
    def fallbacks(self) -> tuple[str, ...]:
        """Names of the nodes that the native runtime has no rule for: they run in NumPy, between its own operations."""
        return tuple(node.name for node in self.graph.nodes if not RULES.knows(node))

    def __call__(self, x: ArrayLike) -> NDArray[np.int32]:
        """Integer logits [B, K] of x, uint8 [B, *input shape] (one image for every step) or [T, B, *input shape].

        Logits that have a time axis are [T, B, K].
        """
        return self._engine.whole(self._logits, self._frames(x))[self.graph.outputs[0].node]

    def spikes(self, x: ArrayLike) -> dict[str, NDArray[np.uint8]]:
        """Spikes [T, B, ...] of every Lif, 0 to its levels, by node name."""
        return self._engine.whole("spikes", self._frames(x))

    def outputs(self, x: ArrayLike) -> dict[str, NDArray[np.int32]]:
        """Every output by node name: [T, B, ...], or [B, ...] of one that has been summed over time."""
        return self._engine.whole("outputs", self._frames(x))

    def stream(self) -> Stream:
        """The same program, some steps at a time."""
        return Stream(self._engine, self._logits)

    def plan(self, *, still: bool, spikes: bool = False) -> Plan:
        """The operations of the first call, for an input of one step (`still`) or T, giving logits or spikes."""
        return self._engine.first_plan("spikes" if spikes else self._logits, still=still or self.graph.time_steps == 1)

    def _frames(self, x: ArrayLike) -> NDArray[np.uint8]:
        return np.ascontiguousarray(time_first(x, self.graph))  # type: ignore[arg-type]


class Stream:
    """Runs a program some steps at a time; the caller keeps the state, and memory does not grow with T.

        state = stream.start(batch)
        y, state = stream(x, state)         x: uint8 [steps, B, *input shape], any number of steps

    y is the first output after these steps: the logits of the sum so far, int32 [B, K], or its steps where it has a
    time axis. After all T steps the logits are those of `Program(graph)(x)`, however the steps were divided. A state
    is never written to, so that a stream can go on from one more than once.
    """

    def __init__(self, engine: Engine, result: Result) -> None:
        self._engine = engine
        self._result: Result = result

    def start(self, batch: int) -> StreamState:
        """The state before the first step.

        Raises:
            GraphError: `batch` is not a whole number of at least 1.
        """
        if not isinstance(batch, int) or batch < 1:
            raise GraphError(f"batch must be a whole number from 1, got {batch!r}.")
        return self._engine.start(self._result, batch)

    def __call__(self, x: ArrayLike, state: StreamState) -> tuple[NDArray[np.int32], StreamState]:
        """The first output after the steps of x, and the state to go on from.

        Raises:
            GraphError: `x` is not uint8 [steps, B, *input shape], or goes beyond the steps that the graph may take;
                `state` was made by a stream of another graph.
        """
        engine = self._engine
        engine.require_own(self._result, state)
        check_steps(engine.graph, engine.edges, x, state.batch, state.step)
        frames = np.asarray(x)
        results, after = engine.advance(self._result, frames, len(frames), state)
        return results[engine.graph.output.name], after
