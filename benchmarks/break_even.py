"""The mean value at which lists of events and multiplication take the same time, by kernel and kernel set.

    python -m benchmarks.break_even [--kernels portable avx2] [--bits 1 4 8] [--seconds 0.3]

What CONV_QUADS and CONV_BLOCKS take does not depend on the values; what a list takes is a + b * mean. Two means, 0.1
and 0.8 of Poisson's distribution, give a and b of every kernel that reads lists, and

    break-even = (the faster of the two - a) / b.

Layers of counts, T = 1, one image and thread, processor time of the layer's own operation. The costs
of the kernel sets (src/spikelet/runtime/plan/costs.py) are read off this table.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Iterator

import numpy as np

from spikelet.base.codes import Codes, w_range
from spikelet.graph import ir
from spikelet.runtime import Program
from spikelet.runtime.one_by_one import times
from spikelet.runtime.plan import plan_of
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.synapses import MOST_COUNTS, READS_EVENTS

SHAPES = (  # inputs, outputs, kernel, side
    (32, 32, 3, 16), (64, 64, 3, 16), (128, 64, 1, 8), (128, 256, 3, 8), (384, 48, 1, 8), (384, 384, 1, 8),
    (384, 1536, 1, 8), (256, 10, 1, 1),
)  # fmt: skip
MEANS = (0.1, 0.8)
PRODUCTS = (Kind.CONV_QUADS, Kind.CONV_BLOCKS)


def graph_of(inputs: int, outputs: int, kernel: int, side: int, bits: int) -> ir.IntGraph:
    """A layer "c" of random codes that reads counts."""
    rng, shape = np.random.default_rng(0), (outputs, inputs, kernel, kernel)
    low, high = (-1, 0) if bits == 1 else w_range(bits, "symmetric")
    codes: Codes = rng.integers(low, high + 1, shape).astype(np.int8)
    one, none = np.ones(1, np.int32), np.zeros(1, np.int32)
    counts = ir.Affine("v", ("x",), one, np.zeros(1, np.uint8), none, (0, MOST_COUNTS))
    layer = ir.Conv("c", ("v",), codes, bits, (1, 1), (kernel // 2, kernel // 2), 1)
    last = ir.Flatten("f", ("c",)), ir.SumTime("logits", ("f",))
    nodes = (ir.Input("x", (), (inputs, side, side)), counts, layer, *last)
    return ir.IntGraph(nodes, 1, (ir.Output("logits", 1.0),))


def microseconds(graph: ir.IntGraph, kernels: str, kind: Kind, mean: float, seconds: float) -> float:
    """What the layer takes by `kind` where values have that mean."""
    values = np.random.default_rng(1).poisson(mean, (1, *graph.input.shape)).clip(0, MOST_COUNTS).astype(np.uint8)
    program = Program(graph, kernels=kernels, choices={"c": kind})
    return statistics.fmean(one.microseconds for one in times(program, [values], seconds) if one.node == "c")


def measured(kernels: str, bits: int, seconds: float) -> Iterator[tuple[Kind, tuple[int, ...], float, float, float]]:
    """Every kernel that reads lists and shape: what multiplication takes, what lists take at the first mean, the
    break-even."""
    for shape in SHAPES:
        graph = graph_of(*shape, bits)
        able = next(op.candidates for op in plan_of(graph, kernels).operations if op.node == "c")
        multiplied = min(microseconds(graph, kernels, kind, MEANS[0], seconds) for kind in PRODUCTS)
        for kind in (kind for kind in able if kind in READS_EVENTS):
            few, many = (microseconds(graph, kernels, kind, mean, seconds) for mean in MEANS)
            slope = max((many - few) / (MEANS[1] - MEANS[0]), 1e-9)
            yield kind, shape, multiplied, few, (multiplied - few) / slope + MEANS[0]


def main() -> None:
    """Measures and prints a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kernels", nargs="+", default=["portable", "avx2"])
    parser.add_argument("--bits", nargs="+", type=int, default=[1, 4, 8])
    parser.add_argument("--seconds", type=float, default=0.3, help="time for each layer and kernel")
    args = parser.parse_args()
    print(
        "| kernels | bits | kernel | inputs, outputs, side of kernel and map | multiplied us | lists us | break-even |"
    )
    print("| --- " * 7 + "|")
    for kernels in args.kernels:
        for bits in args.bits:
            for kind, shape, multiplied, few, even in measured(kernels, bits, args.seconds):
                where = ", ".join(map(str, shape))
                print(
                    f"| {kernels} | {bits} | {kind.name} | {where} | {multiplied:.1f} | {few:.1f} | {even:.2f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
