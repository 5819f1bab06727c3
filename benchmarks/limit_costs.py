"""What one sample costs at the default `max_operations`, operation by operation, on every kernel set.

    python -m benchmarks.limit_costs [--runs 3]

Each network is one operation in a shape that is dear for what is counted (few channels, groups of one, windows, many
inputs), behind what makes its input. The least processor time of a few runs, divided by what the limit counts of the
network, times the limit: the seconds that a file of nothing but this may take. Prints a Markdown table.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np

from spikelet.graph import ir
from spikelet.graph.file.limits import OPERATIONS, operations
from spikelet.runtime import Program, kernel_sets

STEPS = 4
Nodes = tuple[ir.Operation, ...]


def _input(c: int, h: int, w: int) -> Nodes:
    return (ir.Input("x", (), (c, h, w)),)


def _spikes(c: int, h: int, w: int) -> Nodes:
    return *_input(c, h, w), _lif("s", "x")


def _lif(name: str, source: str, levels: int = 1) -> ir.Lif:
    return ir.Lif(name, (source,), 1, 1, 1, 20, "hard", None, levels)


def _conv(source: str, o: int, i: int, kernel: int, groups: int = 1) -> ir.Conv:
    codes = np.random.default_rng(0).integers(-100, 101, (o, i, kernel, kernel)).astype(np.int8)
    return ir.Conv("y", (source,), codes, 8, (1, 1), (kernel // 2, kernel // 2), groups)


def _linear(source: str, o: int, i: int) -> ir.Linear:
    return ir.Linear("y", (source,), np.random.default_rng(0).integers(-100, 101, (o, i)).astype(np.int8), 8)


def _affine(channels: int, steps: int = 1) -> ir.Affine:
    constants = (
        np.full((steps, channels), value, kind) for value, kind in ((3, np.int32), (1, np.uint8), (0, np.int32))
    )
    return ir.Affine("y", ("x",), *constants)


def _positions(size: int) -> np.ndarray:
    return np.random.default_rng(0).permutation(size * size).reshape(size, size).astype(np.int32)


NETWORKS: dict[str, Callable[[], Nodes]] = {
    "conv 3x3, 64 to 64, spikes": lambda: (*_spikes(64, 32, 32), _conv("s", 64, 64, 3)),
    "conv 3x3, 64 to 64, bytes": lambda: (*_input(64, 32, 32), _conv("x", 64, 64, 3)),
    "conv 1x1, 1 to 1": lambda: (*_spikes(1, 256, 256), _conv("s", 1, 1, 1)),
    "conv 1x1, 512 groups": lambda: (*_spikes(512, 32, 32), _conv("s", 512, 1, 1, 512)),
    "conv 5x5, 256 groups": lambda: (*_spikes(256, 32, 32), _conv("s", 256, 1, 5, 256)),
    "conv 3x3 after sumpool 2": lambda: (*_spikes(64, 32, 32), ir.SumPool("p", ("s",), (2, 2)), _conv("p", 64, 64, 3)),
    "linear 4096 to 1024": lambda: (*_spikes(4096, 1, 1), ir.Flatten("f", ("s",)), _linear("f", 1024, 4096)),
    "linear after sumpool 64": lambda: (
        *_spikes(1, 256, 256), ir.SumPool("p", ("s",), (64, 64)), ir.Flatten("f", ("p",)), _linear("f", 256, 16)),
    "affine, 64 channels": lambda: (*_input(64, 64, 64), _affine(64)),
    "affine by step, 1 channel": lambda: (*_input(1, 256, 256), _affine(1, STEPS)),
    "add of 4, 64 channels": lambda: (*_input(64, 64, 64), ir.Mul("m", ("x", "x")), ir.Add("y", ("m",) * 4)),
    "add of 4, 1 channel": lambda: (*_input(1, 256, 256), ir.Mul("m", ("x", "x")), ir.Add("y", ("m",) * 4)),
    "lif, 64 channels": lambda: _spikes(64, 64, 64),
    "lif, 1 channel": lambda: _spikes(1, 512, 512),
    "lif of 255 levels, 1 channel": lambda: (*_input(1, 256, 256), _lif("y", "x", 255)),
    "maxpool 3, spikes of 1 channel": lambda: (*_spikes(1, 256, 256), ir.MaxPool("y", ("s",), (3, 3), (1, 1), (1, 1))),
    "maxpool 2, values": lambda: (*_input(64, 64, 64), ir.MaxPool("y", ("x",), (2, 2), (2, 2), (0, 0))),
    "sumpool 4, values": lambda: (*_input(8, 256, 256), ir.SumPool("y", ("x",), (4, 4))),
    "sumtime of spikes, 1 channel": lambda: _spikes(1, 512, 512),
    "running sumtime": lambda: (*_spikes(64, 64, 64), ir.SumTime("y", ("s",), True)),
    "flatten, read in order": lambda: (*_spikes(64, 64, 64), ir.Flatten("f", ("s",)), ir.Mul("y", ("f", "f"))),
    "channelmap, shuffled": lambda: (
        *_spikes(512, 32, 32),
        ir.ChannelMap("y", ("s",), np.random.default_rng(0).permutation(512).astype(np.int16), 1)),
    "channelmap of 64 inputs": lambda: (
        *_spikes(1, 128, 128), ir.ChannelMap("y", ("s",) * 64, np.zeros(1, np.int16), 1)),
    "gather, shuffled, 1 channel": lambda: (*_spikes(1, 256, 256), ir.Gather("y", ("s",), _positions(256))),
    "gather of 64 inputs": lambda: (*_spikes(1, 128, 128), ir.Gather("y", ("s",) * 64, _positions(128))),
    "matmul, heads of one": lambda: (
        *_spikes(4, 128, 128), ir.Matmul("y", ("s", "s"), 4, (False, True), (1, 1))),
    "matmul, outer": lambda: (*_spikes(1, 1, 1024), ir.Matmul("y", ("s", "s"), 1, (True, False), (1, 1024))),
    "mul, 64 channels": lambda: (*_input(64, 64, 64), ir.Mul("y", ("x", "x"))),
    "constant, added": lambda: (
        *_input(1, 256, 256), ir.Constant("k", (), np.ones((1, 256, 256), np.int32)), ir.Add("y", ("x", "k"))),
    "delay": lambda: (*_spikes(64, 64, 64), ir.Delay("y", ("s",), (64, 64, 64))),
}  # fmt: skip


def graph_of(nodes: Nodes) -> ir.IntGraph:
    """The network, its last map flattened where it is one and summed over time."""
    last = nodes[-1].name
    if not isinstance(nodes[-1], (ir.Linear, ir.Mul)) or nodes[-1].inputs[0] != "f":
        nodes, last = (*nodes, ir.Flatten("flat", (last,))), "flat"
    return ir.IntGraph.of_logits((*nodes, ir.SumTime("logits", (last,))), STEPS, 1.0)


def seconds(program: Program, x: np.ndarray, runs: int) -> float:
    """The least processor time of a call."""
    times = []
    for _ in range(runs):
        start = time.process_time()
        program(x)
        times.append(time.process_time() - start)
    return min(times)


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=3, help="calls, of which the least counts (default: 3)")
    runs = parser.parse_args().runs
    sets = [kernels.name for kernels in kernel_sets()]
    print(f"| seconds a sample at max_operations = {OPERATIONS} |", " | ".join(sets), "|")
    print("| --- |" + " --- |" * len(sets))
    for name, nodes in NETWORKS.items():
        graph = graph_of(nodes())
        x = np.random.default_rng(0).integers(0, 256, (STEPS, 1, *graph.input.shape)).astype(np.uint8)
        often = OPERATIONS / operations(graph.nodes, STEPS)
        cells = [f"{often * seconds(Program(graph, kernels=kernels), x, runs):.1f}" for kernels in sets]
        print(f"| {name} |", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
