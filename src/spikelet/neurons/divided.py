"""Neurons whose current is divided by a learned threshold, so that they fire at 1.

    training     x / theta
    evaluation   round(A x)   on the grid 2^-12,   A = 1 / theta as m * 2^-e, |m| < 2^15

theta is one number a layer, kept within 2^-8 to 2^12; beyond these bounds its gradient passes straight through, so it
can come back.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.neurons.lif import LIF
from spikelet.neurons.neuron import IntegerNeuron
from spikelet.neurons.params import LIFParams
from spikelet.quant.grid import snap_gain, straight_through, times_on_grid

SMALLEST, LARGEST = 2.0**-8, 2.0**12


class Divided(LIF):
    """LIF neurons that integrate x / theta. See the module's equations.

    Args:
        time_steps, params: those of LIF, for the divided current.
        threshold: theta before any training, from 2^-8 to 2^12.
    Raises:
        SpikeletError: threshold out of range.

    Attributes:
        threshold: the parameter, a number; `theta` is it within its bounds.
    """

    def __init__(self, time_steps: int, params: LIFParams, threshold: float) -> None:
        theta = _number(threshold)
        if theta is None or not SMALLEST <= theta <= LARGEST:
            raise SpikeletError(
                f"{type(self).__name__}.threshold must be a number from 2^-8 to 2^12, got {threshold!r}."
            )
        super().__init__(time_steps, params)
        self.threshold = nn.Parameter(torch.tensor(theta))

    @property
    def theta(self) -> Tensor:
        """The threshold within its bounds, a number."""
        return straight_through(self.threshold, self.threshold.detach().clamp(SMALLEST, LARGEST))

    @property
    def exact_gain(self) -> Tensor:
        """1 / theta, float64, of which evaluation takes 15 bits."""
        return 1 / self.theta.detach().double()

    def current(self, x: Tensor) -> Tensor:
        """x / theta, in evaluation rounded to the grid, in float64."""
        return x / self.theta if self.training else times_on_grid(self.exact_gain, x)

    def lowered(self) -> IntegerNeuron:
        """LIF's integers, behind the gain."""
        return self.integers(float(snap_gain(self.exact_gain)))


def _number(value: object) -> float | None:
    """`value` as a float, where it is one number of Python, NumPy or torch."""
    if isinstance(value, bool | str):
        return None
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):
        return None
