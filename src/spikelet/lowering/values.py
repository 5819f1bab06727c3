"""What lowering knows of a traced tensor: the address of the integer behind each of its elements.

    real element = scale[channel] * integer          scale: above 0, one number for an edge or one for each channel

A `Source` is an edge of the integer graph laid out as [time steps, batch, C, H, W]; its elements have consecutive
addresses in this order, from `start` on. Address 0 is a constant zero. A traced tensor is a `Value`: an address for
each element. Whatever moves elements and computes nothing (flatten, reshape, view, permute, transpose, unflatten,
chunk, split, stack, cat, x[t], slices, roll, repeat, expand, pad ...) is run by PyTorch itself on the addresses, so
it needs no rule of its own, and no extent is ever mistaken for another: a batch of T samples, a batch of one and a
map of one row keep their addresses apart.
"""

from __future__ import annotations

import bisect
import dataclasses
import math
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikelet.base.errors import LoweringError
from spikelet.quant.grid import FRACTION_BITS

GRID = 2.0**-FRACTION_BITS
Time = Literal["steps", "still", "summed"]
Kind = tuple[int, int] | None  # None: features; (H, W): tokens, the positions of such a map
Int64 = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Source:
    """An edge of the graph, and the addresses of its elements.

    node: its node's name.
    shape: (C, H, W) or (F,) of one sample and step.
    scale: float64 of shape () or [C].
    time: "steps" (another value at each of T steps), "still" (the same at every step) or "summed" (after a sum
        over time).
    steps, batch: T and B of the addresses; steps is 1 unless `time` is "steps".
    start: its first address.
    kinds: what its channels and its positions count: None for features, (H, W) for tokens, which were the positions
        of such a map.
    constant: the numbers, for a constant of the forward that has no node yet; they are the same for all samples.
    """

    node: str
    shape: tuple[int, ...]
    scale: NDArray[np.float64]
    time: Time
    steps: int
    batch: int
    start: int
    kinds: tuple[Kind, Kind] = (None, None)
    constant: NDArray[np.float64] | None = None

    @property
    def is_flat(self) -> bool:
        """Whether it is a vector (F,)."""
        return len(self.shape) == 1

    @property
    def map(self) -> tuple[int, int, int]:
        """(C, H, W); a vector (F,) is (F, 1, 1)."""
        return (self.shape[0], 1, 1) if self.is_flat else self.shape  # type: ignore[return-value]

    @property
    def channels(self) -> int:
        """C."""
        return self.shape[0]

    @property
    def positions(self) -> int:
        """H * W."""
        return math.prod(self.shape[1:])

    @property
    def size(self) -> int:
        """Elements of one sample and step."""
        return math.prod(self.shape)

    @property
    def extent(self) -> int:
        """Addresses that it takes."""
        return self.steps * self.batch * self.size

    @property
    def scales(self) -> NDArray[np.float64]:
        """The scale of each channel, [C]."""
        return np.broadcast_to(self.scale, (self.channels,))

    @property
    def has_one_scale(self) -> bool:
        """Whether all channels share a scale."""
        return bool((self.scale == self.scale.reshape(-1)[0]).all())

    def one_scale(self, where: str) -> float:
        """The scale that all channels share.

        Raises:
            LoweringError: they don't share one; by the name `where`.
        """
        if not self.has_one_scale:
            raise LoweringError(
                f"{where}: reads a tensor whose channels have different scales. Put a batch norm or a neuron before it."
            )
        return float(self.scale.reshape(-1)[0])

    def addresses(self) -> Tensor:
        """Addresses of all elements, int64 [steps * batch, C, H, W] or [steps * batch, F]."""
        return torch.arange(self.start, self.start + self.extent).view(self.steps * self.batch, *self.shape)


@dataclasses.dataclass(frozen=True, eq=False)
class StepSum:
    """The sum of some time steps of an edge.

    x: the edge.
    counts: how often each step is in it, [T].
    """

    x: Source
    counts: Int64


@dataclasses.dataclass(frozen=True, eq=False)
class Value:
    """The addresses of a traced tensor.

    shape: of the tensor.
    source: where the tensor is the whole edge in its own order, however its shape is cut; else None.
    explicit: the address of each element, where `source` is None.
    """

    shape: tuple[int, ...]
    source: Source | None = None
    explicit: Tensor | None = None

    @property
    def addresses(self) -> Tensor:
        """int64 of the tensor's shape."""
        if self.source is not None:
            return self.source.addresses().reshape(self.shape)
        assert self.explicit is not None
        return self.explicit

    @property
    def is_plain(self) -> bool:
        """Whether the tensor is [time steps, batch, *shape of the edge], all of it and in this order."""
        s = self.source
        if s is None:
            return False
        lead = (s.batch,) if s.time == "summed" else (s.steps, s.batch)
        return self.shape == (*lead, *s.shape)


@dataclasses.dataclass(frozen=True, eq=False)
class Places:
    """Addresses taken apart, arrays of one shape: which source (-1: the constant zero), step, sample, channel and
    position. `rest` is the address that the element would have at step 0 of sample 0; `used` are the sources."""

    source: Int64
    step: Int64
    sample: Int64
    channel: Int64
    position: Int64
    rest: Int64
    used: tuple[int, ...]


class Sources:
    """All sources, found by address."""

    def __init__(self) -> None:
        self.all: list[Source] = []
        self.starts: list[int] = []
        self.next = 1

    def add(self, **fields: Any) -> Source:
        """A new source with the next free addresses."""
        source = Source(start=self.next, **fields)
        self.all.append(source)
        self.starts.append(source.start)
        self.next += source.extent
        return source

    def at(self, address: int) -> Source:
        """The source of an address above 0."""
        return self.all[bisect.bisect_right(self.starts, address) - 1]

    def recognised(self, value: Value) -> Value:
        """`value`, known as a whole edge in its own order where its addresses are just that: reshapes and products give
        addresses, and an edge needs none."""
        explicit = value.explicit
        first = 0 if explicit is None or not explicit.numel() else int(explicit.reshape(-1)[0])
        if explicit is None or first == 0:
            return value
        source = self.at(first)
        whole = source.constant is None and source.start == first and explicit.numel() == source.extent
        if whole and torch.equal(explicit.reshape(-1), torch.arange(first, first + source.extent)):
            return Value(value.shape, source)
        return value

    def places(self, addresses: Tensor | Int64) -> Places:
        """`addresses` taken apart."""
        a = addresses.numpy() if isinstance(addresses, Tensor) else addresses
        source = np.searchsorted(np.array(self.starts), a, side="right") - 1
        used = np.flatnonzero(np.bincount(source.reshape(-1) + 1, minlength=1)[1:])
        known = [self.all[i] for i in used]
        rows = np.array([(0, 1, 1, 1), *((s.start, s.size, s.positions, s.batch) for s in known)], np.int64)
        index = np.where(source >= 0, np.searchsorted(used, source) + 1, 0)
        start, size, positions, batch = (rows[:, column][index] for column in range(4))
        offset = a - start
        frame, inner = np.divmod(offset, size)
        step, sample = np.divmod(frame, batch)
        channel, position = np.divmod(inner, positions)
        rest = np.where(source >= 0, start + inner, 0)
        return Places(source, step, sample, channel, position, rest, tuple(used.tolist()))
