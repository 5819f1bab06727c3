"""Batch normalisation over time and batch together, exact in evaluation.

    training     y = (x - mean) / sqrt(var + eps) * gamma + beta        statistics over all but the channels (axis 2)
    evaluation   y = round(A x) + D   on the grid 2^-12
                 A = gamma / sqrt(var + eps) as m * 2^-e, |m| < 2^15, |A| < 512
                 D = round(beta - A mean)

The two gains differ by at most 2^-15 of their value. A and D are computed in float64 from the stored
parameters, by `gain_and_offset`, which lowering calls too: the integers are the same ones. A channel
with next to no variance has its gain capped at 512: never with torch's eps = 1e-5 and |gamma| <= 1.6, whose gain is
at most 316 |gamma|.

This is the plain batch norm that the authors of Q-SNN use under the name tdBatchNorm.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.nn.evaluation import require_exact_type
from spikelet.nn.fold_time import fold_time
from spikelet.quant.grid import round_to_grid, snap_gain
from spikelet.quant.recording import is_recorded

MAX_GAIN = 512 * (1 - 2.0**-15)


def gain_and_offset(norm: nn.BatchNorm2d | nn.BatchNorm1d) -> tuple[Tensor, Tensor]:
    """A and D of the module's equations, float64 [C], from any torch batch norm with running statistics.

    Raises:
        SpikeletError: the layer keeps no running statistics, or holds NaN or infinity.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise SpikeletError(
            "batch norm without running statistics can't be evaluated one sample at a time. "
            "Build it with track_running_stats=True."
        )
    ones = torch.ones_like(norm.running_var, dtype=torch.float64)
    gamma = ones if norm.weight is None else norm.weight.detach().double()
    beta = 0 * ones if norm.bias is None else norm.bias.detach().double()
    gain = gamma / torch.sqrt(norm.running_var.double() + norm.eps)
    gain = snap_gain(gain.clamp(-MAX_GAIN, MAX_GAIN))
    offset = round_to_grid(beta - gain * norm.running_mean.double())
    if not is_recorded() and not torch.isfinite(offset).all():
        raise SpikeletError(
            f"the offset beta - gain * running_mean must be finite, got {offset[~torch.isfinite(offset)][0].item()}. "
            "(Look for a diverged BatchNorm: NaN weights or running statistics.)"
        )
    return gain, offset


class BatchNorm2d(nn.BatchNorm2d):
    """nn.BatchNorm2d over maps [T, B, C, H, W]. See the module's equations."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> the same."""
        return fold_time(super().forward if self.training else lambda z: _exact(self, z), x, 3, "BatchNorm2d")


class BatchNorm1d(nn.BatchNorm1d):
    """nn.BatchNorm1d over vectors [T, B, C] or tokens and sequences [T, B, C, N]. See the module's equations."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C] or [T, B, C, N] -> the same."""
        axes = 1 if x.dim() == 3 else 2
        return fold_time(super().forward if self.training else lambda z: _exact(self, z), x, axes, "BatchNorm1d")


def _exact(norm: nn.BatchNorm1d | nn.BatchNorm2d, x: Tensor) -> Tensor:
    require_exact_type(type(norm).__name__, x)
    gain, offset = (p.view(-1, *[1] * (x.dim() - 2)) for p in gain_and_offset(norm))
    return (round_to_grid(gain * x.double()) + offset).to(x.dtype)
