"""Native time of attention in packed ESTs beside the first one's, measured in turns.

    python -m benchmarks.attention_speed whole.safetensors half.safetensors ... --images test.npy [--seconds 4]

Timed is the processor time of the operations between the spikes of q, k and v and those of their mix, one by one, all
blocks together, the mean over the first four images of the file (uint8 [N, *input shape]). The networks take turns in
five rounds, and the median round counts, so that a neighbour on the machine meets all of them. Beside it stands the
same with the layers and neurons that make q, k and v, of which those of left-out heads and channels are left out too.
"""

from __future__ import annotations

import argparse
import dataclasses
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
MADE = ("query", "key", "value")  # the layers and neurons that make these spikes
TIMED = 4  # images
ROUNDS = 5


@dataclasses.dataclass(frozen=True)
class Attention:
    """What the attentions of an image take, in microseconds: what mixes q, k and v, and what makes them."""

    mixed: float
    made: float

    @property
    def both(self) -> float:
        """From what the layers of q, k and v read to the spikes of the mix."""
        return self.mixed + self.made


def attention_times(
    graphs: Sequence[IntGraph], images: NDArray[np.uint8], seconds: float, kernels: str = "auto"
) -> list[Attention]:
    """What the attentions of an image take in each network, in `seconds` a network; the machine's set, or `kernels`."""
    xs = np.split(images[:TIMED], len(images[:TIMED]))
    programs = [Program(graph, kernels=kernels) for graph in graphs]
    rounds = [[_attention(program, xs, seconds / ROUNDS) for program in programs] for _ in range(ROUNDS)]
    return [_median(taken) for taken in zip(*rounds, strict=True)]


def _median(taken: Sequence[Attention]) -> Attention:
    return Attention(*(statistics.median(getattr(one, name) for one in taken) for name in ("mixed", "made")))


def _attention(program: Program, xs: Sequence[NDArray[np.uint8]], seconds: float) -> Attention:
    timed = times(program, xs, seconds)
    mixed, made = (sum(one.microseconds for one in timed if _is_of(one.node, parts)) for parts in (MIXED, MADE))
    return Attention(mixed, made)


def _is_of(node: str, parts: tuple[str, ...]) -> bool:
    _, found, part = node.rpartition("attention.")
    return bool(found) and part.startswith(parts)


def main() -> None:
    """Prints a line a network."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="+", type=Path)
    parser.add_argument("--images", type=Path, required=True, help="a .npy file of uint8 images [N, *input shape]")
    parser.add_argument("--seconds", type=float, default=4.0, help="time for each network")
    parser.add_argument("--kernels", default="auto", help="a kernel set, such as avx2; the machine's unless given")
    options = parser.parse_args()
    graphs = [load_graph(path) for path in options.networks]
    taken = attention_times(graphs, np.load(options.images), options.seconds, options.kernels)
    for path, one in zip(options.networks, taken, strict=True):
        print(
            f"{path.name}: attention {one.mixed:.0f} us, {100 * (1 - one.mixed / taken[0].mixed):.1f} % less than the "
            f"first; with q, k and v {one.both:.0f} us, {100 * (1 - one.both / taken[0].both):.1f} % less"
        )


if __name__ == "__main__":
    main()
