"""Speed from training: accuracy and native latency of one network of each system, trained to fire less and less.

    python -m benchmarks.speed_from_training [qsnn qpsnn ...] [--rates 0.1 0.05 0.02] [--seed 0] [--plot speed.png]

The digits recipe of each system is trained as it is, and once for every rate with that rate for all layers, the option
--firing-rate of `spikelet train`. Every network is lowered and compared with PyTorch on the whole test set, spike for
spike. Latency is that of one test image, one thread, processor time, the median over turns that all networks of a
system take, and the mean over images. All of it goes to results/speed_from_training.csv, in place of what was there;
trained networks wait in --work, and the command continues where it was stopped.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import statistics
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.record import ROOT, command, commit, device
from benchmarks.verified import verified
from spikelet import Program, lower
from spikelet import load as load_graph
from spikelet import save as save_graph
from spikelet.base.timing import taking_turns
from spikelet.compression import run_of
from spikelet.data import DataSplits, load
from spikelet.graph.ir import IntGraph
from spikelet.plot.style import COLORS, GRID, require_matplotlib, save, styled
from spikelet.profiling import profile_graph
from spikelet.profiling.layers import SynapseLayer
from spikelet.recipes import RECIPES
from spikelet.recipes.changes import at_firing_rate
from spikelet.train import TrainConfig

RESULTS = ROOT / "results" / "speed_from_training.csv"
SYSTEMS = ("qsnn", "qpsnn", "bestformer", "qsd", "est")
RATES = (0.1, 0.05, 0.02)
IMAGES = 8  # that are timed
AS_IT_IS = "as it is"


@dataclasses.dataclass(frozen=True)
class Point:
    """A trained network: what was asked of it, its accuracy, mean spikes of a neuron and step, an image's synaptic
    operations (NeuroBench's rule), and its microseconds."""

    name: str
    accuracy: float
    rate: float
    operations: float
    microseconds: float


def asked(system: str, rate: float | None, seed: int) -> TrainConfig:
    """The configuration of a system's network whose rates are drawn to this one, or as it is."""
    config = RECIPES[f"{system}-digits"](seed=seed)
    return config if rate is None else at_firing_rate(config, rate)


class Curve:
    """The networks of a system.

    Args:
        work: where they wait.
    """

    def __init__(self, system: str, data: DataSplits, seed: int, work: Path) -> None:
        self.system, self.data, self.seed, self.work = system, data, seed, work

    def points(self, rates: list[float], seconds: float) -> list[Point]:
        """A point as the recipe is, and one a rate."""
        names = {AS_IT_IS: None, **{f"drawn to {rate:g}": rate for rate in rates}}
        made = {name: self._trained(name, rate) for name, rate in names.items()}
        programs = {name: Program(load_graph(path), threads=1) for name, (path, _) in made.items()}
        images = [self.data.test.batch(torch.tensor([i]))[0].numpy() for i in range(IMAGES)]
        taken = dict.fromkeys(names, 0.0)
        for x in images:
            calls = {name: functools.partial(program, x) for name, program in programs.items()}
            for name, times in taking_turns(calls, seconds / IMAGES).items():
                taken[name] += 1e6 * statistics.median(times.cpu) / IMAGES
        x = self.data.test.batch(torch.arange(len(self.data.test)))[0].numpy()
        found = []
        for name, program in programs.items():
            spikes = program.spikes(x)
            rate = float(sum(s.sum() for s in spikes.values()) / sum(s.size for s in spikes.values()))
            found.append(Point(name, made[name][1], rate, _operations(program.graph, x), taken[name]))
        return found

    def _trained(self, name: str, rate: float | None) -> tuple[Path, float]:
        """The packed network and its accuracy, taken from the folder or trained and verified."""
        path = self.work / f"{self.system} {name} {self.seed}.safetensors"
        accuracy = path.with_suffix(".txt")
        if not accuracy.exists():
            run = run_of(asked(self.system, rate, self.seed), self.data, self.work / path.stem)
            run.train()
            graph = lower(run.model.eval(), self.data.test.batch(torch.arange(2))[0])
            result = verified(graph, run.model, self.data.test)
            save_graph(graph, path)
            accuracy.write_text(f"{result.integer_accuracy}")
        return path, float(accuracy.read_text())


def _operations(graph: IntGraph, x: NDArray[np.uint8]) -> float:
    layers = (
        layer.neurobench for layer in profile_graph(graph, x, tables=()).layers if isinstance(layer, SynapseLayer)
    )
    return sum(layer.effective_acs + layer.effective_macs for layer in layers)


def write(curves: dict[str, list[Point]], seed: int) -> None:
    """Writes results/speed_from_training.csv."""
    with RESULTS.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        names = [field.name for field in dataclasses.fields(Point)]
        writer.writerow(["system", *names, "seed", "device", "commit", "command"])
        for system, points in curves.items():
            for point in points:
                values = [round(v, 4) if isinstance(v, float) else v for v in dataclasses.astuple(point)]
                writer.writerow([system, *values, seed, device(), commit(), command()])


def draw(curves: dict[str, list[Point]], path: Path) -> None:
    """Writes the picture: accuracy against operations and against latency, as shares of those of the network as it
    is."""
    require_matplotlib()
    from matplotlib.figure import Figure

    with styled():
        figure = Figure(figsize=(10, 4.2), layout="constrained")
        panels = {"operations": "synaptic operations", "microseconds": "time of an image"}
        for ax, (what, words) in zip(figure.subplots(1, 2, sharey=True), panels.items(), strict=True):
            ax.set_prop_cycle(color=COLORS)
            for system, points in curves.items():
                shares = [getattr(p, what) / getattr(points[0], what) for p in points]
                ax.plot(shares, [100 * p.accuracy for p in points], marker="o", label=system)
            ax.set(xlabel=f"{words}, of the network as it is", ylabel="accuracy, %", xlim=(0, 1.08))
            ax.grid(color=GRID)
            ax.legend(loc="lower left")
        save(figure, path)


def main() -> None:
    """Trains, measures, prints and draws."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("systems", nargs="*", default=list(SYSTEMS), metavar="|".join(SYSTEMS))
    parser.add_argument("--rates", type=float, nargs="+", default=list(RATES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--work", type=Path, default=Path("runs/speed_from_training"))
    parser.add_argument("--seconds", type=float, default=8.0, help="of timing a system")
    parser.add_argument("--plot", type=Path)
    options = parser.parse_args()
    if unknown := [system for system in options.systems if system not in SYSTEMS]:
        parser.error(f"there is no system {unknown[0]!r}; known are {', '.join(SYSTEMS)}")
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    curves = {}
    print("| system | trained | accuracy % | spikes of a neuron and step | operations | us an image |")
    print("| --- " * 6 + "|")
    for system in options.systems:
        data = load("digits", **asked(system, None, options.seed).data_options)
        curves[system] = Curve(system, data, options.seed, options.work).points(options.rates, options.seconds)
        for p in curves[system]:
            figures = f"{100 * p.accuracy:.2f} | {p.rate:.3f} | {p.operations:,.0f} | {p.microseconds:.1f}"
            print(f"| {system} | {p.name} | {figures} |", flush=True)
    write(curves, options.seed)
    if options.plot is not None:
        draw(curves, options.plot)


if __name__ == "__main__":
    main()
