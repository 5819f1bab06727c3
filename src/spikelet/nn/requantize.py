"""Currents in fewer bits: what a convolution may read, and what a residual stream may hold.

    y = u * clip(floor(x / u + 1/2), -2^(b-1), 2^(b-1) - 1)          u = 2^-p, a power of two

A convolution that read raw currents would leave the integers of float32 (2^24) after two of them; between the
convolutions of RepConv and SepConv (QSD-Transformer, arXiv:2501.13492), and before a head that reads a pooled stream,
`Requantize(8)` puts eight bits. A residual stream is kept in 16 bits with `Saturate()`.

Training has the same values; the gradient is 1 inside the range and 0 outside, that of a learned u is LSQ's (Esser et
al., ICLR 2020, arXiv:1902.08153), straight through the rounding. Differences from LSQ: u is a power of two, halves
round up, and its gradient is not scaled. In the integer graph: one affine with a clip.
"""

from __future__ import annotations

import abc
import math
import numbers

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole
from spikelet.nn.evaluation import require_exact_type
from spikelet.quant.grid import FRACTION_BITS, round_half_up, straight_through

REACH = 64


class Clipped(nn.Module, abc.ABC):
    """b-bit currents on a grid of 2^-p. See the module's equations.

    Attributes:
        bits: b.
        low, high: the smallest and largest integer.
    """

    def __init__(self, bits: int, smallest: int, largest: int) -> None:
        super().__init__()
        if not is_whole(bits) or bits not in range(smallest, largest + 1):
            raise SpikeletError(f"{type(self).__name__}.bits must be {smallest} to {largest}, got {shown(bits)}.")
        self.bits = bits = int(bits)
        self.low, self.high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1

    @abc.abstractmethod
    def exponent(self) -> int:
        """p: a unit is 2^-p."""

    @abc.abstractmethod
    def unit(self, x: Tensor) -> Tensor:
        """u, with its gradient where it is learned."""

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, ...] -> the same."""
        if not self.training:
            require_exact_type(type(self).__name__, x)
        unit = self.unit(x)
        scaled = (x / unit).clamp(self.low, self.high)
        return straight_through(scaled, round_half_up(scaled.double()).to(x.dtype)) * unit


class Requantize(Clipped):
    """Currents in a few bits, whose unit may be learned.

    Args:
        bits: 2 to 8.
        reach: largest current that it is to hold at first; the unit begins near reach / 2^(bits - 1).
        learn: whether the unit is a parameter (a buffer otherwise).
    Raises:
        SpikeletError: bits out of range, or a reach that is not positive.
    """

    log2_unit: Tensor

    def __init__(self, bits: int = 8, reach: float = 4.0, learn: bool = True) -> None:
        super().__init__(bits, 2, 8)
        if isinstance(reach, bool) or not isinstance(reach, numbers.Real) or not 0 < reach < math.inf:
            raise SpikeletError(f"Requantize.reach must be a positive number, got {shown(reach)}.")
        first = torch.tensor(math.log2(reach) - bits + 1)
        if learn:
            self.log2_unit = nn.Parameter(first)
        else:
            self.register_buffer("log2_unit", first)

    def exponent(self) -> int:
        """p, a whole number in -8..12. Raises SpikeletError where log2_unit is NaN or infinite."""
        if not torch.isfinite(self.log2_unit):
            raise SpikeletError(f"log2_unit must be finite, got {self.log2_unit.item()}. (Its training diverged.)")
        return int(self._exponent())

    def _exponent(self) -> Tensor:
        return (-round_half_up(self.log2_unit.detach())).clamp(-8, FRACTION_BITS)

    def unit(self, x: Tensor) -> Tensor:
        """u, with the gradient of its logarithm."""
        learned = torch.exp2(self.log2_unit.clamp(-REACH, REACH))  # so that its gradient is finite wherever it went
        return straight_through(learned, torch.exp2(-self._exponent())).to(x.dtype)

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


class Saturate(Clipped):
    """Currents on a fixed grid that stop at the ends of `bits` bits: 16 bits of 2^-8 hold -128 to 128 - 2^-8.

    Args:
        bits: 2 to 31.
        fraction_bits: p, 0 to 12; a unit is 2^-p.
    Raises:
        SpikeletError: bits or fraction_bits out of range.
    """

    def __init__(self, bits: int = 16, fraction_bits: int = 8) -> None:
        super().__init__(bits, 2, 31)
        if not is_whole(fraction_bits) or fraction_bits not in range(FRACTION_BITS + 1):
            raise SpikeletError(f"Saturate.fraction_bits must be 0 to {FRACTION_BITS}, got {shown(fraction_bits)}.")
        self.fraction_bits = int(fraction_bits)

    def exponent(self) -> int:
        """p."""
        return self.fraction_bits

    def unit(self, x: Tensor) -> Tensor:
        """2^-p."""
        return torch.tensor(2.0**-self.fraction_bits, dtype=x.dtype, device=x.device)

    def extra_repr(self) -> str:
        return f"bits={self.bits}, fraction_bits={self.fraction_bits}"
