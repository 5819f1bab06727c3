"""Training without time: a still image's firing rate in one pass.

    r(x) = 1/T sum_n 1[x >= theta_n],   n = 1..T          backwards every step has the neuron's surrogate

theta_n is the least constant current with which the neuron, as it evaluates (leak, reset, membrane bits and all), fires
n times in T steps; LIF with leak 1/2, hard reset and a membrane of 2 bits has theta = (1/2, 1) at T = 2. One
pass has the convolutions of T = 1 and up to T + 1 levels instead of two. It is exact for neurons whose current does not
change, those behind the first layer; deeper ones see their current's mean, and behind a maximum the largest of the
means, which is no more than the mean of the largest. So a network learns in one pass and then goes on for some epochs
at its real T steps, where a quantized membrane learns its step. Evaluation always takes the real steps.

Ours. The levels are those of quantized-ReLU conversion (Bu et al., "Optimal ANN-SNN conversion", ICLR 2022) where the
neuron does not leak and resets softly.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections import Counter

import torch
from torch import Tensor

from spikelet.neurons.lif import LIF, LIFParams
from spikelet.neurons.membrane import FullMembrane, QuantizedMembrane
from spikelet.neurons.surrogate import Surrogate
from spikelet.quant.grid import FRACTION_BITS


@dataclasses.dataclass(frozen=True)
class OnePass:
    """The rate function of one neuron: currents to firing rates of the same shape.

    levels: (theta, how many of theta_1..theta_T equal it), ascending.
    surrogate: the neuron's.
    gain: what the neuron multiplies its current by.
    """

    levels: tuple[tuple[float, int], ...]
    surrogate: Surrogate
    gain: float

    @property
    def time_steps(self) -> int:
        """T."""
        return sum(count for _, count in self.levels)

    def __call__(self, x: Tensor) -> Tensor:
        """Rates of the shape of `x`."""
        rates = [count / self.time_steps * self.surrogate(self.gain * (x - theta)) for theta, count in self.levels]
        return sum(rates[1:], start=rates[0])


@torch.no_grad()
def one_pass_of(neuron: LIF) -> OnePass:
    """The rate function of `neuron` at its own T, each theta on the current's grid, found by bisection.

    Bisection takes it that a larger current fires no less often, as hard reset and full membranes see to; where few
    membrane bits or another reset make an exception, theta is one of the currents at which the count passes n.

    Raises:
        ValueError: another membrane, which may tell channels or batches apart: there is no one function of the current.
    """
    if not isinstance(neuron.membrane, FullMembrane | QuantizedMembrane):
        raise ValueError(
            f"one pass takes LIF with a FullMembrane or a QuantizedMembrane, got {type(neuron.membrane).__name__}. "
            "Train it on real steps: Phase(epochs, time_steps)."
        )
    evaluated = copy.deepcopy(neuron).eval()
    device = next((p.device for p in neuron.parameters()), None)
    wanted = torch.arange(1, neuron.time_steps + 1, device=device)
    below = torch.zeros_like(wanted)  # grid steps of a current that fires fewer than n times
    enough = torch.full_like(wanted, _always_fires(neuron.params))
    while bool((enough - below > 1).any()):
        middle = (below + enough) // 2
        fired = evaluated(middle[None].double() * 2.0**-FRACTION_BITS).sum(0) >= wanted
        below, enough = torch.where(fired, below, middle), torch.where(fired, middle, enough)
    levels = tuple(sorted(Counter((enough.double() * 2.0**-FRACTION_BITS).tolist()).items()))
    return OnePass(levels, neuron.params.surrogate, neuron.params.input_gain)


def _always_fires(p: LIFParams) -> int:
    """Grid steps of a constant current that fires in every step: it makes up for the lowest membrane that a reset and
    half a step of a quantized membrane (at most 1) leave."""
    lowest = min(0.0, float(p.reset(torch.tensor(p.threshold), torch.ones(()), p.threshold))) - 0.5
    return math.ceil((p.threshold - p.leak * lowest) / p.input_gain * 2**FRACTION_BITS)
