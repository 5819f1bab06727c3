"""What a stream carries from call to call: a place in a sample's state for everything that a node remembers."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.runtime.layout import ALIGNMENT, by_channel, round_up
from spikelet.runtime.plan.emit import Map
from spikelet.runtime.plan.operation import Constant


@dataclasses.dataclass(frozen=True, eq=False)
class Slot:
    """A node's map of values at `offset` bytes, [H * W, round_up(C, 8)] int32.

    start: what it holds before the first step, by channel; None: zeros.
    """

    node: str
    offset: int
    map: Map
    start: Constant | None

    @property
    def values(self) -> int:
        """int32 values, pads included."""
        c, h, w = self.map
        return h * w * round_up(c, 8)

    def to_json(self) -> dict[str, Any]:
        """Its place, and the name of the array that it starts from."""
        start = {} if self.start is None else {"start": self.start.name}
        return {"node": self.node, "offset": self.offset, "map": list(self.map)} | start


class Carried:
    """The state of one sample: the plans of a graph for different numbers of steps share it."""

    def __init__(self) -> None:
        self._slots: dict[str, Slot] = {}
        self.size = 0

    @property
    def slots(self) -> tuple[Slot, ...]:
        """In the order in which they lie in the state."""
        return tuple(self._slots.values())

    def place(self, node: ir.Operation, map_: Map) -> int:
        """Where the state of `node`, a map of (C, H, W), begins."""
        if node.name not in self._slots:
            self._slots[node.name] = Slot(node.name, self.size, map_, _start(node, map_[0]))
            self.size += round_up(self._slots[node.name].values * 4, ALIGNMENT)
        slot = self._slots[node.name]
        assert slot.map == map_, "every plan of a graph lays its maps out alike"
        return slot.offset

    def start(self, batch: int) -> NDArray[np.uint8]:
        """The state before the first step: zeros, and of neurons their start."""
        one = np.zeros(self.size, np.uint8)
        for slot in self.slots:
            if slot.start is not None:
                values = one[slot.offset : slot.offset + 4 * slot.values].view(np.int32)
                values.reshape(-1, round_up(slot.map[0], 8))[...] = slot.start.values
        return np.tile(one, (batch, 1))


def _start(node: ir.Operation, channels: int) -> Constant | None:
    if not isinstance(node, ir.Neuron) or not np.any(node.start):
        return None
    return Constant(f"{node.name}.start", "channels", by_channel(np.atleast_1d(node.start), channels))
