"""A learned constant that is added: position embeddings, relative-position biases, masks.

    y = x + round(c)   on the grid 2^-12

c has the shape of one sample at one step, [C, H, W], [C, N] or [F]; an axis of 1 is repeated. The gradient passes
straight through the rounding.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.quant.grid import round_to_grid, straight_through


class AddConstant(nn.Module):
    """x plus a learned constant. See the module's equations.

    Args:
        shape: of the constant.
        std: standard deviation of its random start; 0 starts from zeros.
    """

    def __init__(self, *shape: int, std: float = 0.0) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.randn(shape) * std)

    def on_grid(self) -> Tensor:
        """The constant as it is added: rounded to the grid, with the gradient of `value`."""
        return straight_through(self.value, round_to_grid(self.value.detach()))

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, ...] -> the same. Raises SpikeletError where the constant does not fit a sample."""
        if x.dim() != self.value.dim() + 2:
            raise SpikeletError(
                f"AddConstant of shape {tuple(self.value.shape)} takes [T, B, ...] of {self.value.dim() + 2} axes, "
                f"got {tuple(x.shape)}."
            )
        return x + self.on_grid()

    def extra_repr(self) -> str:
        return f"shape={tuple(self.value.shape)}"
