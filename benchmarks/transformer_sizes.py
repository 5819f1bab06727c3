"""BESTformer, QSD-Transformer, Spikformer: sizes and energies as published, beside true bytes and operations.

    python -m benchmarks.transformer_sizes [--only bestformer] [--images 2] [--data cifar10 --data-root FOLDER]

Weights are random, and batch norms have the statistics of the images: sizes do not depend on either, rates of spikes
do. Images of 32 x 32 pixels are those of a data set where one is named, others noise. Two tables, in Markdown:

sizes        Parameters; the paper's size, by its formula for the published precision; bytes in 32-bit floats; true
             bytes by arithmetic (codes at their bits, and the constants of the model's own layers); and of networks for
             32 x 32 pixels the packed file (`python -m benchmarks.large_models` lowers the larger ones).
operations   Means per image: dense multiply-accumulates, attention's too; accumulates by the papers' rule, where counts
             are spikes sent one by one; NS-ACE with the image in all T steps; energy by the QSD paper's formula; energy
             of integers (`horowitz_int`); and that of the dense network of equal bits.
"""

from __future__ import annotations

import argparse
import dataclasses

import torch
from torch import Tensor, nn

from spikelet.compression.passes import recalibrate
from spikelet.data import load
from spikelet.graph.file.artifact import dumps
from spikelet.lowering import lower
from spikelet.models import create_model
from spikelet.profiling import (
    Report,
    bestformer_megabytes,
    bestformer_ns_ace,
    profile,
    qsd_megabytes,
    qsd_millijoules_of,
    qsd_parameters,
)

SEED = 0
NO_FORMULA = "–"


@dataclasses.dataclass(frozen=True)
class Row:
    """A network of the tables.

    published: the size that its paper (or, of BESTformer, its released code) gives, as printed; empty for ours.
    side: of its images, in pixels.
    """

    model: str
    weight_bits: int
    published: str = ""
    side: int = 32
    channels: int = 3

    def build(self) -> nn.Module:
        """The network, with random weights."""
        return create_model(self.model, weight_bits=self.weight_bits)

    @property
    def name(self) -> str:
        """For the tables."""
        return f"{self.model}, {self.weight_bits} bit"


ROWS = (
    Row("bestformer_2_128", 1),
    Row("bestformer_4_384", 1, "1.315"),
    Row("bestformer_8_512", 1, "8.05", 224),
    Row("bestformer_2_256", 1, "", 128, 2),
    Row("spikformer_4_384", 4),
    Row("spikingformer_4_384", 4),
    Row("qsd_transformer_cifar", 4),
    Row("qsd_transformer_t", 4, "", 224),
    Row("qsd_transformer_s", 4, "1.8", 224),
    Row("qsd_transformer_m", 4, "3.9", 224),
    Row("qsd_transformer_l", 4, "6.8", 224),
)
SIZES = (
    "network",
    "parameters",
    "published MB",
    "paper's formula MB",
    "float32 bytes",
    "bytes",
    "file bytes",
    "file / bytes",
)
OPERATIONS = (
    *("network", "T", "MACs", "accumulates", "other MACs", "NS-ACE", "QSD's formula mJ"),
    *("integers uJ", "dense integers uJ", "dense bits"),
)


def formula(row: Row, model: nn.Module) -> str:
    """The paper's size in MB as it counts them; none for the baselines."""
    if row.model.startswith("bestformer"):
        return f"{bestformer_megabytes(model):.3f}"
    if row.model.startswith("qsd"):
        return f"{qsd_megabytes(qsd_parameters(model), row.weight_bits):.3f}"
    return NO_FORMULA


def images(row: Row, count: int, data: str | None, root: str | None) -> Tensor:
    """uint8 [count, C, side, side]."""
    if data is not None and (row.side, row.channels) == (32, 3):
        x, _ = load(data, root=root).test.spread(count).batch(torch.arange(count))
        return x
    generator = torch.Generator().manual_seed(SEED)
    return torch.randint(0, 256, (count, row.channels, row.side, row.side), dtype=torch.uint8, generator=generator)


def sizes(row: Row, model: nn.Module, report: Report, x: Tensor) -> tuple[str, ...]:
    """A row of the first table."""
    parameters = qsd_parameters(model)
    file = len(dumps(lower(model, x[:1]))) if row.side == 32 else None
    return (
        row.name,
        f"{parameters:,}",
        row.published or NO_FORMULA,
        formula(row, model),
        f"{4 * parameters:,}",
        f"{report.total.packed_bytes:,}",
        NO_FORMULA if file is None else f"{file:,}",
        NO_FORMULA if file is None else f"{file / report.total.packed_bytes:.3f}",
    )


def operations(row: Row, report: Report) -> tuple[str, ...]:
    """A row of the second table."""
    total, dense = report.total, report.baseline
    other = sum(layer.macs for layer in report.synapses if layer.unrolled_sops is None)
    return (
        row.name,
        str(report.time_steps),
        f"{total.macs / 1e6:,.1f} M",
        f"{(total.unrolled_sops or 0) / 1e6:,.1f} M",
        f"{other / 1e6:,.1f} M",
        f"{bestformer_ns_ace(report) / 1e6:,.1f} M",
        f"{qsd_millijoules_of(report):.4f}",
        *(
            f"{(energy or 0) / 1e6:.2f}"
            for energy in (total.energy_pj["horowitz_int"], dense.energy_pj["horowitz_int"])
        ),
        str(dense.activation_bits),
    )


def main() -> None:
    """Prints both tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", default="", help="networks whose name contains this")
    parser.add_argument("--images", type=int, default=2)
    parser.add_argument("--data", help="a data set of 32 x 32 images, for the networks that take them")
    parser.add_argument("--data-root")
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = []
    print(_line(SIZES), f"|---{'|---:' * (len(SIZES) - 1)}|", sep="\n", flush=True)
    for row in (row for row in ROWS if options.only in row.name):
        torch.manual_seed(SEED)
        x = images(row, options.images, options.data, options.data_root)
        model = row.build()
        recalibrate(model, [x])
        model.eval()
        report = profile(model, x)
        made.append(operations(row, report))
        print(_line(sizes(row, model, report, x)), flush=True)
    print("", _line(OPERATIONS), f"|---{'|---:' * (len(OPERATIONS) - 1)}|", *map(_line, made), sep="\n")


def _line(cells: tuple[str, ...]) -> str:
    return f"| {' | '.join(cells)} |"


if __name__ == "__main__":
    main()
