"""Memory and time that a file will need, known before any of it is taken.

    kept        the arrays of every node, once as they are and once as they lie in memory to run (weights: rows padded
                to 32 outputs), 16 bytes a channel of an edge (its interval), 4 bytes a value of an edge (one sample,
                one time step)
    passing     for the largest node: 48 bytes an element, of weights 48 MiB at most and twice the array (they are
                looked at part by part), 128 bytes a channel and input (unpacking, analysis)
    operations  T times what every node does: its steps, as often as a value that it reads stands for several (a
                convolution after a sumpool of spikes), one for every value that it reads, and one for every value that
                it makes, once more for every further input; channels padded to 8, as they lie in memory

A network's own weights take 24 bytes of memory for each of their file's at most (1 bit becomes a byte, and two as
kernels read them), and 16 more pass: `memory_for` allows a file that, and what any network's maps may take.

A 100-byte file can describe an input of 65536 x 65536 pixels, or a convolution that runs for a day; these sums refuse
them. They ask the very nodes that `analyse` will ask, with arrays that take no memory.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.graph.edge import Shape, padded
from spikelet.graph.ops.operation import Operation
from spikelet.graph.ops.synapses import PART

LANES = 8  # values of a map's pixel, at least
MEMORY, MEMORY_A_BYTE = 2**32, 64
OPERATIONS = 2**36  # four minutes at most on the slowest kernels
OPERATIONS_A_BYTE = 2**16  # 2^13 uses of a 1-bit weight, as 64 time steps over a map of 12 x 12 make


def shapes_of(nodes: Sequence[Operation]) -> dict[str, Shape]:
    """The sample shape of each node's output; of a node that `analyse` will refuse, any."""
    shapes: dict[str, Shape] = {}
    for node in nodes:
        shapes[node.name] = node.output_shape(*sources_of(node, shapes))
    return shapes


def footprint(nodes: Sequence[Operation]) -> int:
    """Bytes that loading the nodes takes, at most; Python integers, so no size can wrap."""
    kept = passing = 0
    shapes = shapes_of(nodes)
    for node in nodes:
        shape, arrays = shapes[node.name], node.arrays
        channels = shape[0] if shape else 1
        kept += sum(a.size * a.itemsize for a in arrays) + 4 * math.prod(shape) + 16 * channels
        kept += node.laid_out(*sources_of(node, shapes))
        passing = max(passing, sum(map(_passing, arrays)) + 128 * channels * max(len(node.inputs), 1))
    return kept + passing


def _passing(array: NDArray[Any]) -> int:
    """Bytes that unpacking an array and deriving bounds from it takes; int8 arrays are weights."""
    return 48 * min(array.size, PART) + 2 * array.size if array.dtype == np.int8 else 48 * array.size


def memory_for(size: int) -> int:
    """The bytes that a file of `size` bytes may ask for, unless its reader is told otherwise."""
    return max(MEMORY, MEMORY_A_BYTE * size)


def operations_for(size: int) -> int:
    """The operations a sample that a file of `size` bytes may ask for, unless its reader is told otherwise."""
    return max(OPERATIONS, OPERATIONS_A_BYTE * size)


def laid_out(nodes: Sequence[Operation]) -> dict[str, int]:
    """Bytes of each node's weights and constants as they lie in memory when it runs, at most."""
    shapes = shapes_of(nodes)
    return {node.name: node.laid_out(*sources_of(node, shapes)) for node in nodes}


def reference_bytes(nodes: Sequence[Operation], steps: int, batch: int) -> int:
    """Bytes that the reference takes for so many steps and samples, at most: 8 a value of every edge, held till the
    end, and of what passes in the largest node."""
    shapes = shapes_of(nodes)
    held = sum(map(math.prod, shapes.values()))
    return 8 * steps * batch * (held + max(node.passing(*sources_of(node, shapes)) for node in nodes))


def operations(nodes: Sequence[Operation], time_steps: int) -> int:
    """Multiply-accumulates, additions, comparisons and values of one sample through all steps, at most."""
    shapes, stands_for = shapes_of(nodes), {node.name: node.stands_for() for node in nodes}
    room: dict[str, int] = {}  # values of an edge as they lie in memory
    total = 0
    for node in nodes:
        shape, sources = shapes[node.name], sources_of(node, shapes)
        size, work = math.prod(shape), node.steps(*sources)
        room[node.name] = size if not shape else size // max(shape[0], 1) * padded(shape[0], LANES)
        for name in node.inputs if len(shape) == 1 else ():
            if math.prod(shapes.get(name, ())) == size:  # a vector may lie as the map that it was flattened from
                room[node.name] = max(room[node.name], room.get(name, 0))
                stands_for[node.name] = max(stands_for[node.name], stands_for[name])
        often = max((stands_for.get(name, 1) for name in node.inputs), default=1)
        made, read = room[node.name], sum(room.get(name, 0) for name in node.inputs)
        total += -(-work * often * made // max(size, 1)) + made * max(len(node.inputs), 1) + read
    return time_steps * total


def sources_of(node: Operation, shapes: dict[str, Shape]) -> list[Shape]:
    """Shapes of what `node` reads; (1,) of what is missing, or comes later."""
    known = [shapes.get(name, (1,)) for name in node.inputs]
    return known + [(1,)] * (node.arity[0] - len(known))
