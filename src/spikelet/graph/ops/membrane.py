"""How a neuron of O6 keeps its membrane between two steps: every bit, or k bits."""

from __future__ import annotations

import dataclasses
from typing import TypeVar

import numpy as np

from spikelet.graph.edge import Int64

V = TypeVar("V", int, Int64)


@dataclasses.dataclass(frozen=True, eq=False)
class Membrane:
    """Storage of the residual membrane r: v = clip((r + half) >> shift, -L, L) << shift,
    L = 2^(bits-1) - 1, half = (1 << shift) >> 1, bits 2..8, shift 1..22."""

    bits: int
    shift: int

    @property
    def top(self) -> int:
        """L."""
        return 2 ** (self.bits - 1) - 1

    def store(self, r: V) -> V:
        """What is kept of `r`, a number or an array: the one formula of a k-bit membrane."""
        units = (r + (1 << self.shift >> 1)) >> self.shift
        if isinstance(units, int):
            return min(max(units, -self.top), self.top) << self.shift
        return np.clip(units, -self.top, self.top) << self.shift
