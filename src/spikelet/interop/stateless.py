"""What stands in the place of neurons that keep a state between calls, and may be told to reset it."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.neurons import LIF, OVER_TIME, IntegerNeuron


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


class Resets:
    """The `reset` of layers that have none, as they keep no state. resets: how often it was called."""

    def __init__(self) -> None:
        self.resets = 0

    def __call__(self) -> None:
        """Nothing but a count."""
        self.resets += 1


def resettable(module: nn.Module) -> None:
    """Gives `module`, and the parts of it that run over time, a `reset` where they have none."""
    resets = Resets()
    for part in (module, *module.modules()):
        if (part is module or isinstance(part, OVER_TIME)) and not hasattr(part, "reset"):
            part.reset = resets  # type: ignore[assignment]


def resets_of(module: nn.Module) -> int:
    """How often a module and its parts were reset in all."""
    found = 0
    for part in module.modules():
        own = getattr(part, "reset", None)
        found += getattr(part, "resets", getattr(own, "resets", 0))
    return found
