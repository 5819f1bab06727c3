"""What the parts of QSD-Transformer, BESTformer and EST bring: tables of small ones on 10,000 images of CIFAR-10.

    python -m benchmarks.transformer_accuracy qsd           neurons, bits, fine-grained distillation
    python -m benchmarks.transformer_accuracy bestformer    reversible streams, coupled distillation
    python -m benchmarks.transformer_accuracy est           partial information, trained at its ratio from the start
    python -m benchmarks.transformer_accuracy speed         native latency of all rows, in turns

All rows have the same images in the same number of epochs, the last of which counts, on all 10,000 test images. The
teacher is the analog twin (ReLU, float weights) of the small QSD-Transformer: of the same shape for the first table,
another network for the second. A row costs its own training alone; the teacher's is beside it.

IE-LIF is one step of D = 4 levels; the LIF rows have its T D = 4 binary steps, and cost four times as much to train.

A run that has its row is not run again, so the command continues where it was stopped. Trained teachers and packed
networks wait in --work.

The papers' ablations could not be read. QSD-Transformer reports 80.3 % on ImageNet with 4-bit weights, where the
full-precision baseline has 79.7 %; BESTformer 7.85 points more than other binary networks.
"""

from __future__ import annotations

import argparse
import csv
import dataclasses
import functools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks.end_to_end import medians
from benchmarks.record import ROOT, command, commit, device, record, recorded
from benchmarks.verified import verified
from benchmarks.waiting import waiting
from spikelet import Program, lower
from spikelet import load as load_graph
from spikelet import save as save_graph
from spikelet.data import batches, load
from spikelet.data.samples import DataSplits
from spikelet.models import create_model
from spikelet.neurons import Neuron
from spikelet.nn.hooks import hooks
from spikelet.train import (
    Distillation,
    DualRegulation,
    GramMatrices,
    HardLogits,
    Optimizer,
    Phase,
    SoftLogits,
    Training,
    evaluate,
)
from spikelet.train.analog import to_analog
from spikelet.train.config import PRECISIONS
from spikelet.train.finetune import train_further
from spikelet.train.lessons import Lesson
from spikelet.train.loop import Loop
from spikelet.train.weights import FILE, read_weights, save_weights

IMAGES, EPOCHS = 10_000, 12
QSD = {"widths": [16, 32, 64, 64], "heads": 4}
LIF = {"neuron": "whole", "levels": 1, "time_steps": 4, "norm_gain": 1.0, "attention_gain": 1.0}
BEST = {"width": 64, "heads": 4, "time_steps": 2}
SPEED = ROOT / "results" / "transformer_speed.csv"


@dataclasses.dataclass(frozen=True)
class Row:
    """One training: a network, and what teaches it beside the labels.

    labels: the module whose logits learn the labels, where a teacher has another head.
    """

    name: str
    model: str
    options: dict[str, Any]
    lessons: tuple[Lesson, ...] = ()
    labels: str = ""

    @property
    def bits(self) -> int:
        """Bits of a hidden weight."""
        return self.options["weight_bits"]

    @property
    def time_steps(self) -> int:
        """T."""
        return self.options.get("time_steps", 1)


def _qsd() -> Iterator[Row]:
    def row(name: str, bits: int, lessons: tuple[Lesson, ...] = (), **options: Any) -> Row:
        return Row(name, "qsd_transformer_cifar", {**QSD, "weight_bits": bits, **options}, lessons)

    grams = (GramMatrices(),)
    yield row("LIF, float weights", 32, **LIF)
    yield row("LIF, 4 bits", 4, **LIF)
    yield row("IE-LIF, float weights", 32)
    yield row("IE-LIF, 4 bits", 4)
    yield row("IE-LIF, 4 bits, q k v taught", 4, grams)
    yield row("IE-LIF, 4 bits, q k v and logits taught", 4, (*grams, SoftLogits(0.5)))
    yield row("IE-LIF, 2 bits, q k v taught", 2, grams)
    yield row("IE-LIF, 1 bit, q k v taught", 1, grams)


