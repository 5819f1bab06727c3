"""Batch norm without an offset: 0 stays 0, so that zero padding behind it pads with its answer to nothing.

training     y = gamma x / sqrt(var + eps)      var about the mean, over all but the channels (axis 2), in float32
evaluation   y = round(A x) on the grid 2^-12,  A = gamma / sqrt(var + eps) as m * 2^-e (norm.py)
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.nn.evaluation import require_exact_type
from spikelet.nn.fold_time import fold_time
from spikelet.nn.norm import gain_and_offset
from spikelet.quant.grid import round_to_grid


class Gain2d(nn.BatchNorm2d):
    """nn.BatchNorm2d over maps [T, B, C, H, W] less its offset. See the module's equations.

    Its parameters and statistics are those of nn.BatchNorm2d, so that a batch norm's can be loaded. The bias has no
    effect, and no gradient.
    """

    def __init__(self, num_features: int, eps: float = 1e-5, momentum: float = 0.1) -> None:
        super().__init__(num_features, eps, momentum)
        self.bias.requires_grad_(False)

    def gain(self) -> Tensor:
        """A, float64 [C]."""
        return gain_and_offset(self)[0]

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> the same."""
        return fold_time(self._trained if self.training else self._exact, x, 3, "Gain2d")

    def _trained(self, x: Tensor) -> Tensor:
        with torch.no_grad():
            super().forward(x)  # counts the batch
        wide = x if x.dtype == torch.float64 else x.float()
        gain = self.weight / torch.sqrt(torch.var(wide, (0, 2, 3), correction=0) + self.eps)
        return (gain[:, None, None] * wide).to(x.dtype)

    def _exact(self, x: Tensor) -> Tensor:
        require_exact_type("Gain2d", x)
        return round_to_grid(self.gain()[:, None, None] * x.double()).to(x.dtype)
