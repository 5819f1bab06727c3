"""What a model returns, as edges of the graph.

A first tensor of vectors with time steps becomes the mean over them: logits. One of maps, such as a picture, is made
vectors, row by row. Everything else stays as it is, and so do
sums over the steps so far and membranes.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.arrange import arrange, flatten, frames_of, natural
from spikelet.lowering.builder import Builder
from spikelet.lowering.other_steps import at_their_steps
from spikelet.lowering.pairs import as_flat, of_steps, summed
from spikelet.lowering.values import Int64, Source, Value


@dataclasses.dataclass(frozen=True, eq=False)
class Made:
    """A returned tensor.

    source: the edge of the output; `value`: the tensor's addresses in the edge before a sum over time, `whole`.
    """

    source: Source
    whole: Source
    value: Value


def outputs_of(b: Builder, values: list[Value]) -> list[Made]:
    """The outputs of the graph, logits first."""
    made: list[Made] = []
    for value in (at_their_steps(b, value) for value in values):
        one = _made(b, value, is_first=not made)
        made.append(_copied(b, one) if one.source.node in {m.source.node for m in made} else one)
    return made


def _copied(b: Builder, made: Made) -> Made:
    """The same output at a node of its own, as a tensor that is returned twice needs."""
    x, zeros = made.source, np.zeros(made.source.channels)
    copy = b.scaled(x, zeros.astype(np.int64) + 1, zeros.astype(np.int64), zeros, b.extra_name("output"), x.scale)
    return Made(copy, copy if made.whole is made.source else made.whole, made.value)


def _made(b: Builder, value: Value, is_first: bool) -> Made:
    edge, value = _edge(b, value)
    source = b.at_scale(edge, float(edge.scale.min()), "output")
    if source is not edge and value.source is None:
        value = Value(value.shape, None, value.addresses - edge.start + source.start)
    if is_first and not source.is_flat:
        source, value = _as_vectors(b, source, value)
    whole = source
    if is_first and source.is_flat and source.time != "summed" and not _is_running(b, source):
        source = summed(b, source, "logits")
        b.not_held.add(source.node)
    return Made(source, whole, value)


def _as_vectors(b: Builder, source: Source, value: Value) -> tuple[Source, Value]:
    """The edge flattened in the order of the tensor, and the tensor's addresses in it.

    Raises:
        LoweringError: the tensor has its elements in an order that can't be made.
    """
    if value.explicit is None:
        flat = flatten(b, source, "output")
        return flat, Value(value.shape, flat)
    inside = (value.explicit.numpy().reshape(-1, source.size) - source.start) % source.size
    if (inside != np.arange(source.size)).any():
        raise LoweringError(
            "output: gives the elements of its maps in another order than channels, rows, columns. Return [B, C, H, W] "
            "or [B, C, H * W], and move their axes outside."
        )
    flat = flatten(b, source, "output")
    return flat, Value(value.shape, None, value.explicit - source.start + flat.start)


def _is_running(b: Builder, source: Source) -> bool:
    """Whether it holds sums over the steps so far, each of which is an answer."""
    node = next(n for n in b.nodes if n.name == source.node)
    return bool(getattr(node, "running", False)) or isinstance(node, ir.Charge)


def _edge(b: Builder, value: Value) -> tuple[Source, Value]:
    """The edge that holds the tensor, and the tensor's addresses in it."""
    source = value.source
    if source is not None and value.is_plain:
        return source, value
    axes = _leading_axes(b, value)
    inner = value.shape[axes:]
    frames = frames_of(b, value.addresses.numpy().reshape(-1, *inner), "output")
    new, order = _arranged(b, frames.rest)
    addresses = new.start + frames.lead[:, None] * new.size + order.reshape(-1)
    covered = np.unique(frames.lead)
    _require_order(b, frames.lead)
    if len(covered) == len(frames.lead) == new.steps * new.batch:
        return new, Value(value.shape, None, torch.from_numpy(addresses).reshape(value.shape))
    if new.time != "steps" or len(covered) != len(frames.lead) or len(covered) != b.batch:
        raise LoweringError("output: must hold every time step of every sample once, or one step of each.")
    counts = (np.arange(b.time_steps) == covered[0] // b.batch).astype(np.int64)
    total = of_steps(b, new, counts, "output")
    inside = (addresses - new.start) % (b.batch * new.size)
    return total, Value(value.shape, None, torch.from_numpy(total.start + inside).reshape(value.shape))


def _require_order(b: Builder, lead: Int64) -> None:
    """Raises LoweringError where samples stand in another order than in the batch."""
    sample = (lead % b.batch)[np.argsort(lead // b.batch, kind="stable")]
    if (np.diff(sample) < 0).sum() >= len(np.unique(lead // b.batch)):
        raise LoweringError("output: gives the samples of the batch in another order; keep the order that they have.")


def _leading_axes(b: Builder, value: Value) -> int:
    """How many axes count time and samples: up to two."""
    places = b.sources.places(value.addresses)
    frame = places.step * b.batch + places.sample
    changes = [bool((frame != frame.take([0], axis)).any()) for axis in range(min(2, len(value.shape)))]
    if len(changes) < 2:
        return 1
    if b.batch == 1 and value.shape[1] == 1:  # the addresses of one sample don't show its axis; those of steps do
        has_time = changes[0] or (b.time_steps == value.shape[0] == 1 and len(value.shape) in (3, 5))
        return 2 if has_time and len(value.shape) > 2 else 1
    return 2 if changes[1] else 1


def _arranged(b: Builder, rest: Int64) -> tuple[Source, Int64]:
    """An edge of the elements `rest`, and where each stands in it."""
    if rest.ndim == 1:
        return as_flat(b, rest[:, None, None], "output"), np.arange(rest.size)
    if rest.ndim == 3:
        return arrange(b, rest, "output"), np.arange(rest.size)
    source, addresses = natural(b, Value(rest.shape, None, torch.from_numpy(rest)), "output")
    return source, addresses - source.start
