"""Training on firing rates: a static image's rates in one forward pass instead of T steps.

    r(x) = value/T sum_n 1[x >= theta_n],   n = 1..T D          backwards every step has the neuron's surrogate

theta_n is the least constant current with which the neuron, as it evaluates (leak, reset, membrane bits and all), gives
n spikes in T steps of up to D spikes; LIF with leak 1/2, hard reset and a membrane of 2 bits has theta = (1/2, 1) at
T = 2. One pass has the convolutions of T = 1 and up to T D + 1 levels. It is exact for neurons whose current does not
change, those behind the first layer. Deeper neurons receive the time-averaged current. Behind max pooling that is
biased low: max_i mean_t x_i <= mean_t max_i x_i. So a network learns in one pass and then goes on for some epochs at
its real T steps, where a quantized membrane learns its step. Evaluation always takes the real steps.

Ours. The levels are those of quantized-ReLU conversion (Bu et al., "Optimal ANN-SNN conversion", ICLR 2022,
arXiv:2303.04347) where the neuron does not leak and resets softly.
"""

from __future__ import annotations

import copy
import dataclasses
import math
from collections import Counter

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.neurons.constants import Real
from spikelet.neurons.lif import LIF, LIFParams
from spikelet.neurons.membrane import FullMembrane, QuantizedMembrane
from spikelet.neurons.reset import Soft
from spikelet.neurons.surrogate import Surrogate
from spikelet.quant.grid import FRACTION_BITS


@dataclasses.dataclass(frozen=True)
class OnePass:
    """The rate function of one neuron: currents to firing rates of the same shape.

    levels: (theta, how many of theta_1..theta_TD equal it), ascending.
    time_steps: T.
    surrogate: the neuron's.
    gain: what the neuron multiplies its current by.
    value: what one spike is worth in the output.
    """

    levels: tuple[tuple[float, int], ...]
    time_steps: int
    surrogate: Surrogate
    gain: float
    value: float = 1.0

    def __call__(self, x: Tensor) -> Tensor:
        """Rates of the shape of `x`."""
        spikes = [count * self.surrogate(self.gain * (x - theta)) for theta, count in self.levels]
        return sum(spikes[1:], start=spikes[0]) * self.value / self.time_steps


@torch.no_grad()
def one_pass_of(neuron: LIF) -> OnePass:
    """The rate function of `neuron` at its own T, each theta on the current's grid, found by bisection.

    Bisection takes it that a larger current fires no less often, as hard reset and full membranes see to; where few
    membrane bits or another reset make an exception, theta is one of the currents at which the count passes n.

    Raises:
        SpikeletError: the neuron has constants by channel, or another membrane, which may treat channels or batches
            differently, so that the rate is not a function of the current alone.
    """
    if not isinstance(neuron.membrane, FullMembrane | QuantizedMembrane):
        raise SpikeletError(
            f"one pass takes LIF with a FullMembrane or a QuantizedMembrane, got {type(neuron.membrane).__name__}. "
            "Train it on real steps: Phase(epochs, time_steps)."
        )
    if neuron.params.channels is not None:
        raise SpikeletError(
            "one pass takes LIF whose constants are numbers, got constants by channel. "
            "Train it on real steps: Phase(epochs, time_steps)."
        )
    p = neuron.params
    evaluated = copy.deepcopy(neuron).eval()
    device = next((p.device for p in neuron.parameters()), None)
    wanted = torch.arange(1, neuron.time_steps * p.levels + 1, device=device)
    least, most = _bounds(p)
    below, enough = torch.full_like(wanted, least), torch.full_like(wanted, most)
    while bool((enough - below > 1).any()):
        middle = (below + enough) // 2
        fired = evaluated(middle[None].double() * 2.0**-FRACTION_BITS).sum(0) >= wanted * p.value
        below, enough = torch.where(fired, below, middle), torch.where(fired, middle, enough)
    levels = tuple(sorted(Counter((enough.double() * 2.0**-FRACTION_BITS).tolist()).items()))
    return OnePass(levels, neuron.time_steps, p.surrogate, _number(p.input_gain), p.value)


def _bounds(p: LIFParams) -> tuple[int, int]:
    """Grid steps of a constant current that never fires, and of one that gives every spike in every step: it makes up
    for the lowest membrane that a reset and half a step of a quantized membrane (at most 1) leave."""
    threshold, step, leak, gain, start = map(_number, (p.threshold, p.spacing, p.leak, p.input_gain, p.start))
    top = threshold + (p.levels - 1) * step
    after = [
        float(p.reset(torch.tensor(threshold + (n - 1) * step), torch.tensor(float(n)), p.spacing))
        for n in ((1, p.levels) if isinstance(p.reset, Soft) else (1,))
    ]
    lowest = min(0.0, start, *after) - 0.5
    never = min(0, math.floor((threshold - leak * max(0.0, start)) / gain * 2**FRACTION_BITS) - 1)
    return never, math.ceil((top - leak * lowest) / gain * 2**FRACTION_BITS)


def _number(value: Real) -> float:
    assert isinstance(value, float | int)
    return value
