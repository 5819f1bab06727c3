"""Pooling over [T, B, C, H, W].

MaxPool2d of spikes is an OR. SumPool2d is an average with its divisor rounded up to a power of two,
so that it stays exact: 4x4 divides by 16 like an average, 7x7 divides by 64 rather than 49, which the
next layer's weights absorb. Windows may be rectangular: (1, N) sums a sequence.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole, power_of_two_from
from spikelet.nn.fold_time import fold_time


class MaxPool2d(nn.MaxPool2d):
    """nn.MaxPool2d over [T, B, C, H, W].

    Raises:
        SpikeletError: return_indices, which has no meaning over time.
    """

    def __init__(self, *args: Any, **kw: Any) -> None:
        super().__init__(*args, **kw)
        if self.return_indices:
            raise SpikeletError("MaxPool2d supports return_indices=False, got True.")

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H', W']."""
        return fold_time(self._pool, x, 3, "MaxPool2d")

    def _pool(self, x: Tensor) -> Tensor:
        return F.max_pool2d(x, self.kernel_size, self.stride, self.padding, self.dilation, self.ceil_mode)


class SumPool2d(nn.Module):
    """Sum over windows, divided by the power of two at or above their number of positions.

    Args:
        kernel_size: k for k x k, or (rows, columns); side and stride of the window.
    Raises:
        SpikeletError: a side below 1.
    """

    def __init__(self, kernel_size: int | tuple[int, int]) -> None:
        super().__init__()
        sides: Any = (kernel_size, kernel_size) if is_whole(kernel_size) else kernel_size
        if not isinstance(sides, tuple | list) or len(sides) != 2 or not all(is_whole(n) and n >= 1 for n in sides):
            raise SpikeletError(
                "SumPool2d.kernel_size must be a whole number or a pair of them, each at least 1, "
                f"got {shown(kernel_size)}."
            )
        rows, columns = map(int, sides)
        self.kernel_size = rows if is_whole(kernel_size) else (rows, columns)
        self.divisor = power_of_two_from(rows * columns)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H // rows, W // columns]."""
        return fold_time(lambda z: F.avg_pool2d(z, self.kernel_size, divisor_override=self.divisor), x, 3, "SumPool2d")

    def extra_repr(self) -> str:
        return f"kernel_size={self.kernel_size}, divisor={self.divisor}"
