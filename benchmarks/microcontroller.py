"""Instructions an inference on an emulated Cortex-M: shipped spiking networks beside int8 ones of their shape.

    python -m benchmarks.microcontroller --cifar10 data/cifar10 --out results/microcontroller

writes DIR/table.json and DIR/table.png, and prints the table. Everything is counted by `spikelet.export.emulation` in
the same run, built by the same clang with -Os and with -O2, whichever gives fewer instructions; nothing is timed, so
that the numbers are the same on every machine. The spiking networks run test images at their own firing rates, and all
outputs are compared with the reference's. The twin (int8_twin.py) is plain C without a vendor's kernels and runs once;
its work depends on no input. Published constants of MLPerf Tiny's ResNet-8 stand beside both, marked as published:
other weights, another network, vendor kernels. An instruction is not a cycle.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import spikelet
from benchmarks.int8_twin import expected, twin
from benchmarks.record import command, commit
from spikelet.base.table import Table
from spikelet.data import load
from spikelet.export.c.project import written
from spikelet.export.c.selftest import outputs_of
from spikelet.export.emulation.build import build, link
from spikelet.export.emulation.counting import Machine
from spikelet.export.emulation.thumb import TABLE_OF
from spikelet.graph import ir

CORES = ("cortex-m4", "cortex-m3")
FLAGS = ("-Os", "-O2")
FROM_PUBLISHED = "published: "


@dataclasses.dataclass(frozen=True)
class Row:
    """One network on one core: bytes of flash and RAM, and instructions an inference (None: not published)."""

    network: str
    core: str
    instructions: float
    cycles: float | None
    flash: int | None
    ram: int | None
    flags: str = ""
    images: int = 0


# MLPerf Tiny's ResNet-8 in int8 (98,496 bytes, 85 % of CIFAR-10's own test images) on CMSIS-NN.
PUBLISHED = (
    Row(f"{FROM_PUBLISHED}MLPerf Tiny ResNet-8, CMSIS-NN with DSP", "cortex-m4", 29.84e6, None, 98_496, None),
    Row(f"{FROM_PUBLISHED}MLPerf Tiny ResNet-8, CMSIS-NN in C", "cortex-m3", 41.75e6, None, 98_496, None),
)


def spiking(name: str, graph: ir.IntGraph, images: NDArray[np.uint8], core: str) -> Row:
    """The mean over images, all outputs compared with the reference's."""
    model, reference = written(graph), spikelet.Reference(graph)
    rows = []
    for flags in FLAGS:
        with tempfile.TemporaryDirectory() as place:
            machine = Machine(build(model, Path(place), core, more=(flags,)), core)
        counted = []
        for x in images:
            out, _ = machine.call(machine.elf.entry, x.tobytes(), 4 * model.sizes.run_outputs)
            if not np.array_equal(np.frombuffer(out, "<i4"), outputs_of(model, reference.outputs(x[None]), last=False)):
                raise AssertionError(f"{name} gives other outputs on {core} than the reference.")
            counted.append(machine.tally())
        instructions, cycles = (statistics.fmean(one[i] for one in counted) for i in (0, 1))
        cycles = cycles if core == TABLE_OF else None
        rows.append(Row(name, core, instructions, cycles, machine.elf.loaded, machine.elf.cleared, flags, len(images)))
    return min(rows, key=lambda row: row.instructions)


def int8(name: str, graph: ir.IntGraph, core: str) -> Row:
    """The twin's row; its outputs are compared with NumPy's."""
    sources, entry = twin(graph)
    channels, height, width = graph.input.shape
    x = np.random.default_rng(1).integers(-128, 128, (height, width, channels)).astype(np.int8)
    right, rows = expected(graph, x), []
    for flags in FLAGS:
        with tempfile.TemporaryDirectory() as place:
            for path, text in sources.items():
                (Path(place) / path).write_text(text)
            names = [path for path in sources if path.endswith(".c")]
            machine = Machine(link(Path(place), names, entry, core, more=(flags,)), core)
        out, _ = machine.call(machine.elf.entry, x.tobytes(), 4 * (len(right) + -len(right) % 4))
        if not np.array_equal(np.frombuffer(out, "<i4")[: len(right)], right):
            raise AssertionError(f"the int8 twin of {name} gives other outputs on {core} than NumPy.")
        elf = machine.elf
        instructions, estimated = machine.tally()
        cycles = estimated if core == TABLE_OF else None
        rows.append(Row(f"int8 of the shape of {name}", core, instructions, cycles, elf.loaded, elf.cleared, flags))
    return min(rows, key=lambda row: row.instructions)


def table(rows: Sequence[Row]) -> Table:
    """All rows as text."""
    return Table(
        ("network", "core", "instructions [M]", "cycles [M], estimated", "flash [B]", "RAM [B]", "flags"),
        tuple(
            (
                row.network, row.core, f"{row.instructions / 1e6:.2f}",
                "-" if row.cycles is None else f"{row.cycles / 1e6:.2f}",
                "-" if row.flash is None else f"{row.flash:,}",
                "-" if row.ram is None else f"{row.ram:,}", row.flags or "-",
            )
            for row in rows
        ),
    )  # fmt: skip


def main() -> None:
    """Counts, prints the table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    shipped = [f"qsnn-vgg-{size}-cifar10" for size in ("xxs", "xs", "96k", "s")]
    parser.add_argument("models", nargs="*", default=shipped)
    parser.add_argument("--cifar10", type=Path, default=Path("data/cifar10"))
    parser.add_argument("--images", type=int, default=4)
    parser.add_argument("--cores", nargs="+", default=CORES, choices=CORES)
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args()
    images = load("cifar10", root=args.cifar10).test.spread(args.images).x.numpy()
    rows = []
    for name in args.models:
        graph = spikelet.load(name)
        for core in args.cores:
            ours, theirs = spiking(name, graph, images, core), int8(name, graph, core)
            rows += [ours, theirs]
            print(f"{name}, {core}: {theirs.instructions / ours.instructions:.2f} times fewer instructions", flush=True)
    rows += [row for row in PUBLISHED if row.core in args.cores]
    print(table(rows).text())
    save(rows, args.out)


def save(rows: Sequence[Row], folder: Path) -> None:
    """The rows as JSON, and their plot."""
    folder.mkdir(parents=True, exist_ok=True)
    document = {"command": command(), "commit": commit(), "rows": [dataclasses.asdict(row) for row in rows]}
    (folder / "table.json").write_text(json.dumps(document, indent=2) + "\n")
    draw(rows, folder / "table.png")


def draw(rows: Sequence[Row], path: Path) -> None:
    """Instructions as bars, by core; published ones hatched."""
    import matplotlib.pyplot as plt

    names = list(dict.fromkeys((row.network, row.core) for row in rows))
    figure, axes = plt.subplots(figsize=(8, 0.5 * len(names) + 1.2), layout="constrained")
    for i, row in enumerate(rows):
        is_published = row.network.startswith(FROM_PUBLISHED)
        axes.barh(i, row.instructions / 1e6, color="0.75" if is_published else f"C{i % 2}", hatch="//" * is_published)
        axes.text(row.instructions / 1e6, i, f" {row.instructions / 1e6:.1f}", va="center")
    axes.set_yticks(range(len(names)), [f"{network}\n{core}" for network, core in names], fontsize="small")
    axes.invert_yaxis()
    axes.margins(x=0.12)
    axes.set_xlabel("million instructions an inference, emulated")
    figure.savefig(path, dpi=120)
    plt.close(figure)


if __name__ == "__main__":
    main()
