"""Sizes of QP-SNN's networks: published, by the paper's formula, and of the packed file, byte for byte.

    python -m benchmarks.qpsnn_sizes [--only vgg] [--markdown]

Weights are random: a size does not depend on them but for offsets of batch norms, which take 32 bits instead of 16 in a
layer where one is large. The paper keeps the first and last layer at 32 bits; the file has them at 8, so that it
is smaller than the formula where those two weigh much. "arrays" are codes and constants, what is left of the file is
its header.
"""

from __future__ import annotations

import argparse
import dataclasses
from typing import Any

import torch
from torch import nn

from spikelet.graph.file.artifact import dumps
from spikelet.graph.file.document import stored_bytes
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.profiling import qpsnn_megabytes


@dataclasses.dataclass(frozen=True)
class Row:
    """A row of the paper's main table: MB at each number of weight bits."""

    data: str
    model: str
    classes: int
    pruning: str | None
    published: dict[int, float]

    def build(self, bits: int) -> nn.Module:
        """The network of the row, with random weights."""
        pruning = {} if self.model == "qpsnn_resnet18" else {"pruning": self.pruning}
        return create_model(self.model, num_classes=self.classes, weight_bits=bits, **self.size(), **pruning)

    def size(self) -> dict[str, int]:
        """Where it is not the builder's own."""
        return {"image_size": 64} if self.data == "TinyImageNet" else {}

    def example(self) -> torch.Tensor:
        """An input."""
        channels, side = {"DVS-CIFAR10": (2, 48), "TinyImageNet": (3, 64), "ImageNet": (3, 224)}.get(self.data, (3, 32))
        return torch.zeros(1, channels, side, side, dtype=torch.uint8)

    @property
    def name(self) -> str:
        """For the table."""
        return f"{self.data}, {self.model.removeprefix('qpsnn_')}{f' {self.pruning}' if self.pruning else ''}"


def _row(data: str, model: str, classes: int, pruning: str | None, *megabytes: float) -> Row:
    return Row(data, f"qpsnn_{model}", classes, pruning, dict(zip((8, 4, 2), megabytes, strict=False)))


PUBLISHED = (
    _row("CIFAR-10", "resnet20", 10, "A", 6.27, 3.16, 1.61),
    _row("CIFAR-10", "resnet20", 10, "B", 3.92, 1.98, 1.02),
    _row("CIFAR-10", "vgg16", 10, "A", 4.28, 2.16, 1.10),
    _row("CIFAR-10", "vgg16", 10, "B", 1.45, 0.74, 0.39),
    _row("CIFAR-100", "resnet20", 100, "A", 6.45, 3.35, 1.79),
    _row("CIFAR-100", "resnet20", 100, "B", 4.10, 2.17, 1.20),
    _row("CIFAR-100", "vgg16", 100, "A", 2.48, 1.35, 0.79),
    _row("CIFAR-100", "vgg16", 100, "B", 1.85, 1.04, 0.63),
    _row("TinyImageNet", "vgg16", 200, "A", 5.90, 3.78, 2.72),
    _row("TinyImageNet", "vgg16", 200, "B", 4.67, 3.17, 2.41),
    _row("DVS-CIFAR10", "vggsnn", 10, "A", 1.61, 0.90, 0.55),
    _row("DVS-CIFAR10", "vggsnn", 10, "B", 1.05, 0.62, 0.41),
    _row("DVS-CIFAR10", "vggsnn", 10, "C", 0.40, 0.29, 0.24),
)
IMAGENET = _row("ImageNet", "resnet18", 1000, None, 13.28, 7.71)  # no pruning ratios are published; see the test


@dataclasses.dataclass(frozen=True)
class Sizes:
    """All the sizes of one network. published, formula: MB; arrays, file: bytes."""

    name: str
    bits: int
    published: float
    formula: float
    arrays: int
    file: int


def sizes(row: Row, bits: int) -> Sizes:
    """Builds, lowers and packs a network of the table."""
    model = row.build(bits)
    graph = lower(model, row.example())
    arrays = sum(map(stored_bytes, graph.nodes))
    return Sizes(row.name, bits, row.published[bits], qpsnn_megabytes(model), arrays, len(dumps(graph)))


HEAD = ("network", "bits", "published MB", "formula MB", "arrays bytes", "file bytes", "file / formula")


def _cells(s: Sizes) -> tuple[Any, ...]:
    ratio = f"{s.file / 1e6 / s.formula:.3f}"
    return s.name, s.bits, f"{s.published:.2f}", f"{s.formula:.3f}", f"{s.arrays:,}", f"{s.file:,}", ratio


def main() -> None:
    """Prints the table, row by row as it is made."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="rows whose name contains this")
    parser.add_argument("--markdown", action="store_true", help="for a document")
    options = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    line = (
        "| {} | {} | {} | {} | {} | {} | {} |" if options.markdown else "{:26} {:>4} {:>12} {:>11} {:>13} {:>11} {:>15}"
    )
    print(line.format(*HEAD))
    if options.markdown:
        print("|---" + "|---:" * (len(HEAD) - 1) + "|")
    for row in (*PUBLISHED, IMAGENET):
        for bits in row.published if options.only in row.name else ():
            print(line.format(*_cells(sizes(row, bits))), flush=True)


if __name__ == "__main__":
    main()
