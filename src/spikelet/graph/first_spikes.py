"""Neurons under a current that is the same at every step: their first spike says all.

Without a spike a membrane depends on the current alone, and never falls where the current grows, since charge, rounding
and clip never do. A hard reset leaves it where it began. So a neuron whose first spike is at step f fires at f, 2 f,
3 f and so on, and the currents whose first spike is at f or before are those from one number on.

Source: this project.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.graph.edge import Int64
from spikelet.graph.threshold_forms import from_when_on


def first_spikes(neuron: ir.Lif, low: int, high: int, time_steps: int) -> Int64:
    """For every step the least current of low .. high whose first spike is then or before; high + 1 where none is.

    neuron: of a hard reset, one level, one set of constants, and a membrane that begins at 0.
    """
    steps = np.arange(time_steps)

    def fired_by(currents: Int64) -> NDArray[np.bool_]:
        """Whether the current of each step has fired by then."""
        still = np.broadcast_to(currents, (time_steps, 1, time_steps))
        spikes, _ = neuron.advance(still, steps=range(time_steps), state=None)
        return np.maximum.accumulate(spikes[:, 0])[steps, steps] > 0

    return from_when_on(fired_by, np.full(time_steps, low, np.int64), np.full(time_steps, high, np.int64))
