"""The mean of two currents on their grid, as reversible residual streams need (BESTformer, arXiv:2501.05904).

    y = floor((a + b) / 2 + 1/2)   in units of 2^-12:   (a + b + 1) >> 1

(a + b) / 2 in Python is exact too, and each such half needs another bit: eight blocks would need eight. Rounding keeps
the unit. Training leaves the rounding out.
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.nn.evaluation import require_exact_type
from spikelet.quant.grid import round_to_grid


class Average(nn.Module):
    """(a + b) / 2, halves of the grid 2^-12 up in evaluation."""

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two currents of one shape [T, B, ...] -> the same. Raises ValueError where shapes differ."""
        if a.shape != b.shape:
            raise ValueError(f"Average takes two currents of one shape, got {tuple(a.shape)} and {tuple(b.shape)}.")
        if self.training:
            return (a + b) / 2
        require_exact_type("Average", a)
        return round_to_grid((a.double() + b.double()) / 2).to(a.dtype)
