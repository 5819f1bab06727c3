"""Instructions of every shipped network on AArch64, by kernel set and kernel, counted while the processor is emulated.

    python -m benchmarks.aarch64_instructions [--compiler aarch64-linux-gnu-gcc] [MODEL ...]

One image: noise of squares of eight pixels, seed 0. Instructions are no cycles, but the same on every machine; what
they tell is whether a kernel written for a processor does what a compiler does not.
"""

from __future__ import annotations

import argparse
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import unicorn
from numpy.typing import NDArray

import spikelet
from benchmarks.on_aarch64 import Library, Machine, build, install
from spikelet.export.emulation.native import Watch
from spikelet.graph import ir
from spikelet.runtime.one_by_one import OneByOne

SETS = ("portable", "neon", "dotprod")
SQUARE = 8


def image(graph: ir.IntGraph) -> NDArray[np.uint8]:
    """Noise [1, C, H, W] of large squares."""
    channels, *sides = graph.input.shape
    squares = np.random.default_rng(0).integers(
        0, 256, (1, channels, *(-(-side // SQUARE) for side in sides)), np.uint8
    )
    return squares.repeat(SQUARE, 2).repeat(SQUARE, 3)[:, :, : sides[0], : sides[1]]


def instructions(graph: ir.IntGraph, kernels: str, watch: Watch) -> Counter[str]:
    """How many each kernel takes for one image."""
    found: Counter[str] = Counter()
    x = image(graph)
    steps = OneByOne(spikelet.Program(graph, kernels=kernels), x)
    for i, operation in enumerate(steps.plan.operations):
        before = watch.code_bytes
        steps.call(i, 1)()
        found[operation.kind.name] += (watch.code_bytes - before) // 4
    return found


def main() -> None:
    """Prints a table of every network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", default=spikelet.zoo.names())
    parser.add_argument("--compiler", help="a GCC for AArch64; Zig's clang unless told")
    parser.add_argument("--program", type=Path, help="what benchmarks.on_aarch64 built before")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        compiler = (args.compiler, "-fno-stack-protector") if args.compiler else ()
        machine = Machine(args.program or build(Path(folder), compiler=compiler))
    install(Library(machine, SETS))
    watch = Watch(unicorn, machine.uc)
    print(f"| network | kernel | {' | '.join(SETS)} |\n| --- | --- | {' | '.join(['---:'] * len(SETS))} |")
    for name in args.models:
        graph = spikelet.load(name)
        by_set = {kernels: instructions(graph, kernels, watch) for kernels in SETS}
        kinds = sorted({kind for one in by_set.values() for kind in one}, key=lambda kind: -by_set["portable"][kind])
        for kind in kinds:
            print(f"| | {kind} | {' | '.join(f'{one[kind]:,}' for one in by_set.values())} |")
        print(f"| {name} | all | {' | '.join(f'{one.total():,}' for one in by_set.values())} |", flush=True)


if __name__ == "__main__":
    main()
