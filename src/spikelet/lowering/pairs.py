"""Two tensors that are joined element by element, and the edges of one layout that hold them.

The layout is that of the tensor with more elements; the other is brought into it, with a dimension of 1 where it is the
same along one.
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.arrange import arrange, explicit, flatten, natural, numbers_at, times_of
from spikelet.lowering.builder import Builder
from spikelet.lowering.other_steps import at_the_later_step
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Int64, Source, StepSum, Value

Numbers = NDArray[np.float64]


@dataclasses.dataclass(frozen=True, eq=False)
class Pair:
    """Two edges of one layout.

    left, right: what the first and the second tensor became; real numbers [C, H, W] or [F] where one is a constant.
    whole: the one that has all elements; a tensor's element at `inner` of a frame, at the frame `frame` (None: both
        count up).
    """

    left: Source | Numbers
    right: Source | Numbers
    whole: Source
    frame: Int64 | None
    inner: Int64 | None

    @property
    def sources(self) -> tuple[Source, ...]:
        """Those that are no constants."""
        return tuple(x for x in (self.left, self.right) if isinstance(x, Source))

    def made(self, new: Source, shape: tuple[int, ...]) -> Value:
        """The tensor of `shape` with the elements of `new`, an edge of the layout."""
        if self.frame is None or self.inner is None:
            return Value(shape, new)
        addresses = np.broadcast_to(new.start + self.frame * new.size + self.inner, shape)
        return Value(shape, None, torch.from_numpy(np.array(addresses)))


def paired(b: Builder, call: Call, left: Value | Tensor, right: Value | Tensor) -> Pair:
    """The edges of two tensors, one of which may be a constant, whose shapes PyTorch broadcasts.

    Raises:
        LoweringError: their elements stand in orders that can't be matched.
    """
    where, shape = call.named("joined"), tuple(call.output.shape)
    quick = _of_one_shape(left, right, shape)
    if quick is not None:
        return quick
    values = [v if isinstance(v, Value) else Value(tuple(v.shape), None, b.constant(v)) for v in (left, right)]
    values = _at_one_time(b, call, at_the_later_step(b, values))
    order = (0, 1) if _elements(b, values[0]) >= _elements(b, values[1]) else (1, 0)
    try:
        with b.attempt():
            return _paired(b, call, values, order, natural(b, values[order[0]], where))
    except LoweringError:
        if values[order[0]].source is not None or values[order[0]].shape != shape:
            raise
        return _paired(b, call, values, order, explicit(b, values[order[0]], where))


def _paired(b: Builder, call: Call, values: list[Value], order: tuple[int, int], layout: tuple[Source, Int64]) -> Pair:
    """The pair in the layout of the first in `order`, an edge and the tensor's addresses in it."""
    (whole, addresses), shape = layout, tuple(call.output.shape)
    first = np.broadcast_to(addresses, shape)
    second = np.broadcast_to(values[order[1]].addresses.numpy(), shape)
    inner = (first - whole.start) % whole.size
    frame, rest = _frames(b, call, first, second)
    other = _other(b, call, whole, inner, rest)
    sides = (whole, other) if order == (0, 1) else (other, whole)
    return Pair(*sides, whole, frame, inner)


def _of_one_shape(left: Value | Tensor, right: Value | Tensor, shape: tuple[int, ...]) -> Pair | None:
    """Two whole edges of the same shape, in their own order."""
    if not (isinstance(left, Value) and isinstance(right, Value) and left.source and right.source):
        return None
    a, c = left.source, right.source
    if a.shape != c.shape or ("summed" in (a.time, c.time) and a.time != c.time):
        return None
    whole, value = (a, left) if a.steps >= c.steps else (c, right)
    if value.shape != shape or not all(v.is_plain or v.shape == shape for v in (left, right)):
        return None
    return Pair(a, c, whole, None, None)


def _elements(b: Builder, value: Value) -> int:
    """Elements of one frame; constants count for nothing, as a layout can't be theirs."""
    if value.source is not None:
        return value.source.size
    places = b.sources.places(value.addresses)
    traced = np.array([*(s.constant is None for s in b.sources.all), False])
    return len(np.unique(places.rest[traced[places.source]]))


def _frames(b: Builder, call: Call, first: Int64, second: Int64) -> tuple[Int64, Int64]:
    """The frame (step * B + sample) of each element, and the second tensor's address within it."""
    places = [b.sources.places(a) for a in (first, second)]
    all_sources = [*b.sources.all, None]  # the last stands for the constant zero
    moves = [np.array([s is not None and s.constant is None for s in all_sources])[p.source] for p in places]
    steps = [np.array([s is not None and s.time == "steps" for s in all_sources])[p.source] for p in places]
    both = moves[0] & moves[1]
    if (both & (places[0].sample != places[1].sample)).any():
        raise LoweringError(f"{call.place}: joins different samples of the batch.")
    if (steps[0] & steps[1] & (places[0].step != places[1].step)).any():
        raise LoweringError(
            f"{call.place}: joins different time steps. Join tensors of all T steps: what came before is "
            "torch.cat([torch.zeros_like(x[:1]), x[:-1]]) of [T, B, ...]."
        )
    sample = np.where(moves[0], places[0].sample, places[1].sample)
    step = np.where(steps[0], places[0].step, np.where(steps[1], places[1].step, 0))
    return step * b.batch + sample, places[1].rest


