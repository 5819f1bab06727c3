"""The mean of two currents on their grid, as reversible residual streams need (BESTformer, arXiv:2501.05904).

    y = floor((a + b) / 2 + 1/2)   in units of 2^-p:   (a + b + 1) >> 1

(a + b) / 2 in Python is exact too, and each such half needs another bit: eight blocks would need eight. Rounding keeps
the unit. Training leaves the rounding out.
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole
from spikelet.nn.evaluation import require_exact_type
from spikelet.quant.grid import FRACTION_BITS, round_half_up


class Average(nn.Module):
    """(a + b) / 2, rounded half up to a grid in evaluation.

    Args:
        fraction_bits: p, 0 to 12; the grid is 2^-p. Streams that `Saturate()` keeps have 8.
    Raises:
        SpikeletError: fraction_bits out of range.
    """

    def __init__(self, fraction_bits: int = FRACTION_BITS) -> None:
        super().__init__()
        if not is_whole(fraction_bits) or fraction_bits not in range(FRACTION_BITS + 1):
            raise SpikeletError(f"Average.fraction_bits must be 0 to {FRACTION_BITS}, got {shown(fraction_bits)}.")
        self.fraction_bits = int(fraction_bits)

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """Two currents of one shape [T, B, ...] -> the same. Raises SpikeletError where shapes differ."""
        if a.shape != b.shape:
            raise SpikeletError(f"Average takes two currents of one shape, got {tuple(a.shape)} and {tuple(b.shape)}.")
        if self.training:
            return (a + b) / 2
        require_exact_type("Average", a)
        unit = 2.0**-self.fraction_bits
        return (round_half_up((a.double() + b.double()) / (2 * unit)) * unit).to(a.dtype)

    def extra_repr(self) -> str:
        return f"fraction_bits={self.fraction_bits}"
