"""Whether a model without some channels still does what it did: call by call, from one run before and one after.

Code may take numbers from shapes, such as heads = width // 2 or a scale 1 / sqrt(width), so that a smaller network runs
and computes something else. Compared are what was called, the shapes that the units left predict, and the numbers given
to every function that does not merely move values.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.base.time_axis import TimeAxis
from spikelet.compression.channels.layers import is_leaf
from spikelet.compression.channels.zeros import MOVES
from spikelet.compression.execution import few_samples
from spikelet.lowering.trace import Call, trace


@dataclasses.dataclass(frozen=True)
class Step:
    """A call: what and where, the shape made, the numbers given."""

    what: str
    shape: tuple[int, ...]
    numbers: tuple[Any, ...]

    def __str__(self) -> str:
        given = f" given {', '.join(map(str, self.numbers))}" if self.numbers else ""
        return f"{self.what}{given}, which makes {list(self.shape)},"


def steps_of(model: nn.Module, example: Tensor, time_axis: TimeAxis) -> list[Step]:
    """What a few samples of `example` go through; raises what the model raises."""
    calls = trace(model, few_samples(example, time_axis), is_leaf).calls
    return [_step(call) for call in calls]


def _step(call: Call) -> Step:
    is_move = isinstance(call.target, str) and call.target in MOVES  # given sizes, which follow the channels
    numbers = () if is_move else tuple(_numbers([*call.args, call.kwargs]))
    return Step(call.place, tuple(call.output.shape), numbers)


def _numbers(tree: Any) -> Iterator[Any]:
    if isinstance(tree, (tuple, list)):
        for item in tree:
            yield from _numbers(item)
    elif isinstance(tree, dict):
        yield from _numbers(list(tree.values()))
    elif isinstance(tree, int | float):
        yield tree


def check_same(before: Sequence[Step], after: Sequence[Step], values: Sequence[Tensor], units: Tensor) -> None:
    """Compares the model's steps with those of the model without `units`.

    Args:
        values: the units along the axes of what each step made before (`Channels.values`).
    Raises:
        CompressionError: names the first step that is another.
    """
    for old, new, held in zip(before, after, values, strict=False):
        shape = tuple(_left(size, axis, held, units) for axis, size in enumerate(old.shape))
        if new != dataclasses.replace(old, shape=shape):
            raise CompressionError(
                f"without {len(units)} channels the model runs {new} where {dataclasses.replace(old, shape=shape)} is "
                f"left of {old}. {_WAY_OUT}"
            )
    if len(before) != len(after):
        raise CompressionError(
            f"without {len(units)} channels the model takes {len(after)} steps instead of {len(before)}. {_WAY_OUT}"
        )


_WAY_OUT = (
    "The model's code takes a number from the channels that were there. Where it splits them, write -1 for what may "
    "shrink and a number for what may not; give scales as numbers."
)


def _left(size: int, axis: int, held: Tensor, units: Tensor) -> int:
    """How many of `size` entries along `axis` stay."""
    if held.shape[axis] == 1:
        return size
    along = held.movedim(axis, 0).flatten(1)[:, 0]
    return int((~torch.isin(along, units)).sum())
