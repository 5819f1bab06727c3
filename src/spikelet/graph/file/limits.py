"""Memory and time that a file will need, known before any of it is taken.

    kept        the arrays of every node, 16 bytes a channel of an edge (its interval), 4 bytes a value of an edge (one
                sample, one time step)
    passing     for the largest node: 48 bytes an element, 128 bytes a channel and input (unpacking, analysis)
    operations  T times the work of every node, and one for every value that it makes

A 100-byte file can describe an input of 65536 x 65536 pixels, or a convolution that runs for a day; these sums refuse
them. They ask the very nodes that `analyse` will ask, with arrays that take no memory.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np

from spikelet.graph.edge import Shape
from spikelet.graph.ops.operation import Operation


def shapes_of(nodes: Sequence[Operation]) -> dict[str, Shape]:
    """The sample shape of each node's output; of a node that `analyse` will refuse, any."""
    shapes: dict[str, Shape] = {}
    for node in nodes:
        shapes[node.name] = node.output_shape(*_sources(node, shapes))
    return shapes


def footprint(nodes: Sequence[Operation]) -> int:
    """Bytes that loading the nodes takes, at most; Python integers, so no size can wrap."""
    kept = passing = 0
    shapes = shapes_of(nodes)
    for node in nodes:
        shape, arrays = shapes[node.name], _arrays(node)
        channels = shape[0] if shape else 1
        kept += sum(a.size * a.itemsize for a in arrays) + 4 * math.prod(shape) + 16 * channels
        passing = max(passing, 48 * sum(a.size for a in arrays) + 128 * channels * max(len(node.inputs), 1))
    return kept + passing


def operations(nodes: Sequence[Operation], time_steps: int) -> int:
    """Multiply-accumulates, additions, comparisons and values of one sample through all steps, at most."""
    shapes = shapes_of(nodes)
    return time_steps * sum(node.work(*_sources(node, shapes)).total + math.prod(shapes[node.name]) for node in nodes)


def _sources(node: Operation, shapes: dict[str, Shape]) -> list[Shape]:
    """Shapes of what `node` reads; (1,) of what is missing, or comes later."""
    known = [shapes.get(name, (1,)) for name in node.inputs]
    return known + [(1,)] * (node.arity[0] - len(known))


def _arrays(node: Operation) -> list[np.ndarray]:
    values = (getattr(node, field.name) for field in dataclasses.fields(node))
    return [v for v in values if isinstance(v, np.ndarray)]
