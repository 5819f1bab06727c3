"""What QP-SNN's parts bring: three tables on a small VGG and the first 10,000 training images of CIFAR-10.

    python -m benchmarks.qpsnn_accuracy bits        8, 4, 2 and 1 bits: plain, rescaled, and with the code's gradient
    python -m benchmarks.qpsnn_accuracy criteria    five criteria at three ratios, the same fine-tuning
    python -m benchmarks.qpsnn_accuracy both        both at 2 bits: the rows of the paper's ablation

The network is a plain VGG of 24-32-48-64-96-96 channels, T = 2, first and last layer 8 bits; last epoch, all 10,000
test images, one row a run in results/results.csv. Pruning is one-shot after quantised training, then fine-tuning, as in
the paper. A run that has its row is not run again, so the command continues where it was stopped; networks that were
trained wait in --work for the tables that start from them.

The paper (CIFAR-100, ResNet20, 300 epochs): 2 bits plain 78.53, rescaled 79.16; pruned to 1.20 MB 69.16 (plain,
membrane L1), 73.40 (rescaled), 73.32 (plain, SVS), 73.89 (both).
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save
from torch import nn

from benchmarks.record import record, recorded
from benchmarks.waiting import waiting
from spikelet import Program, compress, lower
from spikelet.base.files import atomic_write
from spikelet.compression import Finetune, Prune
from spikelet.compression.criteria import SVS, Criterion, MembraneL1, NormScale, Random, WeightL1
from spikelet.data import batches, load
from spikelet.data.samples import DataSplits
from spikelet.graph.file.artifact import dumps
from spikelet.models.blocks import Precision, spiking_conv
from spikelet.models.qpsnn import rescaled
from spikelet.models.qsnn import SpikingClassifier
from spikelet.nn import Linear, MaxPool2d
from spikelet.train import DualRegulation, Optimizer, Phase, Training, evaluate
from spikelet.train.finetune import train_further

WIDTHS, POOLS_AFTER = (24, 32, 48, 64, 96, 96), (1, 3)
EPOCHS, FINETUNE_EPOCHS, TIME_STEPS = 8, 4, 2
RATIOS = (0.3, 0.5, 0.7)
PLAIN, RESCALED, AMPLIFIED = "none-masked", "mean-masked", "mean"  # what models/qpsnn.py calls them
NAMES = {PLAIN: "plain", RESCALED: "rescaled", AMPLIFIED: "rescaled, amplified gradient"}


def small_vgg(bits: int, rescaling: str) -> SpikingClassifier:
    """Six 3x3 convolutions, the first of stride 2, OR pooling after two of them, one classifier: [B, 3, 32, 32]."""
    p = Precision(TIME_STEPS, bits, 32, lambda b: rescaled(b, rescaling))
    layers: list[nn.Module] = []
    for i, (c_in, c_out) in enumerate(zip((3, *WIDTHS), WIDTHS, strict=False)):
        layers.append(spiking_conv(c_in, c_out, p, p.hidden() if i else p.first(), stride=1 if i else 2))
        if i in POOLS_AFTER:
            layers.append(MaxPool2d(2))
    return SpikingClassifier(nn.Sequential(*layers), nn.Identity(), Linear(WIDTHS[-1] * 16, 10, p.last()))


@dataclasses.dataclass(frozen=True)
class Trained:
    """A network and the seconds that it took, those of its start included."""

    model: nn.Module
    seconds: float


@dataclasses.dataclass(frozen=True)
class Base:
    """A network as it is before pruning."""

    bits: int
    rescaling: str
    seed: int

    def _training(self) -> Training:
        return Training(
            augment="crop2-flip", phases=(Phase(EPOCHS, TIME_STEPS),), batch_size=64, optimizer=Optimizer(lr=3e-3),
            regulation=DualRegulation(spike=0.0), loss="mean", seed=self.seed,
        )  # fmt: skip

    def trained(self, data: DataSplits, work: Path) -> Trained:
        """Taken from `work`, where all of its settings are in the file's name, or trained and left there."""
        torch.manual_seed(self.seed)
        model = small_vgg(self.bits, self.rescaling)
        settings = (self, self._training(), WIDTHS, POOLS_AFTER, data.train.name, len(data.train))
        path = waiting(work, *settings).with_suffix(".safetensors")
        if path.exists():
            state = load_file(path)
            seconds = state.pop("seconds").item()
            model.load_state_dict(state)
            return Trained(model.eval(), seconds)
        started = time.monotonic()
        train_further(model, data, self._training())
        seconds = time.monotonic() - started
        # copied in C order: training leaves channels-last strides, which the file has no word for
        state = {k: v.clone(memory_format=torch.contiguous_format) for k, v in model.state_dict().items()}
        with atomic_write(path) as file:
            file.write(save({**state, "seconds": torch.tensor(seconds)}))
        return Trained(model, seconds)


