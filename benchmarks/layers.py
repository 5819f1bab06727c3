"""What every layer of a native program costs: nanoseconds a synaptic operation, and which layers cost far more.

    python -m benchmarks.layers spikformer_4_384:1 [bestformer_4_384:1 ...] [--seconds 10] [--out layers.json]

The operations of a program's plan run one after the other, each in a native call of its own, on the arena that the
ones before have filled: every one does once, on what it really reads, what it does in the whole program. Its time is
the median over the rounds of one image, in processor time less that of a call without operations, and the mean over
images.

    ns per synaptic operation  =  time of the operation / synaptic operations of its node

Synaptic operations are those that the profile counts: a value that is not zero meets a weight that is not zero; in a
product of two edges, two such values meet. What is fused behind (batch norm, sum, neuron) is in the time. A layer is
named "slow" where it takes more than 3 times what the median convolution of the network does. Operations without
synapses (pools, neurons that several layers read, sums) have no such figure and are added up by their kind.

Attention is what lies between the spikes of q, k and v and their mix, of one block and all steps, beside
torch.matmul of the same shapes in fp32: as often as the network multiplies.
"""

from __future__ import annotations

import argparse
import collections
import dataclasses
import statistics
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from benchmarks.cases import FIRING, calibrated, images, named
from benchmarks.end_to_end import write
from spikelet.graph import ir
from spikelet.lowering import lower
from spikelet.profiling import profile_graph
from spikelet.profiling.layers import SynapseLayer
from spikelet.runtime import Program
from spikelet.runtime.one_by_one import Timed, times

IMAGES = 4
SLOW = 3.0  # times the median convolution
MIX = ".mix."  # of the names of what lies between q, k, v and what they make of each other (nn/attention.py)


@dataclasses.dataclass(frozen=True)
class Layer:
    """A layer with synapses, for one image and all steps."""

    name: str
    kernel: str
    microseconds: float
    synaptic_operations: float
    slower: float  # times the median convolution

    @property
    def nanoseconds(self) -> float:
        """Nanoseconds that one synaptic operation takes."""
        return 1e3 * self.microseconds / max(self.synaptic_operations, 1.0)


def layers(graph: ir.IntGraph, timed: Sequence[Timed], x: NDArray[np.uint8]) -> list[Layer]:
    """The layers with synapses, in order: their nodes' operations, and the mean synaptic operations of `x`."""
    counted = {
        layer.name: layer.neurobench.effective_acs + layer.neurobench.effective_macs
        for layer in profile_graph(graph, x, tables=()).layers
        if isinstance(layer, SynapseLayer)
    }
    microseconds: dict[str, float] = collections.defaultdict(float)
    kernels: dict[str, list[str]] = collections.defaultdict(list)
    for one in timed:
        microseconds[one.node] += one.microseconds
        kernels[one.node].append(one.kind)
    found = [
        Layer(name, " + ".join(dict.fromkeys(kernels[name])), microseconds[name], sops, 0.0)
        for name, sops in counted.items()
    ]
    convolutions = {node.name for node in graph.of_type(ir.Conv)}
    median = statistics.median(layer.nanoseconds for layer in found if layer.name in convolutions)
    return [dataclasses.replace(layer, slower=layer.nanoseconds / median) for layer in found]


def attention(graph: ir.IntGraph, timed: Sequence[Timed], seconds: float) -> dict[str, dict[str, float]]:
    """Microseconds of each block's attention, natively and as matrix products of the same shapes in PyTorch."""
    native: dict[str, float] = collections.defaultdict(float)
    for one in timed:
        if MIX in one.node:
            native[one.node.partition(MIX)[0]] += one.microseconds
    products: dict[str, list[ir.Matmul]] = collections.defaultdict(list)
    for node in graph.of_type(ir.Matmul):
        products[node.name.partition(MIX)[0]].append(node)
    shapes = _shapes(graph)
    return {
        block: {
            "native": native[block],
            "torch": sum(_product_microseconds(graph, node, shapes, seconds) for node in nodes),
        }
        for block, nodes in products.items()
        if block in native
    }


def _shapes(graph: ir.IntGraph) -> dict[str, tuple[int, ...]]:
    shapes: dict[str, tuple[int, ...]] = {}
    for node in graph.nodes:
        shapes[node.name] = node.output_shape(*(shapes[name] for name in node.inputs))
    return shapes


@torch.no_grad()
def _product_microseconds(
    graph: ir.IntGraph, node: ir.Matmul, shapes: dict[str, tuple[int, ...]], seconds: float
) -> float:
    """torch.matmul of [T * heads, R, K] and [T * heads, K, S] on one thread."""
    r, k, s = node.sizes(*(shapes[name] for name in node.inputs))
    torch.set_num_threads(1)
    a, b = (torch.ones(graph.time_steps * node.heads, *size) for size in ((r, k), (k, s)))
    taken: list[int] = []
    end = time.perf_counter() + seconds
    while len(taken) < 5 or time.perf_counter() < end:
        start = time.thread_time_ns()
        torch.matmul(a, b)
        taken.append(time.thread_time_ns() - start)
    return statistics.median(taken) / 1e3


def tables(words: Sequence[str], seconds: float) -> list[dict[str, Any]]:
    """Measures every case and prints its layers as a Markdown table; returns what JSON holds of them."""
    return [_table(word, seconds) for word in words]


def _table(word: str, seconds: float) -> dict[str, Any]:
    name, options = named(word)
    model = calibrated(name, options, FIRING)
    x = images(name, IMAGES, torch.Generator().manual_seed(1))
    axis = 0 if x.dim() == 5 else None
    graph = lower(model, x, time_axis=axis)
    samples = [part.numpy() for part in x.split(1, dim=0 if axis is None else 1)]
    timed = times(Program(graph), samples, seconds)
    found, blocks = layers(graph, timed, x.numpy()), attention(graph, timed, seconds / 20)
    synaptic = {layer.name for layer in found}
    rest: dict[str, float] = collections.defaultdict(float)
    for one in timed:
        if one.node not in synaptic:
            rest[one.kind] += one.microseconds
    _print(word, found, rest, blocks)
    return {
        "model": name,
        "options": options,
        "layers": [dataclasses.asdict(one) | {"nanoseconds": one.nanoseconds} for one in found],
        "without_synapses": dict(rest),
        "attention": blocks,
    }


def _print(word: str, found: list[Layer], rest: dict[str, float], blocks: dict[str, dict[str, float]]) -> None:
    print(f"\n{word}: one image, one thread, all steps\n")
    print("| layer | kernel | us | synaptic operations | ns each | times the median convolution |")
    print("| --- " * 6 + "|")
    for one in found:
        slow = f"**{one.slower:.1f}, slow**" if one.slower > SLOW else f"{one.slower:.1f}"
        print(
            f"| {one.name} | {one.kernel} | {one.microseconds:.1f} | {one.synaptic_operations:,.0f} | "
            f"{one.nanoseconds:.3f} | {slow} |"
        )
    print("\nWithout synapses: " + ", ".join(f"{kind} {us:.1f} us" for kind, us in sorted(rest.items())) + ".")
    for block, us in blocks.items():
        print(f"Attention of {block}: {us['native']:.1f} us, torch.matmul {us['torch']:.1f} us.")


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("cases", nargs="+", metavar="model[:bits]")
    parser.add_argument("--seconds", type=float, default=10.0, help="time for each case")
    parser.add_argument("--out", type=Path, help="where the figures go as JSON")
    args = parser.parse_args()
    write(args.out, tables(args.cases, args.seconds))


if __name__ == "__main__":
    main()
