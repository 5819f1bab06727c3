"""How a neuron of O6 keeps its membrane between two steps: every bit, or k bits."""

from __future__ import annotations

import dataclasses

import numpy as np

from spikelet.graph.edge import Int64


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

    def store(self, r: Int64) -> Int64:
        """What is kept of `r`: the one formula of a k-bit membrane."""
        return np.clip((r + (1 << self.shift >> 1)) >> self.shift, -self.top, self.top) << self.shift