@dataclasses.dataclass(frozen=True)
class Pruned:
    """A network after one-shot pruning and fine-tuning."""

    base: Base
    criterion: Criterion
    ratio: float

    def trained(self, data: DataSplits, work: Path) -> Trained:
        """Pruned and fine-tuned anew; only its base is kept."""
        base, started = self.base.trained(data, work), time.monotonic()
        tune = Finetune(FINETUNE_EPOCHS, lr=1e-3, batch_size=64, augment="crop2-flip", loss="mean", seed=self.base.seed)
        model = compress(base.model, [Prune(self.ratio, self.criterion), tune], data).model
        return Trained(model, base.seconds + time.monotonic() - started)


Variants = Iterator[tuple[str, Base | Pruned]]


def _bits(seed: int) -> Variants:
    yield "float weights", Base(32, RESCALED, seed)
    for bits in (8, 4, 2, 1):
        for rescaling, name in NAMES.items():
            yield f"{name}, {bits} bit", Base(bits, rescaling, seed)


def _criteria(seed: int) -> Variants:
    base = Base(4, RESCALED, seed)
    yield "not pruned", base
    for ratio in RATIOS:
        for criterion in (SVS(), MembraneL1(), WeightL1(), NormScale(), Random(seed=seed)):
            yield f"{type(criterion).__name__}, ratio {ratio}", Pruned(base, criterion, ratio)


def _both(seed: int) -> Variants:
    bases = [Base(2, rescaling, seed) for rescaling in NAMES]
    for base in bases:
        yield f"{NAMES[base.rescaling]}, not pruned", base
    for criterion in (MembraneL1(), SVS()):
        for base in bases:
            yield f"{NAMES[base.rescaling]}, {type(criterion).__name__}", Pruned(base, criterion, 0.5)


TABLES: dict[str, Callable[[int], Variants]] = {
    "bits": _bits, "criteria": _criteria, "both": _both,
}  # fmt: skip


def _packed(model: nn.Module, data: DataSplits) -> tuple[str, int]:
    """Accuracy of the integer program, and the bytes of its file."""
    graph = lower(model, data.test.batch(torch.arange(2))[0])
    program = Program(graph)
    hits = sum(int((program(x.numpy()).argmax(-1) == y.numpy()).sum()) for x, y in batches(data.test, 250))
    return f"{hits / len(data.test):.4f}", len(dumps(graph))


def _run(table: str, variant: str, net: Base | Pruned, data: DataSplits, work: Path) -> None:
    done = net.trained(data, work)
    base = net.base if isinstance(net, Pruned) else net
    accuracy = evaluate(done.model, batches(data.test, 250))
    integer, size = _packed(done.model, data) if base.bits < 32 else ("", "")  # floats have no codes
    record(
        table=table, recipe="plain VGG 24-32-48-64-96-96", variant=variant,
        data=f"CIFAR-10 ({data.test.note}), first 10,000 training images", seed=base.seed, time_steps=TIME_STEPS,
        weight_bits=base.bits, membrane_bits=32, epochs=EPOCHS if net is base else f"{EPOCHS} + {FINETUNE_EPOCHS}",
        train_samples=len(data.train), test_accuracy=f"{accuracy:.4f}", integer_accuracy=integer, packed_bytes=size,
        train_seconds=round(done.seconds),
    )  # fmt: skip
    print(f"{table}: {variant:32s} seed {base.seed}  {100 * accuracy:.2f} %  {size} bytes", flush=True)


def main() -> None:
    """Runs what has no row yet, seed by seed, so that a stopped table holds whole seeds."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tables", nargs="+", choices=sorted(TABLES))
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--data-root", default=None, help="folder of CIFAR-10's parquet files; default: the hub's")
    parser.add_argument("--work", type=Path, default=Path("runs/qpsnn_accuracy"), help="where trained networks wait")
    options = parser.parse_args()
    torch.set_num_threads(1)
    options.work.mkdir(parents=True, exist_ok=True)
    everything = load("cifar10", root=options.data_root, validation=0.0)
    data = DataSplits(everything.train.subset(torch.arange(10_000)), everything.validation, everything.test)
    for seed in options.seeds:
        for table in options.tables:
            for variant, net in TABLES[table](seed):
                if (variant, str(seed)) not in recorded(f"QP-SNN {table}"):
                    _run(f"QP-SNN {table}", variant, net, data, options.work)


if __name__ == "__main__":
    main()
