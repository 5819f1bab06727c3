"""A graph as a native program.

    logits = Program(graph, threads=2)(x)          int32 [B, K]
    spikes = Program(graph).spikes(x)              {lif: uint8 [T, B, ...]}
    outputs = Program(graph).outputs(x)            {node: int32 [T, B, ...] or [B, ...]}
    stream = Program(graph).stream()               some steps at a time

Equal, bit for bit, to `graph.reference.Reference(graph)`, on every kernel set and for every number of
threads. A program keeps no results between calls, only memory for maps, and threads that wait for the next call; they
end with it. Several Python threads may call one at once, each with memory and threads of its own; so may a forked
child, whose threads are new. Ctrl-C, and whatever else is raised in the calling thread, ends a call within half a
second; the program stays as it was. A program pickles and copies as its graph and its arguments, so that joblib and
multiprocessing may send it to other processes:

    with multiprocessing.get_context("spawn").Pool() as pool:
        logits = numpy.concatenate(pool.map(program, numpy.array_split(images, 4)))
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelet.base.errors import GraphError
from spikelet.base.page import Displayed, Facts, Heading, Page
from spikelet.base.whole import whole
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.reference import MAX_BATCH, next_steps, time_first
from spikelet.runtime.engine import Engine
from spikelet.runtime.library import MAX_THREADS, choose
from spikelet.runtime.plan import Packed, Plan, Result, Subject, checked, first_result
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.rules import RULES
from spikelet.runtime.state import StreamState

MAX_BYTES = 2**32


class Program(Displayed):
    """Runs `graph` on this machine's processor.

    Example:
        >>> program = spikelet.Program(spikelet.load("qsnn-vgg-s-cifar10"))
        >>> program(np.zeros((2, 3, 32, 32), np.uint8)).shape  # two images, ten classes
        (2, 10)

    Args:
        graph: an integer graph.
        threads: samples of a batch that run side by side, 1 to 64. Results don't depend on it. The first call that has
            as many samples starts all of them but its own; they wait, using no processor, for later ones.
        kernels: "auto", or a set by name ("scalar": the slow one to compare with; "portable"; "avx2"; "avx512", for
            Ice Lake, Zen 4 and later; "amx", for Sapphire Rapids and later, under Linux; "neon", for 64-bit Arm;
            "dotprod", for those with dot products of bytes, under Linux). One that this machine lacks is refused.
        max_bytes: the most memory that weights and constants, as the kernels read them, and the maps in between of all
            threads of all calls at once may take. Where maps of T steps take more, 16 steps run at once, or one; a
            graph with a loop always runs step by step. A call that finds no room beside others waits for one of them.
            The states that a stream starts with must fit too, beside the weights.
        choices: kernels by the names of nodes that several can run, as `Plan.choices` has them; the others have those
            that the rules take. Results don't depend on it.

    Raises:
        GraphError: `graph` is not an IntGraph or has no meaning, `threads` is out of range, max_bytes is too little
            for one step, or the kernel set can't run a node as chosen.
        RuntimeUnavailable: the library is not built, or has no such kernels for this machine.
    """

    def __init__(
        self,
        graph: ir.IntGraph,
        threads: int = 1,
        kernels: str = "auto",
        *,
        max_bytes: int = MAX_BYTES,
        choices: Mapping[str, Kind | str] | None = None,
    ) -> None:
        self.threads = whole(threads, "threads", 1, MAX_THREADS)
        self.max_bytes = whole(max_bytes, "max_bytes", 1)
        self.graph = graph
        self._asked, self._choices = kernels, choices
        self._prepare()

    def _prepare(self) -> None:
        edges, self.kernels = analyse(self.graph), choose(self._asked).name
        self._choices = checked(self.graph, self._choices)
        subject = Subject(self.graph, edges, Packed(), self._choices)
        self._engine = Engine(subject, self.kernels, self.threads, self.max_bytes)
        self._logits: Result = first_result(self.graph, edges)
        self.plan(still=True)

    def __getstate__(self) -> dict[str, Any]:
        """The graph and the arguments; plans are made anew."""
        return {name: value for name, value in vars(self).items() if name != "_engine"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._prepare()

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
        return Stream(self)

    def plan(self, *, still: bool, spikes: bool = False) -> Plan:
        """The operations of the first call, for an input of one step (`still`) or T, giving logits or spikes."""
        result: Result = "spikes" if spikes else self._logits
        return self._engine.first(result, still=still or self.graph.time_steps == 1).plan

    @property
    def state_bytes(self) -> int:
        """Bytes that a stream keeps of each sample between its calls."""
        return self._engine.state_bytes(self._logits)

    def page(self) -> Page:
        """What it runs on, the memory that it takes, and its graph."""
        arena, weights = self.plan(still=True).arena_bytes, self._engine.laid_out
        rows = [
            ("kernels", f"{self.kernels}, {self.threads} thread(s)"),
            ("memory", f"{weights:,} bytes of weights and constants, {arena:,} bytes a thread for maps, at most"),
            ("of a stream", f"{self.state_bytes:,} bytes of state a sample"),
        ]
        if self.fallbacks:
            rows.append(("run in NumPy", ", ".join(self.fallbacks)))
        return Page((Heading("A program of this machine"), Facts(tuple(rows)), *self.graph.page().parts))

    def in_short(self) -> str:
        """Its graph, kernels and threads."""
        return f"{self.graph.in_short()}, kernels={self.kernels!r}, threads={self.threads}"

    def _frames(self, x: ArrayLike) -> NDArray[np.uint8]:
        return np.ascontiguousarray(time_first(x, self.graph))


class Stream:
    """Runs a program some steps at a time; the caller keeps the state, and memory does not grow with T.

        state = stream.start(batch)
        y, state = stream(x, state)         x: uint8 [steps, B, *input shape], any number of steps

    y is the first output after these steps: the logits of the sum so far, int32 [B, K], or its steps where it has a
    time axis. After all T steps the logits are those of `Program(graph)(x)`, however the steps were divided. A state
    is never written to, so that a stream can go on from one more than once.
    """

    def __init__(self, program: Program) -> None:
        if not isinstance(program, Program):
            raise GraphError(f"program must be a Program, as in Program(graph).stream(), got {type(program).__name__}.")
        self._program = program

    def start(self, batch: int) -> StreamState:
        """The state before the first step.

        Raises:
            GraphError: `batch` is not a whole number from 0 on, or its states take more than the program's max_bytes.
        """
        program, count = self._program, whole(batch, "batch", 0, MAX_BATCH)
        program._engine.require_room(program._logits, count)
        return program._engine.start(program._logits, count)

    def __call__(self, x: ArrayLike, state: StreamState) -> tuple[NDArray[np.int32], StreamState]:
        """The first output after the steps of x, and the state to go on from.

        Raises:
            GraphError: `x` is not uint8 [steps, B, *input shape], or goes beyond the steps that the graph may take;
                `state` was made by a stream of another graph.
        """
        engine, result = self._program._engine, self._program._logits
        engine.require_own(result, state)
        frames = next_steps(x, engine.graph, engine.edges, state.batch, state.step)
        results, after = engine.advance(result, frames, len(frames), state)
        return results[engine.graph.output.name], after
