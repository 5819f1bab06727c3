"""Pooling over [T, B, C, H, W].

MaxPool2d of spikes is an OR. SumPool2d is an average with its divisor rounded up to a power of two,
so that it stays exact: 4x4 divides by 16 like an average, 7x7 divides by 64 rather than 49, which the
next layer's weights absorb.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.nn.fold_time import fold_time


class MaxPool2d(nn.MaxPool2d):
    """nn.MaxPool2d over [T, B, C, H, W]."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H', W']."""
        return fold_time(super().forward, x, 3, "MaxPool2d")


class SumPool2d(nn.Module):
    """Sum over k x k windows, divided by the power of two at or above k^2.

    Args:
        kernel_size: k, side and stride of the window.
    """

    def __init__(self, kernel_size: int) -> None:
        super().__init__()
        if kernel_size < 1:
            raise ValueError(f"SumPool2d.kernel_size must be at least 1, got {kernel_size}.")
        self.kernel_size = kernel_size
        self.divisor = 1 << (kernel_size**2 - 1).bit_length()

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H // k, W // k]."""
        return fold_time(
            lambda z: F.avg_pool2d(z, self.kernel_size, divisor_override=self.divisor), x, 3, "SumPool2d"
        )

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, divisor={self.divisor}"
