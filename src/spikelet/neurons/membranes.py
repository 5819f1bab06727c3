"""The membranes of a layer of neurons as a result of its own: h of every time step, before the reset.

    h[t] = charge(x[t], v[t-1])

In the integer graph it is `charge` (O17) on the neuron's current, or a running sum (O10) where the neuron neither leaks
nor is reset.
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.neurons.neuron import Neuron


class Membranes(nn.Module):
    """Membranes [T, B, ...] of `neuron`, whose module this one is beside: it does not hold it a second time.

    Shapes: current [T or 1, B, ...] -> membranes [T, B, ...], of the current's type.
    """

    def __init__(self, neuron: Neuron) -> None:
        super().__init__()
        self._neuron = (neuron,)  # in a tuple, so that it is no module of this one

    @property
    def neuron(self) -> Neuron:
        """The neuron."""
        return self._neuron[0]

    def forward(self, x: Tensor) -> Tensor:
        """h of every step. Raises ValueError and TypeError as the neuron does."""
        return self.neuron.trace(x).charge.to(x.dtype)
