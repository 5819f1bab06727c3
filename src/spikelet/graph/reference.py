"""Runs a graph by the meaning of its operations (`Operation.advance`), in NumPy: right, not fast.

Arrays are [T or 1, B, ...] int64; a time axis of 1 is a still edge, or one that SumTime has added up. Every value is
inside int32, as `analysis.analyse` has proved, so no backend's 32-bit arithmetic can differ.
"""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import ArrayLike, NDArray

from spikelet.base.errors import GraphError
from spikelet.base.whole import whole
from spikelet.graph.analysis import analyse, reads_later_nodes, reason_to_end
from spikelet.graph.edge import Edge, Int64
from spikelet.graph.file.limits import reference_bytes
from spikelet.graph.fingerprint import fingerprint
from spikelet.graph.graph import IntGraph
from spikelet.graph.ops.lif import Lif
from spikelet.graph.ops.operation import State

MAX_BATCH = 2**31 - 1
MAX_BYTES = 2**33


class Reference:
    """Runs a graph: `Reference(graph)(x)` gives int32 logits [B, K], or [T, B, K] where they have a time axis.

    x: uint8 [B, *input shape] (the same image every step) or [T, B, *input shape] (frames), an array or a CPU tensor of
    any strides; no other type is converted. Python sees Ctrl-C between operations.
    max_bytes: the most memory that a call may take; every edge of every step and sample is held at once.

    Example:
        >>> graph = spikelet.load("qsnn-vgg-s-fashion-mnist")
        >>> images = np.zeros((1, 1, 28, 28), np.uint8)
        >>> np.array_equal(spikelet.Reference(graph)(images), spikelet.Program(graph)(images))
        True

    Raises:
        GraphError: the graph has no meaning; of a call: `x` does not fit, or would take more than `max_bytes`.
    """

    def __init__(self, graph: IntGraph, *, max_bytes: int = MAX_BYTES) -> None:
        self.graph, self.max_bytes = graph, whole(max_bytes, "max_bytes", 1)
        self._edges = analyse(graph)

    def __repr__(self) -> str:
        return f"Reference({self.graph.in_short()})"

    def __call__(self, x: ArrayLike) -> NDArray[np.int32]:
        """Integer logits [B, K], or [T, B, K] of every step."""
        return self.outputs(x)[self.graph.output.name]

    def spikes(self, x: ArrayLike) -> dict[str, NDArray[np.uint8]]:
        """Spikes [T, B, ...] of every Lif, by node name."""
        edges = self.edges(x)
        return {n.name: edges[n.name].astype(np.uint8) for n in self.graph.of_type(Lif)}

    def outputs(self, x: ArrayLike) -> dict[str, NDArray[np.int32]]:
        """Every output by node name: int32 [T, B, ...], or [B, ...] of one that has been summed over time."""
        edges, t = self.edges(x), self.graph.time_steps
        return {o.node: as_output(edges[o.node], self._edges[o.node], t) for o in self.graph.outputs}

    def edges(self, x: ArrayLike) -> dict[str, Int64]:
        """Every edge's values by node name, [T or 1, B, ...]."""
        frames = time_first(x, self.graph)
        require_room(self.graph, self.graph.time_steps, frames.shape[1], self.max_bytes)
        every = self._edges_of(_at_least_one(frames))
        return {name: values[:, : frames.shape[1]] for name, values in every.items()}

    def _edges_of(self, frames: Int64) -> dict[str, Int64]:
        t = self.graph.time_steps
        if not reads_later_nodes(self.graph):
            return advance(self.graph, frames, range(t), {})[0]
        state: States = {}
        every: list[dict[str, Int64]] = []
        for i in range(t):
            values, state = advance(
                self.graph, frames[i : i + 1] if len(frames) > 1 else frames, range(i, i + 1), state
            )
            every.append(values)
        return {
            name: np.concatenate([v[name] for v in every]) if edge.timed else every[-1][name]
            for name, edge in self._edges.items()
        }

    def stream(self) -> ReferenceStream:
        """The same graph, some steps at a time."""
        return ReferenceStream(self.graph, self._edges, self.max_bytes)


def require_room(graph: IntGraph, steps: int, batch: int, max_bytes: int) -> None:
    """Raises GraphError where so many steps and samples would take the reference more than `max_bytes`."""
    needed = reference_bytes(graph.nodes, steps, batch)
    if needed > max_bytes:
        raise GraphError(
            f"the reference takes up to {needed} bytes for {batch} sample(s) of {steps} steps, max_bytes allows "
            f"{max_bytes}. Run fewer samples at once, or pass a larger max_bytes if you trust the graph."
        )


States = dict[str, State]


@dataclasses.dataclass(frozen=True, eq=False)
class Progress:
    """Where a stream stands: the number of steps taken, the batch, the state of every node that has one, and the
    fingerprint of the graph that it belongs to."""

    step: int
    batch: int
    states: States
    graph: str


