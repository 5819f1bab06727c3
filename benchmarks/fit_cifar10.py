"""A trained CIFAR-10 network of 8-bit weights, more than 1 MB, fitted to 100 kB, unattended.

    python -m benchmarks.fit_cifar10 --data-root data/cifar10 --threads 2

The start is qsnn_vgg_s_avg of 32-64-128-256 channels (1.18 M weights, 13 M multiply-accumulates a step), T = 2, 2-bit
membranes, trained with the settings of `qsnn-cifar10` for fewer epochs. The budget is 100,000 bytes and two points of
accuracy. Plans are chosen on 4 % of the training images; both rows are of the last epoch and all 10,000 test images, in
PyTorch and as the integer program. A start that is trained waits in --work.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import torch
from torch import nn

from benchmarks.record import record, recorded
from benchmarks.verified import verified
from spikelet import Budget, fit, lower
from spikelet.data import load as load_data
from spikelet.data.samples import DataSplits
from spikelet.fitting import Settings
from spikelet.fitting.progress import Quiet
from spikelet.graph import ir
from spikelet.graph.file.artifact import dumps
from spikelet.recipes import RECIPES
from spikelet.train import Phase, Run, TrainConfig

TABLE, START, FITTED = "fit", "start", "fitted to 100 kB"
BUDGET = Budget(max_bytes=100_000, max_accuracy_drop=2.0)


def start_config(seed: int) -> TrainConfig:
    """How the start is trained."""
    recipe = RECIPES["qsnn-cifar10"](seed=seed, weight_bits=8)
    return dataclasses.replace(
        recipe,
        model="qsnn_vgg_s_avg",
        model_options={**recipe.model_options, "widths": [32, 64, 128, 256]},
        phases=(Phase(10, 2, one_pass=True), Phase(2, 2)),
    )


class _Told(Quiet):
    """Prints what fit begins."""

    def stage(self, name: str, steps: int) -> None:
        """A line."""
        print(f"{name}: {steps} step(s)", flush=True)


def _trained(config: TrainConfig, data: DataSplits, work: Path) -> tuple[nn.Module, float]:
    """The network, and the seconds of its epochs."""
    run = Run(config, data, work / f"start_{config.seed}")
    model = run.train()
    return model, sum(epoch["seconds"] for epoch in run.history)


def _record(variant: str, graph: ir.IntGraph, model: nn.Module, data: DataSplits, **row: object) -> None:
    result = verified(graph, model, data.test)
    size = len(dumps(graph))
    record(
        table=TABLE, recipe="qsnn_vgg_s_avg 32-64-128-256", variant=variant,
        data=f"{data.test.name} ({data.test.note})", time_steps=graph.time_steps, membrane_bits=2,
        train_samples=len(data.train), test_accuracy=f"{result.float_accuracy:.4f}",
        integer_accuracy=f"{result.integer_accuracy:.4f}", packed_bytes=size, **row,
    )  # fmt: skip
    print(f"{variant:24s} {100 * result.integer_accuracy:.2f} %  {size:,} bytes", flush=True)


def main() -> None:
    """Trains, fits, and appends two rows to results/results.csv; where they are, it does nothing."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data-root", default=None, help="folder of CIFAR-10's parquet files; default: the hub's")
    parser.add_argument("--work", type=Path, default=Path("runs/fit_cifar10"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--probes", type=int, default=2)
    parser.add_argument("--epochs", type=int, default=8, help="of the chosen plan")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    done = {variant for variant, seed in recorded(TABLE) if seed == str(options.seed)}
    if FITTED in done:
        return
    config = start_config(options.seed)
    data = load_data("cifar10", root=options.data_root, **config.data_options)
    model, seconds = _trained(config, data, options.work)
    if START not in done:
        graph = lower(model, data.test.batch(torch.arange(2))[0])
        _record(
            START, graph, model, data, weight_bits=8, seed=config.seed, epochs=config.epochs,
            train_seconds=round(seconds),
        )  # fmt: skip
    started = time.monotonic()
    settings = Settings(probes=options.probes, epochs=options.epochs, seed=options.seed)
    fitted = fit(model, data, BUDGET, training=config, settings=settings, watcher=_Told())
    bits = "/".join(str(b) for b in sorted(set(dict(fitted.plan.bits).values())))
    print(f"plan: {dict(fitted.plan.bits)} {dict(fitted.plan.ratios)}", flush=True)
    _record(
        FITTED, fitted.graph, fitted.model, data, weight_bits=bits, seed=config.seed,
        epochs=f"{config.epochs} + {options.epochs}", train_seconds=round(time.monotonic() - started),
    )  # fmt: skip
    if fitted.missed:
        raise SystemExit("; ".join(fitted.missed))


if __name__ == "__main__":
    main()
