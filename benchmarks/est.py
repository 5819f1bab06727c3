"""EST from trained run folders: the network, its twins under both schedules, its attention's operations, its energy.

    spikelet train est-cifar10 --seed 0 --out runs/est-0
    python -m benchmarks.est runs/est-0 runs/est-tokens-50 [--data-root FOLDER] [--images 10000]

A row for each run: the network, which is the barrier at T = L = 16 (T = 1 with 16 levels), in PyTorch and as the native
program on all test images, every spike and logit compared. Then a row for each other twin: barrier and stream at T = 4,
8, 16, 32 and 64, native too; where attention has a softmax or random masks, in PyTorch alone. Recorded in
results/results.csv as tables "EST network" and "EST twins"; a row that is there is not run again, so the command
continues where it was stopped. `--images` takes the first test images only, to try things out, and is recorded.

Printed beside: neurons, those of the released Swin-T, the share of attention's operations that the ratio saves under
each counting rule and as it runs, and the papers' energy beside published break-even bounds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from torch import nn

from benchmarks.record import record, recorded
from benchmarks.verified import verified
from spikelet import convert, lower
from spikelet.base.errors import LoweringError
from spikelet.data import batches, load
from spikelet.data.samples import Samples
from spikelet.graph.file.artifact import dumps
from spikelet.profiling import attention_operations, est_energy_of, est_neurons, profile
from spikelet.profiling.papers.est import RELEASED_NEURONS, SAVED
from spikelet.train import TrainConfig, evaluate, load_run

NETWORK, TWINS = "EST network", "EST twins"
STEPS = (4, 8, 16, 32, 64)
LEVELS = 16
PROFILED = 200  # images


def _variant(config: TrainConfig) -> str:
    """The run in words: its attention, and what that reads."""
    options = config.model_options
    ratio = options.get("partial_ratio", 0.0)
    part = "whole" if ratio == 0 else f"{options.get('partial', 'tokens')} {ratio:g}"
    return f"{options.get('attention', 'levels')}, {part}"


def _measure(table: str, variant: str, model: nn.Module, config: TrainConfig, test: Samples, steps: int) -> None:
    """Evaluates `model` on all images, as integers too where it lowers, and records the row."""
    integer, size = "", ""
    try:
        graph = lower(model, test.batch(torch.arange(2))[0])
    except LoweringError as error:
        accuracy = evaluate(model, batches(test, 100))
        print(f"{variant}: in PyTorch alone ({error})")
    else:
        result = verified(graph, model, test)
        accuracy, integer, size = result.float_accuracy, f"{result.integer_accuracy:.4f}", len(dumps(graph))
    record(
        table=table, recipe=config.model, variant=variant, data=f"{test.name} ({len(test):,} images)", seed=config.seed,
        time_steps=steps, weight_bits=config.model_options.get("weight_bits", 8), membrane_bits=32,
        epochs=config.epochs, test_accuracy=f"{accuracy:.4f}", integer_accuracy=integer, packed_bytes=size,
    )  # fmt: skip
    print(f"{table}: {variant:36s} T = {steps:2d}  seed {config.seed}  {100 * accuracy:.2f} %", flush=True)


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


def _run(folder: Path, root: str | None, images: int | None) -> None:
    """All rows of one run folder that are not recorded yet."""
    model, config = load_run(folder)
    test = load(config.data, root=root, **config.data_options).test
    test = test if images is None else test.subset(torch.arange(images))
    name, seed = _variant(config), str(config.seed)
    same = {"epochs": config.epochs, "data": f"{test.name} ({len(test):,} images)"}
    _about(model, config, test)
    if (name, seed) not in recorded(NETWORK, **same):
        _measure(NETWORK, name, model, config, test, 1)
    for schedule in ("barrier", "stream"):
        for steps in STEPS:
            variant = f"{name}, {schedule} {steps}"
            is_network = schedule == "barrier" and steps == LEVELS  # proved by tests/conversion/test_est_twins.py
            if is_network or (variant, seed) in recorded(TWINS, **same):
                continue
            example = test.batch(torch.arange(2))[0]
            twin = convert(model, example, time_steps=steps, schedule=schedule).eval()
            _measure(TWINS, variant, twin, config, test, steps)


def main() -> None:
    """The rows of every run folder named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="+", type=Path, help="folders of finished runs of est_cifar")
    parser.add_argument("--data-root", default=None, help="folder of CIFAR-10's parquet files; default: the hub's")
    parser.add_argument("--images", type=int, default=None, help="of the test set; fewer to try things out")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    for folder in options.runs:
        _run(folder, options.data_root, options.images)


if __name__ == "__main__":
    main()
