"""What a stream carries from call to call: a place in a sample's state for everything that a node remembers."""

from __future__ import annotations

import dataclasses

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.runtime.emit import Map
from spikelet.runtime.layout import ALIGNMENT, round_up


@dataclasses.dataclass(frozen=True)
class Slot:
    """A map of values at `offset` bytes, [H * W, round_up(C, 8)] int32."""

    offset: int
    map: Map

    @property
    def values(self) -> int:
        """int32 values, pads included."""
        c, h, w = self.map
        return h * w * round_up(c, 8)


class Carried:
    """The state of one sample: the plans of a graph for different numbers of steps share it."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self._starts: dict[str, ir.Lif] = {}
        self.size = 0

    def place(self, node: ir.Operation, map_: Map) -> int:
        """Where the state of `node`, a map of (C, H, W), begins."""
        if node.name not in self._slots:
            self._slots[node.name] = Slot(self.size, map_)
            self.size += round_up(self._slots[node.name].values * 4, ALIGNMENT)
            if isinstance(node, ir.Lif):
                self._starts[node.name] = node
        slot = self._slots[node.name]
        assert slot.map == map_, "every plan of a graph lays its maps out alike"
        return slot.offset

    def start(self, batch: int) -> NDArray[np.uint8]:
        """The state before the first step: zeros, and of neurons their start."""
        one = np.zeros(self.size, np.uint8)
        for name, node in self._starts.items():
            slot, channels = self._slots[name], self._slots[name].map[0]
            values = one[slot.offset : slot.offset + 4 * slot.values].view(np.int32).reshape(-1, round_up(channels, 8))
            values[:, :channels] = node.start
        return np.tile(one, (batch, 1))
