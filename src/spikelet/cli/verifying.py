"""`spikelet verify`: a packed file is whole, and each kernel set of this machine gives what the reference gives."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.table import Table
from spikelet.cli.errors import naming
from spikelet.cli.images import Wanted, pictures_of
from spikelet.cli.opening import opened
from spikelet.cli.printing import note, say, show
from spikelet.graph.ir import IntGraph
from spikelet.graph.reference import Reference
from spikelet.runtime import Program, kernel_sets

Bytes = NDArray[np.uint8]
SCHEMA = "spikelet.verify/1"
COLUMNS = ("kernels", "samples", "spikes", "differ", "outputs", "differ", "logits in single steps", "differ")


@dataclasses.dataclass(frozen=True)
class Inputs:
    """What to run: `images`, or else `samples` of random bytes by `seed`, as images and as frames."""

    images: tuple[str, ...]
    samples: int
    seed: int

    def of(self, graph: IntGraph) -> Iterator[Bytes]:
        """Batches of one, uint8 [1, *input shape] or [T, 1, *input shape]."""
        shape, steps = graph.input.shape, graph.time_steps
        if self.images:
            yield from (picture.batch for picture in pictures_of(self.images, Wanted.by(graph)))
            return
        random = np.random.default_rng(self.seed)
        for _ in range(self.samples):
            yield random.integers(0, 256, (1, *shape), np.uint8)
            yield random.integers(0, 256, (steps, 1, *shape), np.uint8)


@dataclasses.dataclass(frozen=True)
class Expected:
    """What the reference gives for one batch: every spike, every output, and the logits."""

    x: Bytes
    spikes: dict[str, Bytes]
    outputs: dict[str, NDArray[np.int32]]
    logits: NDArray[np.int32]


@dataclasses.dataclass
class Count:
    """What was compared, and what differed: numbers of values, and the logits of a run in single steps."""

    samples: int = 0
    spikes: int = 0
    wrong_spikes: int = 0
    outputs: int = 0
    wrong_outputs: int = 0
    streamed: int = 0
    wrong_streamed: int = 0

    def compare(self, program: Program, expected: Expected) -> None:
        """Runs `program`, whole and step by step, and counts what is not as expected."""
        spikes, outputs = program.spikes(expected.x), program.outputs(expected.x)
        self.samples += 1
        self.spikes += sum(s.size for s in expected.spikes.values())
        self.wrong_spikes += sum(int((spikes[name] != s).sum()) for name, s in expected.spikes.items())
        self.outputs += sum(y.size for y in expected.outputs.values())
        self.wrong_outputs += sum(int((outputs[name] != y).sum()) for name, y in expected.outputs.items())
        self.streamed += expected.logits.size
        self.wrong_streamed += int((streamed(program, expected.x) != expected.logits).sum())

    @property
    def wrong(self) -> int:
        """All values that differ."""
        return self.wrong_spikes + self.wrong_outputs + self.wrong_streamed

    def row(self, name: str) -> tuple[str, ...]:
        """A line of the table."""
        return name, *(f"{n:,}" for n in dataclasses.astuple(self))


def streamed(program: Program, x: Bytes) -> NDArray[np.int32]:
    """The logits of T single steps of `x`, [1, *input shape] or [T, 1, *input shape], as a whole run gives them."""
    graph, stream = program.graph, program.stream()
    frames = x if x.ndim > len(graph.input.shape) + 1 else np.stack([x] * graph.time_steps)
    state, steps = stream.start(1), []
    for t in range(graph.time_steps):
        logits, state = stream(frames[t : t + 1], state)
        steps.append(logits)
    return np.concatenate(steps) if steps[0].ndim == 3 else steps[-1]


@dataclasses.dataclass(frozen=True)
class Verified:
    """What came of the file `name`: the counts by kernel set, and the nodes that run in NumPy."""

    name: str
    counts: dict[str, Count]
    in_numpy: tuple[str, ...]

    @property
    def wrong(self) -> list[str]:
        """The kernel sets that are not exact here."""
        return [name for name, count in self.counts.items() if count.wrong]

    def show(self) -> None:
        """Prints it."""
        if self.in_numpy:
            say(f"run in NumPy, for lack of a native rule: {', '.join(self.in_numpy)}", fg="yellow")
        show(Table(COLUMNS, tuple(count.row(name) for name, count in self.counts.items())))
        if self.wrong:
            say(f"NOT exact on this machine: {', '.join(self.wrong)}", fg="red", bold=True)
        else:
            say("exact on this machine: every kernel set gives the reference's spikes and outputs", bold=True)

    def document(self) -> dict[str, Any]:
        """The same as JSON has it."""
        return {
            "schema": SCHEMA,
            "model": self.name,
            "is_whole": True,
            "is_exact": not self.wrong,
            "kernels": {name: dataclasses.asdict(count) for name, count in self.counts.items()},
            "in_numpy": list(self.in_numpy),
        }


def verify(model: str, inputs: Inputs, threads: int) -> Verified:
    """What was compared.

    Raises:
        ValueError, OSError, ImportError: the model or an image can't be read; a damaged file names the field.
    """
    with naming(model):
        graph = opened(model)
    note(f"{model} is whole: checksum, every field, every interval, and the bytes that its graph is written to")
    programs = [Program(graph, threads, kernels.name) for kernels in kernel_sets()]
    return Verified(model, compared(graph, programs, inputs), programs[0].fallbacks)


def compared(graph: IntGraph, programs: Sequence[Program], inputs: Inputs) -> dict[str, Count]:
    """The counts of each program by the name of its kernels."""
    counts = {program.kernels: Count() for program in programs}
    reference = Reference(graph)
    for x in inputs.of(graph):
        expected = Expected(x, reference.spikes(x), reference.outputs(x), reference(x))
        for program in programs:
            counts[program.kernels].compare(program, expected)
    return counts
