"""Square windows of a map and back, and other gatherings of positions. They move elements and compute nothing.

windows(x, 4)            [T, B, C, H, W] -> [T, B, C, G, M]      G = (H/4)(W/4) windows of M = 16 positions each
merged(y, 4, (H, W))     the way back
shift=2                  of windows that begin 2 rows and columns further and go round at the edges (Swin, arXiv:
                         2103.14030); `shift_mask` says which positions of a window were neighbours before
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError


def windows(x: Tensor, size: int, shift: int = 0) -> Tensor:
    """The size x size windows of a map, [T, B, C, H, W] -> [T, B, C, G, size^2].

    Raises:
        SpikeletError: `x` has other axes, or a side that `size` does not divide.
    """
    if x.dim() != 5 or x.shape[3] % size or x.shape[4] % size:
        raise SpikeletError(
            f"windows of {size} x {size} take [T, B, C, H, W] with H and W multiples of {size}, got {tuple(x.shape)}."
        )
    x = x.roll((-shift, -shift), (3, 4)) if shift else x
    t, b, c, h, w = x.shape
    x = x.reshape(t, b, c, h // size, size, w // size, size)
    return x.permute(0, 1, 2, 3, 5, 4, 6).reshape(t, b, c, -1, size * size)


def merged(y: Tensor, size: int, shape: tuple[int, int], shift: int = 0) -> Tensor:
    """The map of `shape` (H, W) that `windows(x, size, shift)` took apart, [T, B, C, G, size^2] -> [T, B, C, H, W]."""
    t, b, c = y.shape[:3]
    h, w = shape
    x = y.reshape(t, b, c, h // size, w // size, size, size).permute(0, 1, 2, 3, 5, 4, 6).reshape(t, b, c, h, w)
    return x.roll((shift, shift), (3, 4)) if shift else x


def shift_mask(size: int, shift: int, shape: tuple[int, int]) -> Tensor:
    """Which pairs of positions in a shifted window lie next to each other in the map: bool [G, size^2, size^2]."""
    regions = torch.zeros(shape)
    for axis, length in enumerate(shape):
        part = torch.zeros(length)
        part[length - size : length - shift] = 1
        part[length - shift :] = 2
        regions += part.view(-1, 1) * 3 if axis == 0 else part
    g = windows(regions[None, None, None], size)[0, 0, 0]
    return g[:, :, None] == g[:, None, :]


class Gather(nn.Module):
    """Positions of a map by number: y[.., p'] = x[.., index[p']], and 0 where index is -1.

    Args:
        index: for every position of the new map, row by row, a position i * W + j of the old one, or -1.
        shape: (H', W') of the new map.
    Raises:
        SpikeletError: as many numbers as H' * W' are not given, or one below -1.
    """

    index: Tensor  # int64 [H' * W']

    def __init__(self, index: Sequence[int] | Tensor, shape: tuple[int, int]) -> None:
        super().__init__()
        positions = torch.as_tensor(index, dtype=torch.long).reshape(-1)
        if len(positions) != shape[0] * shape[1] or int(positions.min()) < -1:
            raise SpikeletError(
                f"Gather.index must list {shape[0]} x {shape[1]} positions from 0 on, or -1 for zeros, "
                f"got {len(positions)} with a smallest of {int(positions.min())}."
            )
        self.shape = shape
        self.register_buffer("index", positions)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H', W']. Raises SpikeletError where a position is not in the map."""
        if x.dim() != 5 or int(self.index.max()) >= x.shape[3] * x.shape[4]:
            raise SpikeletError(
                f"Gather of positions up to {int(self.index.max())} takes [T, B, C, H, W] with more of them, "
                f"got {tuple(x.shape)}."
            )
        zero = x.shape[3] * x.shape[4]
        index = torch.where(self.index < 0, zero, self.index)
        return F.pad(x.flatten(3), (0, 1)).index_select(3, index).unflatten(3, self.shape)

    def extra_repr(self) -> str:
        return f"shape={self.shape}"
