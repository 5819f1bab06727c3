"""What a synaptic operation takes by kernel, beside what it takes in the convolutions of the same network.

    python -m benchmarks.kernels [spikformer_4_384:1 est-cifar10 ...] [--kernels avx2] [--out kernels.json]

Counted is what a kernel really does for the image, which differs by kernel:

    all       every multiply-accumulate, zero or not       CONV_QUADS, CONV_BLOCKS, CONV_DEPTHWISE, MATMUL ...
    events    a weight, or a value of A, for each one of   CONV_ROWS, CONV_NIBBLES, CONV_SLICED, CONV_CUTS,
              the input (or of its planes of bits)         MATMUL_BITS

though CONV_SLICED and CONV_CUTS add a weight once for up to four steps, where that takes fewer rows.

Times are those of layers.py: one image, one thread, processor time of the kernel's operations in turns, what is fused
behind them (norm, sum, neuron) with them. The convolutions' figure is their time altogether over their operations
altogether; a kernel that takes more than three times as much is named.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from benchmarks.cases import FIRING, named, subject_of
from benchmarks.end_to_end import write
from benchmarks.roofline import events, values_read
from spikelet import Program
from spikelet.graph import ir
from spikelet.runtime.one_by_one import times
from spikelet.zoo import names

EVENTS = ("CONV_ROWS", "CONV_NIBBLES", "CONV_SLICED", "CONV_CUTS", "MATMUL_BITS")
ALL = ("CONV_VALUES", "CONV_PAIRS", "CONV_QUADS", "CONV_DEPTHWISE", "CONV_BLOCKS", "CONV_PLACES", "MATMUL")
SLOW = 3.0  # times the convolutions
CASES = (
    *("bestformer_4_384:1", "bestformer_4_384:4", "spikformer_4_384:1", "spikformer_4_384:4"),
    *("bestformer-cifar10", "qsd-transformer-cifar10", "est-cifar10"),
)
Layer = ir.Conv | ir.Linear | ir.Matmul


@dataclasses.dataclass(frozen=True)
class Kernel:
    """What the operations of one kernel take in a network, for one image and all steps.

    counted: "all" or "events".
    share: of the whole program's time.
    slower: times what the convolutions take an operation.
    """

    kind: str
    counted: str
    microseconds: float
    share: float
    operations: int
    slower: float

    @property
    def picoseconds(self) -> float:
        """What one synaptic operation takes, in picoseconds."""
        return 1e6 * self.microseconds / max(self.operations, 1)

    @property
    def is_slow(self) -> bool:
        """Whether an operation takes more than SLOW times what one of the convolutions does."""
        return self.slower > SLOW


def operations(node: Layer, kind: str, sources: Sequence[NDArray[np.int64]]) -> int:
    """The synaptic operations that a kernel does for its sources, each [T or 1, 1, ...]."""
    if kind not in EVENTS:
        return max(map(len, sources)) * node.work(*(x.shape[2:] for x in sources)).macs
    if isinstance(node, ir.Matmul):
        rows, _, _ = node.sizes(*(x.shape[2:] for x in sources))
        return int(np.bitwise_count(sources[1]).sum()) * rows * max(map(len, sources)) // len(sources[1])
    outputs = len(node.weight) // (node.groups if isinstance(node, ir.Conv) else 1)
    return events(node, sources[0]) * outputs


def kernels_of(graph: ir.IntGraph, x: NDArray[np.uint8], seconds: float, kernels: str = "auto") -> list[Kernel]:
    """Every kernel that has synapses, the one that takes most of the time first."""
    by_name = {node.name: node for node in graph.nodes}
    values = values_read(graph, x)
    timed = times(Program(graph, kernels=kernels), [x], seconds)
    whole = sum(one.microseconds for one in timed)
    taken: dict[str, float] = collections.defaultdict(float)
    done: dict[str, int] = collections.defaultdict(int)
    convolved, in_convolutions = 0.0, 0
    for one in timed:
        node = by_name.get(one.node)
        if one.kind not in (*EVENTS, *ALL) or not isinstance(node, Layer):
            continue
        count = operations(node, one.kind, [values[name] for name in node.inputs])
        taken[one.kind] += one.microseconds
        done[one.kind] += count
        if isinstance(node, ir.Conv):
            convolved, in_convolutions = convolved + one.microseconds, in_convolutions + count
    usual = convolved / max(in_convolutions, 1)
    return [
        Kernel(kind, _counted(kind), us, us / whole, done[kind], us / max(done[kind], 1) / usual)
        for kind, us in sorted(taken.items(), key=lambda item: -item[1])
    ]


def _counted(kind: str) -> str:
    return "events" if kind in EVENTS else "all"


def tables(words: Iterable[str], args: argparse.Namespace) -> list[dict[str, Any]]:
    """Measures every case and prints a line a kernel; returns what JSON holds of them."""
    return [_table(word, args) for word in words]


def _table(word: str, args: argparse.Namespace) -> dict[str, Any]:
    subject = subject_of(word, {}, None if word in names() else FIRING)
    found = kernels_of(subject.graph, subject.batch(1).numpy(), args.seconds, args.kernels)
    print(f"\n{word}: one image, one thread")
    for one in found:
        named_slow = ", slow" if one.is_slow else ""
        print(
            f"  {one.kind:15s} {one.microseconds:9.1f} us ({one.share:.0%}), {one.operations:14,} operations "
            f"({one.counted}), {one.picoseconds:6.1f} ps each, {one.slower:.1f} times the convolutions{named_slow}",
            flush=True,
        )
    made = [_with_figures(one) for one in found]
    used = Program(subject.graph, kernels=args.kernels).kernels
    network = {"model": subject.name, "options": subject.options, "firing": subject.firing, "set": used}
    return network | {"kernels": made}


def _with_figures(kernel: Kernel) -> Mapping[str, Any]:
    figures = {"picoseconds": round(kernel.picoseconds, 2), "slower": round(kernel.slower, 2)}
    rounded = {"microseconds": round(kernel.microseconds, 2), "share": round(kernel.share, 4)}
    return dataclasses.asdict(kernel) | rounded | figures | {"is_slow": kernel.is_slow}


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="*", default=CASES, metavar="model[:bits] or shipped")
    parser.add_argument("--kernels", default="auto", help="a kernel set, such as avx2; the machine's unless given")
    parser.add_argument("--seconds", type=float, default=6.0, help="time for each case")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON, such as results/kernels.json")
    args = parser.parse_args()
    for word in args.cases:
        if word not in names():
            named(word)  # so that a wrong one is refused before anything is measured
    write(args.out, tables(args.cases, args))


if __name__ == "__main__":
    main()
