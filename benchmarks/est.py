"""EST from trained run folders: the network, its twins under both schedules, its attention's operations, its energy.

    spikelet train est-cifar10 --seed 0 --out runs/est-0
    python -m benchmarks.est runs/est-0 runs/est-tokens-50 [--data-root FOLDER] [--images 10000]

A row for each run: the network, which is the barrier at T = L = 16 (T = 1 with 16 levels), as the native program on all
test images. Then rows for its twins, native too: barrier at T = 4, 8, 32 and 64, and one stream of 64 steps, read after
4, 8, 16, 32 and 64 of them on the first `--stream-images`. Twins come from the network with their levels, whose norms
are measured on the first 1,000 training images (spikelet.conversion.with_levels). Every spike and logit of the first
`--compared` images (4 in the stream) is compared with PyTorch's; nothing is recorded where one differs. Where attention
has a softmax or random masks, only the network's row is made, in PyTorch. Recorded in results/results.csv as tables
"EST network" and "EST twins"; a row that is there is not run again, so the command continues where it was stopped.
`--images` takes the first test images only, and is recorded.

Printed beside: neurons, those of the released Swin-T, the share of attention's operations that the ratio saves under
each counting rule and as it runs, and the papers' energy beside published break-even bounds.
"""

from __future__ import annotations

import argparse
import dataclasses
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks.record import record, recorded
from benchmarks.verified import verified
from spikelet import Program, convert, lower
from spikelet.base.errors import LoweringError
from spikelet.cli.converting import calibration_of
from spikelet.conversion import with_levels
from spikelet.data import batches, load
from spikelet.data.samples import Samples
from spikelet.graph.file.artifact import dumps
from spikelet.graph.ir import IntGraph
from spikelet.neurons.levels import MOST_LEVELS
from spikelet.profiling import attention_operations, est_energy_of, est_neurons, profile
from spikelet.profiling.papers.est import RELEASED_NEURONS, SAVED
from spikelet.train import TrainConfig, evaluate, load_run

NETWORK, TWINS = "EST network", "EST twins"
STEPS = (4, 8, 16, 32, 64)
LEVELS = 16
BATCH = 100
STREAM_COMPARED = 4
PROFILED = 200  # images


def variant_of(config: TrainConfig) -> str:
    """The run in words: its attention, and what that reads."""
    options = config.model_options
    ratio = options.get("partial_ratio", 0.0)
    part = "whole" if ratio == 0 else f"{options.get('partial', 'tokens')} {ratio:g}"
    return f"{options.get('attention', 'levels')}, {part}"


@dataclasses.dataclass(frozen=True)
class Extent:
    """How many images are evaluated, seen in the stream, and compared with PyTorch."""

    all: Samples
    stream: Samples
    compared: int

    @property
    def example(self) -> Tensor:
        """Two images."""
        return self.all.batch(torch.arange(2))[0]


def _graph_of(variant: str, model: nn.Module, extent: Extent) -> IntGraph | None:
    """The network in integers; None, and a line that says why, where it has none."""
    try:
        return lower(model, extent.example)
    except LoweringError as error:
        print(f"{variant}: in PyTorch alone ({error})")
        return None


def _in_integers(
    table: str, variant: str, graph: IntGraph, model: nn.Module, config: TrainConfig, extent: Extent, steps: int
) -> None:  # fmt: skip
    """Records the row of a network or of a barrier twin."""
    verified(graph, model, _first(extent.all, extent.compared))
    _record(table, variant, config, extent.all, steps, _accuracies(graph, extent.all)[0], len(dumps(graph)))


def _barrier(variant: str, finer: nn.Module, config: TrainConfig, extent: Extent, steps: int) -> None:
    """Records the row of a barrier twin."""
    twin = convert(finer, extent.example, time_steps=steps).eval()
    _in_integers(TWINS, variant, lower(twin, extent.example), twin, config, extent, steps)


def _stream(name: str, finest: nn.Module, config: TrainConfig, extent: Extent) -> None:
    """Records a row for each of STEPS of one stream."""
    twin = convert(finest, extent.example, time_steps=STEPS[-1], schedule="stream").eval()
    every = twin.every_step()
    verified(lower(every, extent.example), every, _first(extent.all, STREAM_COMPARED))
    graph = lower(twin, extent.example)
    after, size = _accuracies(graph, extent.stream), len(dumps(graph))
    for steps in STEPS:
        _record(TWINS, f"{name}, stream {steps}", config, extent.stream, steps, after[steps - 1], size)


