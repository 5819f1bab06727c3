"""A LIF in the place of a neuron that keeps its state between calls."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from spikelet.base.errors import ConversionError
from spikelet.neurons import LIF, IntegerNeuron


class NoState(ConversionError, AttributeError):
    """Raised where code reads what the neuron kept on itself."""


class StatelessLIF(LIF):
    """A LIF whose `reset` may be called as SpikingJelly calls it, without arguments: there is no state to reset.

    Networks whose forward begins with `functional.reset_net(self)` do so. resets: how often it was.
    """

    resets = 0

    def __getattr__(self, name: str) -> Any:
        """A parameter, buffer or module. Raises NoState for what the neuron in whose place this one stands may have."""
        try:
            return super().__getattr__(name)
        except AttributeError as e:
            raise NoState(
                f"the network reads {name!r} of a neuron, and a converted one keeps nothing on itself. A neuron of "
                "your own may hand its membrane on, spikes, v = neuron(x, v); else return spikes alone."
            ) from e

    def reset(self, *charge_and_spikes: Tensor) -> Any:
        """See LIF; None without arguments."""
        if charge_and_spikes:
            return super().reset(*charge_and_spikes)
        self.resets += 1
        return None

    def integers(self, input_gain: float = 1.0) -> IntegerNeuron:
        """See LIF."""
        return LIF(self.time_steps, self.params, self.membrane).integers(input_gain)
