"""`spikelet verify`: a packed file is whole, and each kernel set of this machine gives what the reference gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelet.base.table import Table
from spikelet.cli.images import read_picture
from spikelet.cli.printing import say, show
from spikelet.graph.ir import IntGraph
from spikelet.graph.reference import Reference
from spikelet.runtime import Program, kernel_sets
from spikelet.zoo import load

Bytes = NDArray[np.uint8]
COLUMNS = ("kernels", "samples", "spikes compared", "differ", "logits compared", "differ")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What to run: `images`, or else `samples` of random bytes by `seed`, as images and as frames."""

    images: tuple[Path, ...]
    samples: int
    seed: int

    def of(self, graph: IntGraph) -> Iterator[Bytes]:
        """Batches of one, uint8 [1, *input shape] or [T, 1, *input shape]."""
        shape, steps = graph.input.shape, graph.time_steps
        if self.images:
            yield from (read_picture(path, shape, steps).batch for path in self.images)
            return
        random = np.random.default_rng(self.seed)
        for _ in range(self.samples):
            yield random.integers(0, 256, (1, *shape), np.uint8)
            yield random.integers(0, 256, (steps, 1, *shape), np.uint8)


@dataclasses.dataclass
class Count:
    """What was compared, and what differed."""

    samples: int = 0
    spikes: int = 0
    wrong_spikes: int = 0
    logits: int = 0
    wrong_logits: int = 0

    def compare(self, program: Program, x: Bytes, spikes: dict[str, Bytes], logits: NDArray[np.int32]) -> None:
        """Runs `program` on `x`, and counts what is not as expected."""
        found, found_logits = program.spikes(x), program(x)
        self.samples += 1
        self.spikes += sum(s.size for s in spikes.values())
        self.wrong_spikes += sum(int((found[name] != s).sum()) for name, s in spikes.items())
        self.logits += logits.size
        self.wrong_logits += int((found_logits != logits).sum())

    def row(self, name: str) -> tuple[str, ...]:
        """A line of the table."""
        return name, *(f"{n:,}" for n in dataclasses.astuple(self))


def verify(model: str, inputs: Inputs, threads: int) -> bool:
    """Prints what was compared; whether everything was equal.

    Raises:
        ValueError, OSError, ImportError: the model or an image can't be read; a damaged file names the field.
    """
    graph = load(model)
    say(f"{model} is whole: checksum, every field, every interval, and the bytes that its graph is written to")
    counts = compared(graph, inputs, threads)
    show(Table(COLUMNS, tuple(count.row(name) for name, count in counts.items())))
    wrong = [name for name, count in counts.items() if count.wrong_spikes or count.wrong_logits]
    if wrong:
        say(f"NOT exact on this machine: {', '.join(wrong)}", fg="red", bold=True)
    else:
        say("exact on this machine: every kernel set gives the reference's spikes and logits", bold=True)
    return not wrong


def compared(graph: IntGraph, inputs: Inputs, threads: int) -> dict[str, Count]:
    """The counts of each kernel set of this machine, by name."""
    programs = [Program(graph, threads, kernels.name) for kernels in kernel_sets()]
    counts = {program.kernels: Count() for program in programs}
    reference = Reference(graph)
    for x in inputs.of(graph):
        spikes, logits = reference.spikes(x), reference(x)
        for program in programs:
            counts[program.kernels].compare(program, x, spikes, logits)
    return counts
