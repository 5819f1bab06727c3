"""Random graphs in several threads for minutes: every result equals the reference's, and memory does not grow.

    python -m tests.fuzz.soak --minutes 10

Each thread makes programs of random graphs (fuzz_graphs.py), of a random kernel set, batch and number of native
threads, runs them whole and as streams, and lets them go. Between them all threads call the same few programs at the
same time. Resident memory is read every two seconds, garbage collected and what the allocator keeps given back before.
With glibc all threads share one pool: with one each, graphs of all sizes leave holes that look like a leak. Memory
grows where its median in the last quarter of the time is more than --grows MiB above that of the quarter before the
middle. Exits with 1 where anything differs or grows.
"""

from __future__ import annotations

import argparse
import ctypes
import dataclasses
import gc
import itertools
import statistics
import sys
import threading
import time
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.base.memory import resident
from spikelet.runtime import kernel_sets
from tests.fuzz.fuzz_graphs import graph_of, streamed
from tests.random_graphs import random_input

SHARED = 4  # programs that all threads call
BATCHES = (1, 2, 3, 7)
EVERY = 2.0  # seconds
M_ARENA_MAX = -8  # of mallopt, in glibc's malloc.h
MIB = 2**20


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A program, an input, and what it must give."""

    seed: int
    program: Program
    x: NDArray[np.uint8]
    expected: NDArray[np.int32]

    def differences(self, rng: np.random.Generator) -> Iterator[str]:
        """What differs, a line each."""
        graph = self.program.graph
        sample = self.x.shape[-1 - len(graph.input.shape) :]
        name = f"seed {self.seed}, {self.program.kernels}, batch {sample[0]}"
        if not np.array_equal(self.program(self.x), self.expected):
            yield name
        frames = np.broadcast_to(self.x, (graph.time_steps, *sample))
        if not np.array_equal(streamed(self.program, frames, rng), self.expected):
            yield f"{name}, as a stream"


def case_of(seed: int) -> Case:
    """The case that a seed stands for."""
    rng = np.random.default_rng(seed)
    graph, sets = graph_of(seed), kernel_sets()
    x = random_input(graph, int(rng.choice(BATCHES)), seed)
    chosen = sets[int(rng.integers(len(sets)))].name
    return Case(seed, Program(graph, threads=int(rng.integers(1, 4)), kernels=chosen), x, Reference(graph)(x))


class Soak:
    """Threads that run cases until a time of time.monotonic()."""

    def __init__(self, first: int, until: float) -> None:
        self._shared = [case_of(first + i) for i in range(SHARED)]
        self._seeds = itertools.count(first + SHARED)  # next() of it is one step of the interpreter
        self._until = until
        self.differences: list[str] = []
        self.graphs, self.calls = 0, 0
        self._lock = threading.Lock()

    def run(self, threads: int) -> list[int]:
        """Runs; returns the bytes in use, every two seconds."""
        workers = [threading.Thread(target=self._work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        memory = [in_use()]
        while any(worker.is_alive() for worker in workers):
            workers[0].join(EVERY)
            memory.append(in_use())
        return memory

    def _work(self) -> None:
        while time.monotonic() < self._until and not self.differences:
            seed = next(self._seeds)
            found: list[str] = []
            try:
                for case in (case_of(seed), self._shared[seed % SHARED]):
                    found += case.differences(np.random.default_rng([seed, 7]))
            except Exception as error:
                found.append(f"seed {seed}: {error!r}")
            with self._lock:
                self.graphs, self.calls = self.graphs + 1, self.calls + 4
                self.differences += found


def in_use() -> int:
    """Resident bytes, less garbage and, with glibc, less what the allocator keeps for later."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
    return resident()


def share_one_pool() -> None:
    """Has glibc take the memory of all threads from one pool."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(M_ARENA_MAX, 1)


def growth(memory: Sequence[int]) -> int:
    """Bytes by which the median of the last quarter lies above that of the second."""
    quarter = len(memory) // 4
    return round(statistics.median(memory[-quarter:]) - statistics.median(memory[quarter : 2 * quarter]))


def main(arguments: Sequence[str] | None = None) -> int:
    """Soaks as long as asked for; returns 1 where something differs or memory grows."""
    parser = argparse.ArgumentParser(description="Run random graphs in threads, and watch results and memory.")
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--threads", type=int, default=4, help="threads that call at once (default: 4)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first graph, to repeat a failure")
    parser.add_argument("--grows", type=float, default=24.0, help="MiB that memory may grow by (default: 24)")
    options = parser.parse_args(arguments)
    share_one_pool()
    soak = Soak(options.first, time.monotonic() + 60 * options.minutes)
    memory = soak.run(options.threads)
    grown = growth(memory) / MIB if len(memory) >= 4 else 0.0
    for line in soak.differences:
        sys.stdout.write(f"differs: {line}\n")
    sys.stdout.write(
        f"{soak.graphs} graphs, {soak.calls} calls, {options.threads} threads, {options.minutes:g} minutes: "
        f"{len(soak.differences)} differences; memory {memory[-1] / MIB:.0f} MiB, grown by {grown:.1f}\n"
    )
    return int(bool(soak.differences) or grown > options.grows)


if __name__ == "__main__":
    sys.exit(main())
