"""A LIF in the place of a neuron that keeps its state between calls."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikelet.neurons import LIF, IntegerNeuron


class StatelessLIF(LIF):
    """A LIF whose `reset` may be called as SpikingJelly calls it, without arguments: there is no state to reset.

    Networks whose forward begins with `functional.reset_net(self)` do so. resets: how often it was.
    """

    resets = 0

    def reset(self, *charge_and_spikes: Tensor) -> Any:
        """See LIF; None without arguments."""
        if charge_and_spikes:
            return super().reset(*charge_and_spikes)
        self.resets += 1
        return None

    def integers(self, input_gain: float = 1.0) -> IntegerNeuron:
        """See LIF."""
        return LIF(self.time_steps, self.params, self.membrane).integers(input_gain)
