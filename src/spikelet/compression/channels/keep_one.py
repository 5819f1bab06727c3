"""Which units may leave at once: no layer loses its last channel."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

import torch
from torch import Tensor

from spikelet.compression.channels.find import Channels, Group


def first_removable(channels: Channels, units: Tensor, count: int) -> Tensor:
    """The first `count` of `units`, in their order; a unit that holds the last channels of a layer is passed over.

    Args:
        channels: the model's.
        units: int64 [U], least wanted first.
        count: how many should leave.
    Returns:
        int64 [at most count].
    """
    left: dict[str, int] = {}
    places: defaultdict[int, Counter[str]] = defaultdict(Counter)
    for layer in channels.layers.values():
        if layer.makes is not None:
            left[layer.name] = len(layer.makes)
            for unit in layer.makes.tolist():
                places[unit][layer.name] += 1
    gone: list[int] = []
    for unit in units.tolist():
        if len(gone) == count:
            break
        if all(left[name] > size for name, size in places[unit].items()):
            gone.append(unit)
            for name, size in places[unit].items():
                left[name] -= size
    return torch.tensor(gone, dtype=torch.int64)


def kept_of(n: int, ratio: float) -> int:
    """How many of n units stay: int(n (1 - ratio)), one at least."""
    return max(1, int(n * (1 - ratio)))


def in_line(ranked: Sequence[tuple[Group, Tensor]]) -> Tensor:
    """All groups' units, lowest score first; equal scores keep the order of the channels."""
    units = torch.cat([group.units for group, _ in ranked])
    return units[torch.cat([scores for _, scores in ranked]).argsort(stable=True)]