def _other(b: Builder, call: Call, whole: Source, inner: Int64, rest: Int64) -> Source | Numbers:
    """The second tensor in the layout of `whole`."""
    table = np.zeros(whole.size, np.int64)
    table[inner.reshape(-1)] = rest.reshape(-1)
    if (table[inner] != rest).any():
        shapes = " and ".join(str(tuple(t.shape)) for t in call.read)
        raise LoweringError(
            f"{call.place}: can't join tensors of shapes {shapes}: neither holds an element for each of the result's, "
            "or a constant changes over time or over the batch."
        )
    smallest = _reduced(table.reshape(whole.map))
    if all(b.sources.all[i].constant is not None for i in b.sources.places(smallest).used):
        numbers = numbers_at(b, smallest)
        return numbers.reshape(-1) if whole.is_flat else numbers
    return as_flat(b, smallest, call.named("joined")) if whole.is_flat else arrange(b, smallest, call.named("joined"))


def _reduced(table: Int64) -> Int64:
    """`table` [C, H, W] with 1 for a dimension along which it is the same."""
    for axis in range(3):
        first = table.take([0], axis)
        table = first if (table == first).all() else table
    return table


def as_flat(b: Builder, rest: Int64, where: str) -> Source:
    """A vector (F,) of the elements `rest` [F, 1, 1]."""
    source = b.sources.at(int(rest.max()))
    if source.is_flat and np.array_equal(rest.reshape(-1), source.start + np.arange(source.size)):
        return source
    inner = rest.reshape(-1) - source.start
    if np.array_equal(inner, np.arange(source.size)):
        return flatten(b, source, where)
    return flatten(b, arrange(b, rest, where), where)


# --- sums over time and what has none ---------------------------------------------------------------


def more_steps(b: Builder, left: Value | Tensor, right: Value | Tensor, where: str) -> Value | None:
    """The sum of two tensors that are steps of one edge, or sums of such steps; None where they aren't.

    So a loop that adds up its answers makes one sum over time.
    """
    if not (isinstance(left, Value) and isinstance(right, Value)) or left.shape != right.shape:
        return None
    one, other = _as_steps(b, left), _as_steps(b, right)
    if one is None or other is None:
        return None
    (first, inside), (second, where_inside) = one, other
    if first.x is not second.x or not np.array_equal(inside, where_inside):
        return None
    total = of_steps(b, first.x, first.counts + second.counts, where)
    return Value(left.shape, None, torch.from_numpy(total.start + inside))


def _as_steps(b: Builder, value: Value) -> tuple[StepSum, Int64] | None:
    """The steps of an edge whose sum a tensor is, and where its elements lie in a frame of them."""
    addresses = value.addresses.numpy()
    used = b.sources.places(addresses).used
    source = b.sources.all[used[0]] if len(used) == 1 else None
    if source is None or source.constant is not None or addresses.min() < source.start:
        return None
    if source.start in b.step_sums:
        return b.step_sums[source.start], addresses - source.start
    times = times_of(b, value)
    if source.time != "steps" or len(times) != 1:
        return None
    counts = (np.arange(b.time_steps) == next(iter(times))).astype(np.int64)
    return StepSum(source, counts), (addresses - source.start) % (source.batch * source.size)


def summed(b: Builder, x: Source, where: str) -> Source:
    """The mean of `x` over all time steps, as a sum and a scale; itself where it is one."""
    if x.time == "summed":
        return x
    key = ("summed", x.node, x.start)
    if key not in b.arranged:
        node = ir.SumTime(b.extra_name(where), (x.node,))
        b.arranged[key] = b.append(node, x.shape, x.scale / b.time_steps, "summed", x.kinds)
    return b.arranged[key]


def of_steps(b: Builder, x: Source, counts: Int64, where: str) -> Source:
    """The sum of the steps of `x`, each `counts[t]` times, at the scale of `x`."""
    if (counts == counts[0]).all():
        total = b.rescaled(summed(b, x, where), x.scale * counts[0])
    else:
        zeros = np.zeros((b.time_steps, 1))
        name = b.extra_name(f"{where}.steps")
        masked = b.scaled(x, counts[:, None], zeros.astype(np.int64), zeros, name, x.scale)
        total = b.rescaled(summed(b, masked, where), x.scale)
    b.step_sums[total.start] = StepSum(x, counts)
    return total


def _at_one_time(b: Builder, call: Call, values: list[Value]) -> list[Value]:
    """`values`, made sums over time where they are of different single steps, or one is a sum already."""
    times = [times_of(b, v) for v in values]
    different = all(len(t) == 1 and t != {"still"} and t != {"summed"} for t in times) and times[0] != times[1]
    if not different and {"summed"} not in times:
        return values
    return [v if t in ({"summed"}, set()) else _as_sum(b, call, v, t) for v, t in zip(values, times, strict=True)]


def _as_sum(b: Builder, call: Call, value: Value, times: set[str | int]) -> Value:
    if len(times) != 1:
        raise LoweringError(f"{call.place}: can't add a tensor with a time axis to a mean over time.")
    (time,) = times
    source, addresses = natural(b, value, call.named("time"))
    if time == "still":
        total = summed(b, source, call.named("time"))
    else:
        counts = (np.arange(b.time_steps) == time).astype(np.int64)
        total = of_steps(b, source, counts, call.named("time"))
    inside = (addresses - source.start) % (b.batch * source.size)
    return Value(value.shape, None, torch.from_numpy(total.start + inside))
