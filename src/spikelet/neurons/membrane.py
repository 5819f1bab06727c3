"""How a neuron stores its membrane between two time steps: in full precision, or in k bits.

    v = step * clip(floor(h / step + 1/2), -L, L),   L = 2^(k-1) - 1,   step = 2^round(learned)

Q-SNN (Wei et al., ACM MM 2024, arXiv:2406.13672) scales by the maximum of |h| over the whole batch at run time, and
its code first squashes with tanh: a sample's result then depends on its neighbours, and no device can
compute it. Ours is one static power of two a layer, learned with the network (the gradient of the step
is that of LSQ, arXiv:1902.08153, straight through the rounding), so that k bits of state and one shift are all a
device needs. Two bits hold {-step, 0, step}; the fourth code is unused, as in the paper.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole
from spikelet.quant.grid import FRACTION_BITS, round_half_up, straight_through

REACH = 64


class FullMembrane(nn.Module):
    """Stores the membrane in full precision, on the current's grid."""

    bits = 32

    def forward(self, v: Tensor) -> Tensor:
        """`v` itself."""
        return v


class QuantizedMembrane(nn.Module):
    """Stores the membrane in `bits` bits, with a learned power of two for a step. See the module's equations.

    Args:
        bits: 2 to 8.
    Raises:
        SpikeletError: other bits.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        if not is_whole(bits) or bits not in range(2, 9):
            raise SpikeletError(f"membrane_bits must be 2 to 8, or 32 for full precision, got {shown(bits)}.")
        self.bits = int(bits)
        self.top = 2 ** (bits - 1) - 1
        self.log2_step = nn.Parameter(torch.tensor(-math.log2(self.top)))

    def exponent(self) -> Tensor:
        """p of the step 2^-p, a whole number from 0 to FRACTION_BITS - 1. (A larger step than the threshold would store
        0 only, a smaller one would leave the grid after the leak.)"""
        return (-round_half_up(self.log2_step.detach())).clamp(0, FRACTION_BITS - 1)

    def forward(self, v: Tensor) -> Tensor:
        """`v` rounded to its k-bit levels, with gradients to `v` and to the step."""
        learned = torch.exp2(self.log2_step.clamp(-REACH, REACH))  # so that its gradient is finite wherever it went
        step = straight_through(learned, torch.exp2(-self.exponent()))
        scaled = (v / step).clamp(-self.top, self.top)
        return straight_through(scaled, round_half_up(scaled)) * step

    def extra_repr(self) -> str:
        return f"bits={self.bits}"


class BatchMaxMembrane(nn.Module):
    """The rule of Q-SNN's authors, for comparison: the scale is max |tanh h| over the batch, anew at every step.

        v = a / L * round(L * clip(tanh(h) / a, -1, 1)),   a = max |tanh h|, detached

    A sample's result depends on its neighbours, so it can't be lowered. (Rounds halves up, theirs to even.)
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.top = 2 ** (bits - 1) - 1

    def forward(self, v: Tensor) -> Tensor:
        """`v` rounded to 2^bits - 1 levels of this batch's own scale."""
        squashed = torch.tanh(v)
        step = squashed.detach().abs().max().clamp(min=1e-12) / self.top
        scaled = (squashed / step).clamp(-self.top, self.top)
        return straight_through(scaled, round_half_up(scaled)) * step


def membrane_of(bits: int) -> FullMembrane | QuantizedMembrane:
    """The membrane that a `membrane_bits=` argument names: quantized for 2 to 8, full precision for 32.

    Raises:
        SpikeletError: other bits.
    """
    return FullMembrane() if is_whole(bits) and bits == 32 else QuantizedMembrane(bits)