class ReferenceStream:
    """Runs a graph some steps at a time; the caller keeps the state.

    state = stream.start(batch); y, state = stream(x, state)    x: uint8 [steps, B, *input shape], any number of steps
    """

    def __init__(self, graph: IntGraph, edges: dict[str, Edge], max_bytes: int) -> None:
        self.graph, self._edges, self._max_bytes = graph, edges, max_bytes
        self._one_by_one = reads_later_nodes(graph)
        self._fingerprint = fingerprint(graph)

    def start(self, batch: int) -> Progress:
        """The state before the first step.

        Raises:
            GraphError: `batch` is not a whole number from 0 on.
        """
        return Progress(0, whole(batch, "batch", 0, MAX_BATCH), {}, self._fingerprint)

    def __call__(self, x: ArrayLike, state: Progress) -> tuple[NDArray[np.int32], Progress]:
        """The first output after these steps, and the state to go on from: the sum so far [B, ...] where it is a sum
        over time, else its steps [steps, B, ...].

        Raises:
            GraphError: `x` is not uint8 [steps, B, *input shape], goes beyond the steps that the graph may take, or
                would take more than `max_bytes`.
        """
        if not isinstance(state, Progress):
            raise GraphError(f"state must be one that this stream made, got {type(state).__name__}.")
        if state.graph != self._fingerprint:
            raise GraphError("state must be one that this stream made, got one of another graph.")
        frames = _at_least_one(next_steps(x, self.graph, self._edges, state.batch, state.step))
        require_room(self.graph, len(frames), frames.shape[1], self._max_bytes)
        name, states = self.graph.outputs[0].node, dict(state.states)
        results, size = [], 1 if self._one_by_one else max(len(frames), 1)
        for i in range(0, len(frames), size):
            steps = range(state.step + i, state.step + min(i + size, len(frames)))
            values, states = advance(self.graph, frames[i : i + size], steps, states)
            results.append(as_output(values[name][:, : state.batch], self._edges[name], len(steps)))
        y = np.concatenate(results) if self._edges[name].timed else results[-1]
        return y, Progress(state.step + len(frames), state.batch, states, self._fingerprint)


def next_steps(x: ArrayLike, graph: IntGraph, edges: dict[str, Edge], batch: int, taken: int) -> NDArray[np.uint8]:
    """`x`, the frames after `taken` steps.

    Raises:
        GraphError: `x` is not uint8 [steps, batch, *input shape], or of more steps than `graph` may still take.
    """
    array = _bytes(x)
    if array.shape[1:] != (batch, *graph.input.shape) or not array.shape[0]:
        wanted = ", ".join(map(str, (batch, *graph.input.shape)))
        raise GraphError(f"x must be uint8 of shape [steps, {wanted}], got {array.dtype} {array.shape}.")
    if taken + len(array) > graph.time_steps and (reason := reason_to_end(graph, edges)):
        raise GraphError(
            f"x has {len(array)} steps after {taken} of {graph.time_steps}; {reason}. Start anew, or lower the model "
            "with more time steps."
        )
    return array


def advance(graph: IntGraph, x: Int64, steps: range, states: States) -> tuple[dict[str, Int64], States]:
    """Values of every node at `steps`, and the states after them.

    A node that reads a later one is given that node's values of the step before, zeros at first; `steps` is then one.
    """
    values: dict[str, Int64] = {graph.input.name: x}
    after: States = {}
    waiting = []
    for node in graph.nodes[1:]:
        if any(name not in values for name in node.inputs):
            before = states.get(node.name)
            values[node.name] = np.zeros((1, x.shape[1], *node.output_shape()), np.int64) if before is None else before
            waiting.append(node)
            continue
        sources = (values[name] for name in node.inputs)
        y, after[node.name] = node.advance(*sources, steps=steps, state=states.get(node.name))
        values[node.name] = y if y.shape[1] == x.shape[1] else np.broadcast_to(y, (len(y), x.shape[1], *y.shape[2:]))
    for node in waiting:
        after[node.name] = values[node.inputs[0]]
    return values, after


def as_output(values: Int64, edge: Edge, steps: int) -> NDArray[np.int32]:
    """An edge's values as they leave: [steps, B, ...] of a timed edge, else [B, ...]."""
    every = np.broadcast_to(values, (steps, *values.shape[1:])) if edge.timed else values[0]
    return every.astype(np.int32)


def _at_least_one(frames: NDArray[np.uint8]) -> Int64:
    """[T or 1, B, ...] as int64; where B is 0, of one sample: an operation may not know an empty batch."""
    some = frames if frames.shape[1] else np.zeros((len(frames), 1, *frames.shape[2:]), np.uint8)
    return some.astype(np.int64)


def _bytes(x: ArrayLike) -> NDArray[np.uint8]:
    """`x`, an array or tensor of uint8, as an array; nothing is converted."""
    try:
        array = np.asarray(x)
    except (ValueError, TypeError, RuntimeError) as error:  # ragged lists, tensors of another device
        kind = f"{type(x).__module__}.{type(x).__qualname__}"
        raise GraphError(f"x must be an array or a CPU tensor of uint8, got a {kind}: {error}") from None
    if array.dtype != np.uint8:
        raise GraphError(f"x must be uint8, got {array.dtype}. (Pixels 0..255 or event counts, as in training.)")
    return array


def time_first(x: ArrayLike, graph: IntGraph) -> NDArray[np.uint8]:
    """`x` as [T or 1, B, ...]; the one check of a program's input.

    Raises:
        GraphError: `x` is not uint8, or of another shape.
    """
    shape, t = graph.input.shape, graph.time_steps
    array = _bytes(x)
    if array.shape[1:] == shape:
        return array[None]
    if array.shape[2:] == shape and array.shape[0] == t:
        return array
    sizes = ", ".join(map(str, shape))
    raise GraphError(f"x must have shape [B, {sizes}] or [{t}, B, {sizes}], got {array.shape}.")
