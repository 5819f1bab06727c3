"""A shortcut without parameters: channels are taken, left out, repeated or filled with zeros, at a stride.

    y[t, b, c, i, j] = x[t, b, source[c], i * stride, j * stride],  or 0 where source[c] is -1

QP-SNN's ResNet20 (arXiv:2502.05905) halves its maps so: every other row and column, and as many channels of
zeros before as behind (one more behind where the number is odd; a negative number cuts channels off instead).

    ChannelMap.padded(64, 128, stride=2)        source: 32 times -1, 0 .. 63, 32 times -1

Pruning writes `source` anew: it is a buffer, so it is saved with the weights.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.whole import LARGEST, whole
from spikelet.nn.fold_time import fold_time


class ChannelMap(nn.Module):
    """Selects channels by number, at a stride. See the module's equations.

    Args:
        source: for every output channel, an input channel or -1.
        stride: of rows and columns.
    Raises:
        SpikeletError: `source` is empty or has a number below -1, or the stride is below 1.
    """

    source: Tensor  # int64 [C']

    def __init__(self, source: Sequence[int] | Tensor, stride: int = 1) -> None:
        super().__init__()
        channels = [int(c) for c in source]
        if min(channels, default=-2) < -1:
            raise SpikeletError(f"ChannelMap.source must list channels from 0 on, or -1 for zeros, got {channels}.")
        self.stride = whole(stride, "ChannelMap.stride", 1, LARGEST, SpikeletError)
        self.register_buffer("source", torch.tensor(channels, dtype=torch.long))

    @classmethod
    def padded(cls, c_in: int, c_out: int, stride: int = 1) -> ChannelMap:
        """A map of all `c_in` channels between zeros, or of the middle `c_out` of them."""
        c_in, c_out = (
            whole(n, f"ChannelMap.padded: {name}", 1, LARGEST, SpikeletError)
            for name, n in (("c_in", c_in), ("c_out", c_out))
        )
        before = (c_out - c_in) // 2 if c_out >= c_in else -((c_in - c_out) // 2)
        return cls([c - before if 0 <= c - before < c_in else -1 for c in range(c_out)], stride)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C', ceil(H / stride), ceil(W / stride)]."""
        return fold_time(self._map, x, 3, "ChannelMap")

    def _map(self, x: Tensor) -> Tensor:
        taken = x[:, :, :: self.stride, :: self.stride].index_select(1, self.source.clamp(min=0))
        return torch.where((self.source >= 0).view(-1, 1, 1), taken, torch.zeros((), dtype=x.dtype, device=x.device))

    def extra_repr(self) -> str:
        return f"{len(self.source)} channels, stride={self.stride}"
