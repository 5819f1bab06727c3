"""Sums over the steps so far, still with a time axis.

    y[t] = x[0] + ... + x[t]

With it a network states its logits after every step (accuracy over time, early exit), and attention scores can be
averaged over the steps so far (Masked Spiking Transformer, arXiv:2210.01208). `x.cumsum(0)` is the same function.
"""

from __future__ import annotations

from torch import Tensor, nn


class RunningSum(nn.Module):
    """The sum of all steps up to each step."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, ...] -> the same."""
        return x.cumsum(0)
