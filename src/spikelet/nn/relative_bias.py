"""A learned bias for every pair of positions in a window, by their distance in rows and columns and by head.

    b[g, i, j] = table[(r_i - r_j + M - 1)(2M - 1) + (c_i - c_j + M - 1), g]        rounded to the grid 2^-12

i and j are positions of an M x M window, r and c their rows and columns. Pairs that a shift brought together, and which
are no neighbours in the map, have -100 more, which silences every score. Source: Swin (arXiv:2103.14030).
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikelet.quant.grid import round_to_grid, straight_through

SILENCED = -100.0


class RelativeBias(nn.Module):
    """Constants for the scores of windows. See the module's equation.

    Args:
        heads: h.
        size: M.
        near: bool [G, M^2, M^2], which pairs of each window are neighbours (`shift_mask`); None where all are.
        std: standard deviation of the table's random start.
    """

    near: Tensor | None
    pair: Tensor  # int64 [M^2, M^2]

    def __init__(self, heads: int, size: int, near: Tensor | None = None, std: float = 0.02) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn((2 * size - 1) ** 2, heads) * std)
        self.register_buffer("pair", pairs_of(size), persistent=False)
        self.register_buffer("near", near, persistent=False)

    def on_grid(self) -> Tensor:
        """The bias as it is added, [h, 1, M^2, M^2], or [h, G, M^2, M^2] where windows differ, with the table's
        gradient."""
        learned = self.table[self.pair].movedim(-1, 0).unsqueeze(1)
        bias = straight_through(learned, round_to_grid(learned.detach()))
        return bias if self.near is None else bias.where(self.near, bias + SILENCED)

    def forward(self, scores: Tensor, part: Callable[[Tensor], Tensor]) -> Tensor:
        """[T, B, h', G, N, N'] -> the same, with the bias of those pairs that `part` selects from [h, 1 or G, N, N]."""
        return scores + part(self.on_grid())

    def extra_repr(self) -> str:
        return f"heads={self.table.shape[1]}, size={(round(len(self.table) ** 0.5) + 1) // 2}"


def pairs_of(size: int) -> Tensor:
    """The row of the table for every pair of positions of a window, int64 [M^2, M^2]."""
    rows, columns = torch.arange(size).repeat_interleave(size), torch.arange(size).repeat(size)
    down, right = (axis[:, None] - axis[None] + size - 1 for axis in (rows, columns))
    return down * (2 * size - 1) + right
