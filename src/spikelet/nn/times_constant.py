"""A product with a constant of someone else's code, rounded to the grid as a `Scale` is.

training     y = c x
evaluation   y = round(A x)   on the grid 2^-12,   A = c as m * 2^-e, |m| < 2^15       (c by `snap_gain`)
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.nn.evaluation import require_exact_type
from spikelet.quant.grid import times_on_grid


class TimesConstant(nn.Module):
    """Products of tensors with constants that are given with them. See the module's equations."""

    def forward(self, x: Tensor, constant: Tensor) -> Tensor:
        """`x` times `constant`, of the shape that both broadcast to."""
        if self.training:
            return constant * x
        require_exact_type("TimesConstant", x)
        return times_on_grid(constant.detach(), x).to(x.dtype)
