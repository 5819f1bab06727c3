"""`spikelet bench`: what a network takes on this machine, by the clock, and in memory.

latency      one sample through all T steps. Runs of every case take turns; the first of each is not counted. Median,
             and the fastest and slowest tenth; by the wall clock and in processor time of all threads, which alone
             means something on a busy machine.
cases        speed depends on how many neurons fire. Given inputs: those with the fewest, the median and the most
             spikes. None given: zeros, blocks of noise, random bytes.
throughput   samples a second of one batch, by the medians of the same clocks
tuning       where a file is named: every kernel that can run a node is timed on the inputs, the fastest are measured as
             above, and their plan goes to the file
memory       what making and running the program adds to this process (resident, Linux), beside the plan's own figure:
             weights as the kernels read them, and the maps of one sample for each thread
"""

from __future__ import annotations

import dataclasses
import functools
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

import spikelet
from spikelet.base.machine import load_average, processor, usable_cores
from spikelet.base.memory import Resident, resident_during
from spikelet.base.table import Table
from spikelet.base.timing import Times, taking_turns
from spikelet.cli.deployed import deployed
from spikelet.cli.images import Wanted, pictures_of
from spikelet.cli.options import BenchOptions
from spikelet.cli.outputs import require_file
from spikelet.cli.printing import facts, heading, note, show
from spikelet.graph.file.limits import laid_out
from spikelet.graph.ir import IntGraph
from spikelet.runtime import Program, Tuning, save_plan, tune

SCHEMA = "spikelet.bench/1"
BLOCK = 4  # side of a block of noise
LOADED = 0.5  # other processes a core, from which on the machine is called busy
Bytes = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Case:
    """An input, [1, C, H, W] or [T, 1, C, H, W], and the mean spikes of a neuron and step that it makes."""

    name: str
    x: Bytes
    firing_rate: float


@dataclasses.dataclass(frozen=True)
class Spread:
    """Milliseconds: the median, and the ends of the fastest and of the slowest tenth."""

    median: float
    fast: float
    slow: float

    @staticmethod
    def of(seconds: Sequence[float]) -> Spread:
        tenths = statistics.quantiles(seconds, n=10, method="inclusive")
        return Spread(*(round(1e3 * s, 4) for s in (statistics.median(seconds), tenths[0], tenths[-1])))


@dataclasses.dataclass(frozen=True)
class Benchmark:
    """What was measured of the model `name`: the latency of every case, and the times of one batch."""

    name: str
    program: Program
    cases: tuple[Case, ...]
    latency: dict[str, Times]
    batch: int
    throughput: Times
    memory: Resident | None
    load: float | None
    tuning: Tuning | None

    def show(self) -> None:
        """Prints it."""
        graph, threads = self.program.graph, self.program.threads
        heading(f"{self.name}: T = {graph.time_steps}, {threads} thread(s), kernels {self.program.kernels}")
        heading("One sample, milliseconds")
        columns = ("input", "spikes a neuron and step", "median", "fastest tenth", "slowest tenth", "processor", "runs")
        show(Table(columns, tuple(map(self._row, self.cases))))
        if self.tuning is not None:
            show(self.tuning.table())
        facts([*self._tuning_facts(), *self._batch_facts(), *self._memory_facts(), *_machine_facts(self.load)])
        if self.load is not None and self.load > LOADED * usable_cores():
            note("The machine was busy: of these figures only processor time means something.", fg="yellow")

    def document(self) -> dict[str, Any]:
        """The same as JSON has it."""
        plan = self.plan_bytes
        return {
            "schema": SCHEMA,
            "model": self.name,
            "time_steps": self.program.graph.time_steps,
            "threads": self.program.threads,
            "kernels": self.program.kernels,
            "latency_ms": [
                {
                    "input": case.name,
                    "firing_rate": round(case.firing_rate, 6),
                    "wall": dataclasses.asdict(Spread.of(self.latency[case.name].wall)),
                    "cpu": dataclasses.asdict(Spread.of(self.latency[case.name].cpu)),
                    "runs": len(self.latency[case.name].wall),
                }
                for case in self.cases
            ],
            "throughput": {"batch": self.batch, "samples_per_second": round(self.samples_per_second, 1)},
            "memory_bytes": {
                "added": None if self.memory is None else self.memory.added,
                "process_peak": None if self.memory is None else self.memory.peak,
                **plan,
            },
            "tuning": None if self.tuning is None else self.tuning.to_json(),
            "machine": _machine() | {"load_average": self.load},
        }

    @property
    def samples_per_second(self) -> float:
        """By the wall clock."""
        return self.batch / statistics.median(self.throughput.wall)

    @property
    def plan_bytes(self) -> dict[str, int]:
        """The plan's own figures."""
        is_still = {case.x.ndim == len(self.program.graph.input.shape) + 1 for case in self.cases}
        maps = max(self.program.plan(still=still).arena_bytes for still in is_still)
        return {
            "plan_weights": sum(laid_out(self.program.graph.nodes).values()),
            "plan_maps_per_thread": maps,
            "plan_state_per_sample": self.program.state_bytes,
        }

    def _row(self, case: Case) -> tuple[str, ...]:
        times = self.latency[case.name]
        wall, cpu = Spread.of(times.wall), Spread.of(times.cpu)
        figures = (f"{ms:.3f}" for ms in (wall.median, wall.fast, wall.slow, cpu.median))
        return case.name, f"{case.firing_rate:.3f}", *figures, f"{len(times.wall):,}"

    def _tuning_facts(self) -> list[tuple[str, str]]:
        return [] if self.tuning is None else list(self.tuning.facts())

    def _batch_facts(self) -> list[tuple[str, str]]:
        cpu = 1e3 * statistics.median(self.throughput.cpu) / self.batch
        return [
            (
                f"batch of {self.batch}",
                f"{self.samples_per_second:,.0f} samples a second, {cpu:.3f} ms of processor each",
            )
        ]

    def _memory_facts(self) -> list[tuple[str, str]]:
        plan = self.plan_bytes
        weights, maps = plan["plan_weights"], plan["plan_maps_per_thread"]
        rows = [
            ("memory, by the plan", f"{weights:,} bytes of weights at most, {maps:,} of maps a thread"),
            ("memory, of a stream", f"{plan['plan_state_per_sample']:,} bytes of state a sample between its steps"),
        ]
        if self.memory is None:
            return [*rows, ("memory, measured", "not on this system")]
        m = self.memory
        here = f"{m.added:,} bytes added to the {m.before:,} of Python, NumPy and what was loaded before"
        return [*rows, ("memory, measured", here)]