def _accuracies(graph: IntGraph, samples: Samples) -> list[float]:
    """Accuracy after every step of a graph, in the native runtime."""
    stream = Program(graph).stream()
    hits = np.zeros(graph.time_steps, int)
    for x, y in batches(samples, BATCH):
        state = stream.start(len(y))
        for t in range(graph.time_steps):
            logits, state = stream(x.numpy()[None], state)
            hits[t] += int((logits.reshape(len(y), -1).argmax(1) == y.numpy()).sum())
    return [float(share) for share in hits / len(samples)]


def _first(samples: Samples, count: int) -> Samples:
    return samples.subset(torch.arange(min(count, len(samples))))


def _record(
    table: str, variant: str, config: TrainConfig, test: Samples, steps: int, integer: float | None = None,
    size: int | str = "", test_accuracy: float | None = None,
) -> None:  # fmt: skip
    record(
        table=table, recipe=config.model, variant=variant, data=_data(test), seed=config.seed, time_steps=steps,
        weight_bits=config.model_options.get("weight_bits", 8), membrane_bits=32, epochs=config.epochs,
        test_accuracy="" if test_accuracy is None else f"{test_accuracy:.4f}",
        integer_accuracy="" if integer is None else f"{integer:.4f}", packed_bytes=size,
    )  # fmt: skip
    shown = integer if test_accuracy is None else test_accuracy
    assert shown is not None
    print(f"{table}: {variant:36s} T = {steps:2d}  seed {config.seed}  {100 * shown:.2f} %", flush=True)


def _data(samples: Samples) -> str:
    return f"{samples.name} ({len(samples):,} images)"


def _about(model: nn.Module, config: TrainConfig, test: Samples) -> None:
    """Prints neurons, operations of attention, and energy."""
    x = test.batch(torch.arange(min(PROFILED, len(test))))[0]
    for place, count in est_neurons(model, tuple(x.shape[1:])).items():
        print(f"neurons, {place}: {count:,} (released Swin-T at 224 x 224: {RELEASED_NEURONS[place]:,.0f})")
    whole, left = attention_operations(model, whole=True), attention_operations(model)
    ratio = config.model_options.get("partial_ratio", 0.0)
    shares = ", ".join(f"{rule} {100 * rule_of(whole, ratio):.1f} %" for rule, rule_of in SAVED.items())
    print(f"attention's operations saved at {ratio:g} by rule: {shares}")
    print(f"q k^T and A v as they run: {left.products:,}, {100 * (1 - left.products / whole.products):.1f} % fewer")
    print(est_energy_of(profile(model, x), LEVELS), flush=True)


def _run(folder: Path, options: argparse.Namespace) -> None:
    """All rows of one run folder that are not recorded yet."""
    model, config = load_run(folder)
    splits = load(config.data, root=options.data_root, **config.data_options)
    test = _first(splits.test, len(splits.test) if options.images is None else options.images)
    extent = Extent(test, _first(test, options.stream_images), options.compared)
    name, seed = variant_of(config), str(config.seed)
    _about(model, config, test)
    same = {"epochs": config.epochs, "data": _data(test)}
    graph, is_new = _graph_of(name, model, extent), (name, seed) not in recorded(NETWORK, **same)
    if graph is None:
        if is_new:
            _record(NETWORK, name, config, test, 1, test_accuracy=evaluate(model, batches(test, BATCH)))
        return
    if is_new:
        _in_integers(NETWORK, name, graph, model, config, extent, 1)
    images = calibration_of(splits.train)
    for steps in STEPS:
        is_network = steps == LEVELS  # proved by tests/conversion/test_est_twins.py
        if not is_network and (f"{name}, barrier {steps}", seed) not in recorded(TWINS, **same):
            _barrier(f"{name}, barrier {steps}", with_levels(model, steps, images), config, extent, steps)
    if (f"{name}, stream {STEPS[-1]}", seed) not in recorded(TWINS, **{**same, "data": _data(extent.stream)}):
        _stream(name, with_levels(model, MOST_LEVELS, images), config, extent)


def arguments(about: str | None) -> argparse.ArgumentParser:
    """The arguments of a benchmark of trained run folders."""
    parser = argparse.ArgumentParser(description=about, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs of est_cifar")
    parser.add_argument("--data-root", default=None, help="folder of CIFAR-10's parquet files; default: the hub's")
    parser.add_argument("--images", type=int, default=None, help="of the test set; fewer to try things out")
    parser.add_argument("--compared", type=int, default=200, help="of those, compared with PyTorch spike for spike")
    parser.add_argument("--threads", type=int, default=1)
    return parser


def main() -> None:
    """The rows of every run folder named."""
    parser = arguments(__doc__)
    parser.add_argument("--stream-images", type=int, default=1000, help="of those, the ones that the stream sees")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for folder in options.runs:
        _run(folder, options)


if __name__ == "__main__":
    main()
