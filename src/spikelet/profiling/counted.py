"""What the edges of a graph held while the reference ran some samples: counted, then let go.

The reference holds every edge of a batch at once. So samples run as many at a time as its limit allows, and only
these sums stay.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import values_of
from spikelet.graph import ir
from spikelet.graph.edge import Edge
from spikelet.graph.file.limits import reference_bytes
from spikelet.graph.reference import Reference, time_first

Int64 = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Counted:
    """Sums over all samples, by node name.

    samples: how many ran.
    steps: time steps of each edge: T, or 1 of a still one.
    events: values that are not zero.
    sums: of all values.
    pairs: of each product, pairs of values that were multiplied and are both not zero.
    """

    samples: int
    steps: Mapping[str, int]
    events: Mapping[str, int]
    sums: Mapping[str, int]
    pairs: Mapping[str, int]


def counted(reference: Reference, x: NDArray[np.uint8], products: Sequence[ir.Operation]) -> Counted:
    """The sums of all samples of `x`, [B, ...] or [T, B, ...].

    Raises:
        GraphError: `x` does not fit the graph, or one sample would take more than the reference's `max_bytes`.
    """
    frames = time_first(x, reference.graph)
    steps: dict[str, int] = {}
    events, sums, pairs = Counter[str](), Counter[str](), Counter[str]()
    for some in _parts(reference, frames):
        values = reference.edges(some)
        steps = {name: len(value) for name, value in values.items()}
        events.update({name: np.count_nonzero(value) for name, value in values.items()})
        sums.update({name: int(value.sum()) for name, value in values.items()})
        pairs.update({node.name: _pairs(node, [values[name] for name in node.inputs]) for node in products})
    return Counted(frames.shape[1], steps, events, sums, pairs)


def dense(node: ir.Operation, edges: Mapping[str, Edge]) -> int:
    """Pairs of one step and sample of a product if no value were zero; those with padding are left out."""
    ones = [np.ones((1, 1, *edges[name].shape), np.int64) for name in node.inputs]
    present = _present(node)
    return int(_ran(_of_zeros_and_ones(node, None if present is None else np.ones_like(present)), ones).sum())


def _parts(reference: Reference, frames: NDArray[np.uint8]) -> Iterator[NDArray[np.uint8]]:
    """The samples of [1 or T, B, ...], as many at a time as the reference takes; one where it takes none."""
    graph = reference.graph
    size = max(1, reference.max_bytes // reference_bytes(graph.nodes, graph.time_steps, 1))
    for i in range(0, frames.shape[1], size):
        some = frames[:, i : i + size]
        yield some[0] if len(some) == 1 else some


def _pairs(node: ir.Operation, sources: Sequence[Int64]) -> int:
    events = [(x != 0).astype(np.int64) for x in sources]
    present = _present(node)
    if present is not None:  # linear in what it reads: all samples and steps at once
        events = [events[0].sum((0, 1), keepdims=True)]
    return int(_ran(_of_zeros_and_ones(node, present), events).sum())


def _present(node: ir.Operation) -> NDArray[np.bool_] | None:
    """Weights that are not zero; None for a product of two edges."""
    weight: Any = getattr(node, "weight", None)
    if weight is None:
        return None
    return values_of(weight, node.bits, node.grid) != 0  # type: ignore[attr-defined]


def _of_zeros_and_ones(node: ir.Operation, present: NDArray[np.bool_] | None) -> ir.Operation:
    """The node with weights of 0 and 1; itself where it has no weights."""
    if present is None:
        return node
    return dataclasses.replace(node, weight=present.astype(np.int8), bits=2, grid="symmetric")  # type: ignore[call-arg]


def _ran(node: ir.Operation, sources: Sequence[Int64]) -> Int64:
    steps = max(x.shape[0] for x in sources)
    return node.advance(*sources, steps=range(steps), state=None)[0]