def bench(model: str, words: Sequence[str], options: BenchOptions) -> Benchmark:
    """Measures a packed file, a shipped model or a run folder on the inputs that `words` name, or on random ones.

    Raises:
        ValueError, OSError, ImportError: the model or an input can't be read.
    """
    load = load_average()
    if options.tune is not None:
        require_file(options.tune, [Path(model), *map(Path, words)], "--tune")
    graph = deployed(model)
    inputs = _given(words, graph) if words else _random(graph, options.seed)
    first = next(iter(inputs.values()))
    tuning = None if options.tune is None else _tuned(graph, inputs, options.seconds, options.tune)
    program, memory = _made(graph, options.threads, tuning, first)
    cases = _cases(program, inputs)
    calls = {case.name: functools.partial(program, case.x) for case in cases}
    latency = taking_turns(calls, options.seconds)
    batch = _batch(list(inputs.values()), options.batch, graph)
    throughput = taking_turns({"batch": functools.partial(program, batch)}, options.seconds)["batch"]
    return Benchmark(model, program, cases, latency, options.batch, throughput, memory, load, tuning)


def _tuned(graph: IntGraph, inputs: dict[str, Bytes], seconds: float, file: Path) -> Tuning:
    """Kernels chosen by the inputs that are as many steps long as the first; their plan is saved."""
    first, *others = inputs.values()
    alike = [first, *(x for x in others if x.ndim == first.ndim)]
    found = tune(graph, np.concatenate(alike, first.ndim - 1 - len(graph.input.shape)), seconds=seconds)
    save_plan(found.plan, file)
    return found


def _made(graph: IntGraph, threads: int, tuning: Tuning | None, x: Bytes) -> tuple[Program, Resident | None]:
    """The program, once run, and what that took."""

    def work() -> Program:
        program = Program(graph, threads, choices=None if tuning is None else tuning.choices)
        program(x)
        return program

    try:
        return resident_during(work)
    except OSError:  # no Linux, or one that does not tell
        return work(), None


def _given(words: Sequence[str], graph: IntGraph) -> dict[str, Bytes]:
    return {picture.name: picture.batch for picture in pictures_of(words, Wanted.by(graph))}


def _random(graph: IntGraph, seed: int) -> dict[str, Bytes]:
    """Images of the graph's shape, each held for all steps."""
    random, shape = np.random.default_rng(seed), graph.input.shape
    found = {"zeros": np.zeros((1, *shape), np.uint8), "random bytes": random.integers(0, 256, (1, *shape), np.uint8)}
    if len(shape) == 3:
        channels, height, width = shape
        coarse = random.integers(0, 256, (1, channels, -(-height // BLOCK), -(-width // BLOCK)), np.uint8)
        found["blocks of noise"] = coarse.repeat(BLOCK, 2).repeat(BLOCK, 3)[..., :height, :width]
    return found


def _cases(program: Program, inputs: dict[str, Bytes]) -> tuple[Case, ...]:
    """All of a few inputs; of many those with the fewest, the median and the most spikes."""
    cases = sorted((Case(name, x, _firing_rate(program, x)) for name, x in inputs.items()), key=lambda c: c.firing_rate)
    if len(cases) <= 3:
        return tuple(cases)
    return cases[0], cases[len(cases) // 2], cases[-1]


def _firing_rate(program: Program, x: Bytes) -> float:
    spikes = program.spikes(x).values()
    return sum(int(s.sum()) for s in spikes) / max(1, sum(s.size for s in spikes))


def _batch(inputs: Sequence[Bytes], size: int, graph: IntGraph) -> Bytes:
    """`size` samples: the inputs in turn. Beside frames an image becomes as many frames."""
    of_images = len(graph.input.shape) + 1
    if any(x.ndim > of_images for x in inputs):
        inputs = [x if x.ndim > of_images else np.stack([x] * graph.time_steps) for x in inputs]
    axis = inputs[0].ndim - of_images
    return np.concatenate([inputs[i % len(inputs)] for i in range(size)], axis)


def _machine() -> dict[str, Any]:
    return {
        "processor": processor(),
        "usable_cores": usable_cores(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
        "spikelet": spikelet.__version__,
    }


def _machine_facts(load: float | None) -> list[tuple[str, str]]:
    here, busy = _machine(), "" if load is None else f", load {load:.2f} before"
    return [
        ("processor", f"{here['processor']}, {here['usable_cores']} core(s) to use{busy}"),
        ("system", f"{here['system']}, Python {here['python']}, NumPy {here['numpy']}, spikelet {here['spikelet']}"),
    ]
