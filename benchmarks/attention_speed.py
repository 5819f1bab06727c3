"""Native time of attention in packed ESTs beside the first one's, measured in turns.

    python -m benchmarks.attention_speed whole.safetensors half.safetensors ... --images test.npy [--seconds 4]

Timed is the processor time of the operations between the spikes of q, k and v and those of their mix, one by one, all
blocks together, the mean over the first four images of the file (uint8 [N, *input shape]). The networks take turns in
five rounds, and the median round counts, so that a neighbour on the machine meets all of them.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spikelet import Program
from spikelet import load as load_graph
from spikelet.graph.ir import IntGraph
from spikelet.runtime.one_by_one import times

MIXED = ("matmul", "scale", "bias", "weights", "last")  # between the spikes of q, k and v, and those of their mix
TIMED = 4  # images
ROUNDS = 5


def microseconds(graphs: Sequence[IntGraph], images: NDArray[np.uint8], seconds: float) -> list[float]:
    """What the attentions of an image take in each network, in `seconds` a network."""
    xs = np.split(images[:TIMED], len(images[:TIMED]))
    programs = [Program(graph) for graph in graphs]
    rounds = [[_attention(program, xs, seconds / ROUNDS) for program in programs] for _ in range(ROUNDS)]
    return [statistics.median(taken) for taken in zip(*rounds, strict=True)]


def _attention(program: Program, xs: Sequence[NDArray[np.uint8]], seconds: float) -> float:
    return sum(one.microseconds for one in times(program, xs, seconds) if _is_mixed(one.node))


def _is_mixed(node: str) -> bool:
    _, found, part = node.rpartition("attention.")
    return bool(found) and part.startswith(MIXED)


def main() -> None:
    """Prints a line a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--images", type=Path, required=True, help="a .npy file of uint8 images [N, *input shape]")
    parser.add_argument("--seconds", type=float, default=4.0, help="time for each network")
    options = parser.parse_args()
    graphs = [load_graph(path) for path in options.networks]
    taken = microseconds(graphs, np.load(options.images), options.seconds)
    for path, us in zip(options.networks, taken, strict=True):
        print(f"{path.name}: attention {us:.0f} us, {100 * (1 - us / taken[0]):.1f} % less than the first")


if __name__ == "__main__":
    main()
