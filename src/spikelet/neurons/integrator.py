"""A sum over time that leaks and never fires: synapses with a time constant, and membranes as a readout.

    y[t] = round(leak * y[t-1] + gain * x[t]),   y[-1] = 0

leak = 1 is the running sum. In evaluation x and y lie on the grid 2^-12 and are rounded as the charge of LIF is, whose
equation this is without its spikes; training leaves both out.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.neurons.delay import Delay
from spikelet.neurons.lif import LIF
from spikelet.neurons.neuron import IntegerNeuron, Neuron
from spikelet.neurons.params import LIFParams
from spikelet.neurons.reset import Soft
from spikelet.quant.grid import FRACTION_BITS


class Integrator(nn.Module):
    """Leaky sums over a whole sequence: current [T or 1, B, ...] to sums [T, B, ...]. See the module's equation.

    Args:
        time_steps: T. A current with a time axis of 1 (a still image) is held for T steps.
        leak: what is kept per step, one number, a multiple of 2^-12 in [0, 1].
        scale_input: gain = 1 - leak instead of 1.
    Raises:
        ValueError: a number is out of range or off its grid; names it.
    """

    def __init__(self, time_steps: int, leak: float = 1.0, *, scale_input: bool = False) -> None:
        super().__init__()
        params = LIFParams(float(leak), 2.0**-FRACTION_BITS, scale_input, Soft(0.0))
        self._lif = (LIF(time_steps, params),)  # in a tuple, so that nobody takes it for a neuron that spikes

    @property
    def time_steps(self) -> int:
        """T."""
        return self._lif[0].time_steps

    @time_steps.setter
    def time_steps(self, steps: int) -> None:
        self._lif[0].time_steps = steps

    @property
    def leak(self) -> float:
        """What is kept per step."""
        leak = self._lif[0].params.leak
        assert isinstance(leak, float), "it was given as one number"
        return leak

    def forward(self, x: Tensor) -> Tensor:
        """y of every step [T, B, ...]. Raises ValueError and TypeError as LIF does."""
        return self._lif[0].train(self.training).trace(x).charge.to(x.dtype)

    def step(self, x: Tensor, y: Tensor | None) -> Tensor:
        """y of one step [1, B, ...], from its current [1, B, ...] and the y before (None: 0)."""
        lif = self._lif[0].train(self.training)
        current = lif.current(x[0])
        before = torch.zeros_like(current) if y is None else y[0].to(current.dtype)
        return lif.charge(current, before)[None]

    def lowered(self) -> IntegerNeuron:
        """The integers that compute what evaluation computes: the charge of a neuron that nothing resets."""
        return self._lif[0].lowered()

    def extra_repr(self) -> str:
        return f"time_steps={self.time_steps}, leak={self.leak}, scale_input={self._lif[0].params.scale_input}"


OVER_TIME = (Neuron, Integrator, Delay)
"""Layers that carry something from one time step to the next."""
