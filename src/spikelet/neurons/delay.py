"""What was a few time steps ago: the taps of a convolution over time, which a stream keeps in a delay line.

    y[t] = x[t - steps],   0 before the first step

Values are handed on as they are, so evaluation is exact wherever x is. In the integer graph it is a `delay` (O16) for
each step.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.whole import whole


class Delay(nn.Module):
    """Values of earlier time steps: [T or 1, B, ...] to [T, B, ...]. See the module's equation.

    Example:
        >>> x = torch.tensor([5.0, 6.0, 7.0]).view(3, 1, 1)  # three steps, one sample, one channel
        >>> spikelet.neurons.Delay(3)(x).flatten().tolist()
        [0.0, 5.0, 6.0]

    Args:
        time_steps: T, 1 to 1024. An input with a time axis of 1 (a still one) is held for T steps.
        steps: how many steps ago, 1 to 1023.
    Raises:
        SpikeletError: a number is out of range; names it.
    """

    def __init__(self, time_steps: int, steps: int = 1) -> None:
        super().__init__()
        self.time_steps = whole(time_steps, "Delay.time_steps", 1, 1024, SpikeletError)
        self.steps = whole(steps, "Delay.steps", 1, 1023, SpikeletError)

    def forward(self, x: Tensor) -> Tensor:
        """y of every step. Raises SpikeletError where `x` has another number of steps."""
        if x.dim() < 2 or x.shape[0] not in (1, self.time_steps):
            raise SpikeletError(
                f"Delay of time_steps={self.time_steps} takes [T, B, ...] of as many steps, or of one that is held, got "
                f"{tuple(x.shape)}."
            )
        every = x.expand(self.time_steps, *x.shape[1:])
        none = torch.zeros_like(every[: self.steps])
        return torch.cat([none, every[: self.time_steps - len(none)]])

    def extra_repr(self) -> str:
        return f"time_steps={self.time_steps}, steps={self.steps}"
