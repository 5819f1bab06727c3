"""What more bits bring to a trained network of 1-bit weights and 2-bit membranes: each variant goes on from the same
weights, with the same images and as many epochs, the control with nothing changed among them.

    python -m benchmarks.membrane_bits runs/qsnn-cifar10 --recipe qsnn-cifar10 --data-root data/cifar10

Real time steps, a cosine from a quarter of the recipe's learning rate, the recipe's other settings, its teacher if it
had one; last epoch, the whole test set in PyTorch and as the integer program. The paper trains each of its rows from
the start.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import torch

from benchmarks.record import record, recorded
from benchmarks.verified import verified
from spikelet import compress, lower
from spikelet.compression import Finetune, Pass, Quantize, QuantizeMembranes
from spikelet.data import batches, load
from spikelet.data.samples import DataSplits
from spikelet.graph.file.artifact import dumps
from spikelet.train import Distillation, TrainConfig, evaluate, load_run
from spikelet.train.lessons import lessons_of
from spikelet.train.run import TEACHER

TABLE = "membrane bits"


@dataclasses.dataclass(frozen=True)
class Variant:
    """Bits of the hidden weights (1, or 32 for every weight) and of the membranes."""

    weight_bits: int
    membrane_bits: int

    @property
    def name(self) -> str:
        """As in the table."""
        words = {32: "float"}
        weights, membranes = (words.get(bits, f"{bits}-bit") for bits in (self.weight_bits, self.membrane_bits))
        return f"{weights} weights, {membranes} membranes"

    def passes(self) -> list[Pass]:
        """From 1-bit weights and 2-bit membranes to these."""
        weights: list[Pass] = [Quantize(32)] if self.weight_bits == 32 else []
        return [*weights, QuantizeMembranes(self.membrane_bits)]


VARIANTS = (Variant(1, 2), Variant(1, 4), Variant(1, 8), Variant(1, 32), Variant(32, 32))


def _teacher(run: Path, config: TrainConfig) -> Distillation | None:
    if config.teacher is None:
        return None
    return Distillation(load_run(run / TEACHER)[0], *lessons_of(config.teacher))


def _finetune(run: Path, config: TrainConfig, epochs: int) -> Finetune:
    return Finetune(
        epochs, lr=config.optimizer.lr / 4, norm_lr=config.optimizer.norm_lr, batch_size=config.batch_size,
        augment=config.augment, loss=config.loss, label_smoothing=config.label_smoothing,
        spike=config.regulation.spike, seed=config.seed, teacher=_teacher(run, config), compile=config.compile,
    )  # fmt: skip


def _run(variant: Variant, options: argparse.Namespace, data: DataSplits) -> None:
    model, config = load_run(options.run)
    started = time.monotonic()
    tuned = compress(model, [*variant.passes(), _finetune(options.run, config, options.epochs)], data).model
    seconds = time.monotonic() - started
    integer, size = ("", "") if variant.weight_bits == 32 else _packed(tuned, data)
    accuracy = evaluate(tuned, batches(data.test, 200))
    record(
        table=TABLE, recipe=options.recipe, variant=variant.name,
        data=f"{data.test.name} ({data.test.note}), {len(data.train):,} training images", seed=config.seed,
        time_steps=config.time_steps(config.epochs - 1), weight_bits=variant.weight_bits,
        membrane_bits=variant.membrane_bits, epochs=f"{config.epochs} + {options.epochs}",
        train_samples=len(data.train), test_accuracy=f"{accuracy:.4f}", integer_accuracy=integer, packed_bytes=size,
        train_seconds=round(seconds),
    )  # fmt: skip
    print(f"{variant.name:32s} {100 * accuracy:.2f} %  {size} bytes", flush=True)


def _packed(model: torch.nn.Module, data: DataSplits) -> tuple[str, int]:
    graph = lower(model, data.test.batch(torch.arange(2))[0])
    result = verified(graph, model, data.test)
    return f"{result.integer_accuracy:.4f}", len(dumps(graph))


def main() -> None:
    """Runs the variants that have no row yet."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path)
    parser.add_argument("--recipe", required=True)
    parser.add_argument("--data-root", default=None)
    parser.add_argument("--images", type=int, default=20_000, help="so many training images")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of variants, from 0")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    _, config = load_run(options.run)
    everything = load(config.data, root=options.data_root, **config.data_options)
    first = torch.arange(min(options.images, len(everything.train)))
    data = DataSplits(everything.train.subset(first), everything.validation, everything.test)
    same = {"recipe": options.recipe, "train_samples": len(data.train), "epochs": f"{config.epochs} + {options.epochs}"}
    for number, variant in enumerate(VARIANTS):
        chosen = number in (options.only or range(len(VARIANTS)))
        if chosen and (variant.name, str(config.seed)) not in recorded(TABLE, **same):
            _run(variant, options, data)


if __name__ == "__main__":
    main()