def _bestformer() -> Iterator[Row]:
    taught: dict[str, Any] = {"lessons": (HardLogits(0.5, head="heads.1"),), "labels": "heads.0"}

    def row(name: str, wiring: str, bits: int = 1, **more: Any) -> Row:
        return Row(name, "bestformer_2_128", {**BEST, "weight_bits": bits, "wiring": wiring}, **more)

    yield row("plain, float weights", "plain", 32)
    yield row("plain, 1 bit", "plain")
    yield row("reversible, 1 bit", "averaged")
    yield row("plain, 1 bit, taught", "plain", **taught)
    yield row("reversible, 1 bit, taught", "averaged", **taught)


def _est() -> Iterator[Row]:
    def row(name: str, form: str, ratio: float) -> Row:
        return Row(name, "est_cifar", {"weight_bits": 8, "partial": form, "partial_ratio": ratio})

    yield row("whole attention", "tokens", 0.0)
    for form in ("tokens", "heads", "channels"):
        yield row(f"half of the {form}", form, 0.5)


TABLES = {
    "qsd": ("QSD-Transformer parts", _qsd),
    "bestformer": ("BESTformer parts", _bestformer),
    "est": ("EST parts", _est),
}


def _training(time_steps: int, seed: int, bench: Bench) -> Training:
    return Training(
        augment="crop3-flip", phases=(Phase(bench.epochs, time_steps),), batch_size=64, optimizer=Optimizer(lr=3e-3),
        regulation=DualRegulation(spike=0.0), loss="mean", gradient="straight", label_smoothing=0.05, seed=seed,
        compile=bench.compile, mixed_precision=bench.precision,
    )  # fmt: skip


@dataclasses.dataclass(frozen=True)
class Bench:
    """The data, the folder where trained networks wait, the length of every training, whether it is compiled, and in
    which precision it computes, of Training.mixed_precision."""

    data: DataSplits
    work: Path
    epochs: int
    compile: bool
    precision: str

    def path(self, *what: object) -> Path:
        """Where in the folder the network of these settings waits."""
        return waiting(self.work, *what, self.epochs, self.data.train.name, len(self.data.train))

    def packed(self, row: Row, seed: int) -> Path:
        """The packed file of a row."""
        return self.path(row, seed).with_suffix(".safetensors")

    def teacher(self, seed: int) -> nn.Module:
        """The analog twin of the small QSD-Transformer, taken from the folder, or trained and left there."""
        torch.manual_seed(seed)
        model = to_analog(create_model("qsd_transformer_cifar", **QSD))
        folder = self.path("teacher", QSD, seed)
        if (folder / FILE).exists():
            model.load_state_dict(read_weights(folder))
            return model.eval()
        training = dataclasses.replace(_training(1, seed, self), label_smoothing=0.0)  # as a recipe's teacher
        Loop(model, self.data, training).run([], before_epoch=lambda epoch: None, after_epoch=lambda: None)
        accuracy = evaluate(model, batches(self.data.test, 250))
        print(f"teacher, seed {seed}: {100 * accuracy:.2f} %", flush=True)
        folder.mkdir(exist_ok=True)
        save_weights(folder, model)
        return model.eval()

    def run(self, table: str, row: Row, seed: int) -> None:
        """Trains a row, verifies its integer program on the whole test set, and records it."""
        teaching = Distillation(self.teacher(seed), *row.lessons, labels=row.labels) if row.lessons else None
        torch.manual_seed(seed)
        model, started = create_model(row.model, **row.options), time.monotonic()
        train_further(model, self.data, _training(row.time_steps, seed, self), distillation=teaching)
        seconds = round(time.monotonic() - started)
        integer, size = "", ""
        if row.bits < 32:  # floats have no codes
            graph = lower(model, self.data.test.batch(torch.arange(2))[0])
            result = verified(graph, model, self.data.test)
            save_graph(graph, path := self.packed(row, seed))
            accuracy, integer, size = result.float_accuracy, f"{result.integer_accuracy:.4f}", path.stat().st_size
        else:
            accuracy = evaluate(model, batches(self.data.test, 250))
        record(
            table=table, recipe=f"small {row.model}", variant=row.name,
            data=f"CIFAR-10 ({self.data.test.note}), first {len(self.data.train):,} training images", seed=seed,
            time_steps=row.time_steps, weight_bits=row.bits, membrane_bits=32, epochs=self.epochs,
            train_samples=len(self.data.train), test_accuracy=f"{accuracy:.4f}", integer_accuracy=integer,
            spikes=round(spikes_of(model, self.data.test.batch(torch.arange(1000))[0])), packed_bytes=size,
            train_seconds=seconds,
        )  # fmt: skip
        print(f"{table}: {row.name:42s} seed {seed}  {100 * accuracy:.2f} %  {seconds} s", flush=True)

    def speed(self, seed: int, seconds: float) -> None:
        """Writes the milliseconds of every packed row of this seed on one image, measured in turns."""
        torch.set_num_threads(1)
        x = self.data.test.batch(torch.arange(1))[0].numpy()
        programs = {
            (table, row.name): Program(load_graph(path), threads=1)
            for table, rows in TABLES.values()
            for row in rows()
            if (path := self.packed(row, seed)).exists()
        }
        if not programs:
            raise SystemExit(f"speed: no packed network of seed {seed} in {self.work}. Train a table first.")
        runs = {" | ".join(key): functools.partial(program, x) for key, program in programs.items()}
        taken = medians(runs, seconds)["cpu"]
        with SPEED.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["table", "variant", "native_ms", "seed", "device", "commit", "command"])
            for table, name in programs:
                writer.writerow([table, name, taken[f"{table} | {name}"], seed, device(), commit(), command()])
        print(SPEED.read_text(), end="")


