"""What to add at each step, so that the mean over the steps so far is a given value.

    y[t] = r(t x[t]) - r((t - 1) x[t - 1]),   t = 1 .. T          so that   y[1] + .. + y[t] = r(t x[t])

x[t] is a function of the steps so far, such as the product of two running means. A neuron that integrated x itself
would have the mean of x over all steps, the poor first ones among them; one that integrates y has x[t] after t steps.

r rounds to the grid 2^-12 in evaluation, and does nothing in training. y is clipped to -m .. m - 2^-12, where m is the
power of two at or above 4 max |x|. A product of two running means changes by no more than 2 max |x| / t in a step, so y
stays below 3 max |x|; the rest is for what was rounded before. Ours; the idea of adding differences is an old one.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import positive, whole_numbers
from spikelet.nn.evaluation import require_exact_type
from spikelet.quant.grid import FRACTION_BITS, round_to_grid

MOST_STEPS = 1024


class Increments(nn.Module):
    """The increments of t x[t]. See the module's equations.

    Args:
        time_steps: T, 1 to 1024.
        largest: max |x|.
    Raises:
        SpikeletError: time_steps out of range, or largest not above 0.
    """

    def __init__(self, time_steps: int, largest: float) -> None:
        super().__init__()
        whole_numbers("Increments", 1, MOST_STEPS, time_steps=time_steps)
        positive("Increments", largest=largest)
        self.time_steps, self.largest = int(time_steps), float(largest)

    @property
    def bound(self) -> float:
        """m."""
        return 2.0 ** math.ceil(math.log2(4 * self.largest))

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, ...] -> the same.

        Raises:
            SpikeletError: `x` has another number of steps, or is of a type that evaluation is not exact in.
        """
        if x.dim() < 2 or x.shape[0] != self.time_steps:
            raise SpikeletError(
                f"Increments of time_steps={self.time_steps} takes [T, B, ...] of as many steps, got {tuple(x.shape)}."
            )
        steps = torch.arange(1, self.time_steps + 1, device=x.device).view(-1, *[1] * (x.dim() - 1))
        if self.training:
            return torch.diff(steps * x, dim=0, prepend=torch.zeros_like(x[:1]))
        require_exact_type("Increments", x)
        sums = round_to_grid(steps * x.double())
        changes = torch.diff(sums, dim=0, prepend=torch.zeros_like(sums[:1]))
        return changes.clamp(-self.bound, self.bound - 2.0**-FRACTION_BITS).to(x.dtype)

    def extra_repr(self) -> str:
        return f"time_steps={self.time_steps}, largest={self.largest:g}"
