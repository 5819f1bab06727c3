"""What each half of weight-spike dual regulation brings, and what a static membrane scale costs.

    python -m benchmarks.dual_regulation [--seeds 0 1 2]

A small network (16-32-64, 1-bit weights, 2-bit membranes, T = 2) on the first 10,000 training images of
Fashion-MNIST, 8 epochs, last epoch, all 10,000 test images, EDE's gradient and the loss of every step, as in the
paper. (With a gradient that is clipped at |z| <= 1, standardised weights lose a third of it and the comparison its
sense: results/README.md has both.) The paper's own ablation is 93.42 % without
and 95.20 % with both halves (ResNet-19, CIFAR-10, 300 epochs).
"""

from __future__ import annotations

import argparse
import dataclasses
import shutil
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from torch import nn

from benchmarks.record import record, recorded
from spikelet.data import load
from spikelet.data.batches import batches
from spikelet.data.samples import DataSplits
from spikelet.neurons import LIF, BatchMaxMembrane
from spikelet.recipes import RECIPES
from spikelet.train import DualRegulation, Optimizer, Phase, Run, TrainConfig, evaluate
from spikelet.train.losses import firing_rates

TABLE = "dual regulation"


def _nothing(model: nn.Module) -> None:
    pass


def _batch_max(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, LIF):
            module.membrane = BatchMaxMembrane(module.membrane.bits)


@dataclasses.dataclass(frozen=True)
class Variant:
    """A row of the table."""

    name: str
    regulation: DualRegulation = dataclasses.field(default_factory=DualRegulation)
    weight_bits: int = 1
    membrane_bits: int = 2
    change: Callable[[nn.Module], None] = _nothing


VARIANTS = (
    Variant("no regulation", DualRegulation(weight=False, spike=0.0)),
    Variant("weight half", DualRegulation(weight=True, spike=0.0)),
    Variant("spike half", DualRegulation(weight=False, spike=1e-3)),
    Variant("both", DualRegulation(weight=True, spike=1e-3)),
    Variant("both, lambda 0.1", DualRegulation(weight=True, spike=0.1)),
    Variant("both, authors' batch-max membrane", change=_batch_max),
    Variant("full precision", weight_bits=32, membrane_bits=32),
)


def _config(variant: Variant, seed: int) -> TrainConfig:
    base = RECIPES["qsnn-fashion-mnist"](seed, variant.weight_bits, variant.membrane_bits)
    return dataclasses.replace(
        base,
        model_options={**base.model_options, "widths": [16, 32, 64]},
        phases=(Phase(8, 2),),
        batch_size=64,
        regulation=variant.regulation,
        augment="crop1",
        optimizer=Optimizer(lr=3e-3),
        gradient="ede",
        loss="steps",
        label_smoothing=0.0,
        compile=False,
    )


@torch.no_grad()
def _firing_rate(model: nn.Module, data: DataSplits) -> float:
    x, _ = data.test.batch(torch.arange(1000))
    with firing_rates(model) as rates:
        model(x)
    return float(torch.stack(rates[1:-1]).mean())


def main() -> None:
    """Trains every variant with every seed and records a row each; what has its row is not run again."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data-root", default=None)
    options = parser.parse_args()
    torch.set_num_threads(1)
    everything = load("fashion-mnist", root=options.data_root, validation=0.0)
    data = DataSplits(everything.train.subset(torch.arange(10_000)), everything.validation, everything.test)
    for seed in options.seeds:
        for variant in VARIANTS:
            if (variant.name, str(seed)) not in recorded(TABLE):
                _run(variant, seed, data)


def _run(variant: Variant, seed: int, data: DataSplits) -> None:
    folder, started = Path(tempfile.mkdtemp()), time.monotonic()
    config = _config(variant, seed)
    run = Run(config, data, folder)
    variant.change(run.model)
    model = run.train()
    accuracy = evaluate(model, batches(data.test, 250))
    record(
        table=TABLE, recipe="qsnn-fashion-mnist 16-32-64", variant=variant.name,
        data="Fashion-MNIST, first 10,000 training images", seed=seed, time_steps=2,
        weight_bits=variant.weight_bits, membrane_bits=variant.membrane_bits, epochs=config.epochs,
        train_samples=len(data.train), test_accuracy=f"{accuracy:.4f}", firing_rate=f"{_firing_rate(model, data):.4f}",
        train_seconds=round(time.monotonic() - started),
    )  # fmt: skip
    print(f"{variant.name:36s} seed {seed}  {accuracy:.4f}", flush=True)
    shutil.rmtree(folder)


if __name__ == "__main__":
    main()
