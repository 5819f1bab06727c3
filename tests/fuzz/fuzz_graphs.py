"""Random graphs over all operations: reference = every kernel set, whole and as streams.

    python -m tests.fuzz.fuzz_graphs --graphs 10000

Logits, spikes and all outputs of each graph are compared for a random batch, and logits again where the steps are
divided at random. Half of the graphs are those of formats 1 and 2 (tests/random_graphs.py), half of format 3
(tests/wide_graphs.py). Exits with 1 where anything differs.
"""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet import Program, Reference
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.runtime import kernel_sets
from tests.random_graphs import random_graph, random_input
from tests.wide_graphs import wide_graph

BATCH = 2


def graph_of(seed: int) -> ir.IntGraph:
    """Even seeds: any operation, every fourth with logits of every step; odd ones: those of formats 1 and 2."""
    if seed % 2:
        return random_graph(seed // 2)
    graph = wide_graph(seed // 2)
    return with_timed_logits(graph) if seed % 8 == 0 else graph


def with_timed_logits(graph: ir.IntGraph) -> ir.IntGraph:
    """The same graph with a vector of every step as its first output, if it has one."""
    edges = analyse(graph)
    found = [name for name, edge in edges.items() if edge.timed and len(edge.shape) == 1]
    others = tuple(output for output in graph.outputs if output.node != found[-1]) if found else ()
    return dataclasses.replace(graph, outputs=(ir.Output(found[-1], 1.0), *others)) if found else graph


def differences(seed: int) -> Iterator[str]:
    """What differs from the reference's whole run, one line each."""
    graph = graph_of(seed)
    x = random_input(graph, BATCH, seed)
    rng = np.random.default_rng([seed, 7])
    reference = Reference(graph)
    spikes, outputs = reference.spikes(x), reference.outputs(x)
    expected = {"logits": {"": outputs[graph.output.name]}, "spikes": spikes, "outputs": outputs}
    frames = np.broadcast_to(x, (graph.time_steps, *x.shape[-1 - len(graph.input.shape) :]))
    if not np.array_equal(streamed(reference, frames, rng), expected["logits"][""]):
        yield f"seed {seed}: the reference as a stream"
    for kernels in kernel_sets():
        program = Program(graph, threads=1 + seed % 2, kernels=kernels.name)
        got = {"logits": {"": program(x)}, "spikes": program.spikes(x), "outputs": program.outputs(x)}
        for what, nodes in expected.items():
            for name, values in nodes.items():
                if not np.array_equal(got[what][name], values):
                    yield f"seed {seed}: {kernels.name} {what} {name}"
        if not np.array_equal(streamed(program, frames, rng), expected["logits"][""]):
            yield f"seed {seed}: {kernels.name} as a stream"


def streamed(runner: Any, frames: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.int32]:
    """Logits after all steps, or of every step, taken in parts of random sizes."""
    stream, graph = runner.stream(), runner.graph
    state, at, parts = stream.start(frames.shape[1]), 0, []
    while at < len(frames):
        steps = int(rng.integers(1, len(frames) - at + 1))
        y, state = stream(frames[at : at + steps], state)
        at += steps
        parts.append(y)
    return np.concatenate(parts) if analyse(graph)[graph.output.name].timed else parts[-1]


def main(arguments: Sequence[str] | None = None) -> int:
    """Compares as many graphs as asked for; returns 1 where one differs."""
    parser = argparse.ArgumentParser(description="Compare every kernel set with the reference on random graphs.")
    parser.add_argument("--graphs", type=int, default=10_000, help="how many (default: 10000)")
    parser.add_argument("--first", type=int, default=0, help="seed of the first, to repeat a failure")
    options = parser.parse_args(arguments)
    found, operations = 0, Counter[str]()
    for seed in range(options.first, options.first + options.graphs):
        operations.update(node.word for node in graph_of(seed).nodes)
        for line in differences(seed):
            found += 1
            sys.stdout.write(f"{line}\n")
    sets = ", ".join(s.name for s in kernel_sets())
    sys.stdout.write(f"{options.graphs} graphs from seed {options.first}, kernel sets {sets}: {found} differences\n")
    sys.stdout.write("nodes: " + ", ".join(f"{name} {count}" for name, count in sorted(operations.items())) + "\n")
    return min(found, 1)


if __name__ == "__main__":
    sys.exit(main())