@torch.no_grad()
def spikes_of(model: nn.Module, x: torch.Tensor) -> float:
    """Spikes that one sample of `x` [B, ...] makes in all neurons and time steps; a count of n is n spikes."""
    total = torch.zeros((), dtype=torch.float64)

    def count(neuron: nn.Module, inputs: Any, spikes: torch.Tensor) -> None:
        total.add_(spikes.double().sum() / neuron.value)  # type: ignore[operator]

    with hooks(m.register_forward_hook(count) for m in model.modules() if isinstance(m, Neuron)):
        model(x)
    return float(total) / len(x)


def main() -> None:
    """Runs what has no row yet, seed by seed, so that a stopped table holds whole seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", nargs="+", choices=[*TABLES, "speed"])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1])
    parser.add_argument("--data-root", default=None, help="folder of CIFAR-10's parquet files; default: the hub's")
    parser.add_argument("--work", type=Path, default=Path("runs/transformer_accuracy"))
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--images", type=int, default=IMAGES, help="of the training set; fewer to try things out")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--eager", action="store_true", help="do not compile: slower, but for a trial of few images")
    parser.add_argument("--precision", choices=PRECISIONS, default="no", help="bf16 where the processor computes in it")
    parser.add_argument("--seconds", type=float, default=20.0, help="of speed")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    everything = load("cifar10", root=options.data_root, validation=0.0)
    train = everything.train.subset(torch.arange(options.images))
    bench = Bench(
        DataSplits(train, everything.validation, everything.test),
        *(options.work, options.epochs, not options.eager, options.precision),
    )
    for seed in options.seeds:
        for what in options.what:
            if what == "speed":
                bench.speed(seed, options.seconds)
                continue
            table, rows = TABLES[what]
            for row in rows():
                if (row.name, str(seed)) not in recorded(table, epochs=bench.epochs, train_samples=len(train)):
                    bench.run(table, row, seed)


if __name__ == "__main__":
    main()
