"""The fixed-point grids on which training, evaluation and deployment meet.

    currents and membranes   x = R * 2^-F        R integer, F = FRACTION_BITS = 12, threshold 1.0 = 4096
    gains                    A = m * 2^-e        m a signed integer of at most 15 bits

A current of magnitude below 2^(24-F) = 4096 is exact in float32, so a network whose eval-mode
arithmetic stays on these grids gives the same spikes in float32, float64 and int32. Rounding itself is
done in float64: in float32 the 1/2 would be lost from 2^23 grid steps on.

Rounding is half up, floor(x + 1/2), everywhere in this package (spec Q4): it is the one rounding
that an integer shift can do. A neuron's charge rounds so too, but where its leak is 2^-k it floors (spec N2).
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.quant.magnitude import times_power_of_two
from spikelet.quant.recording import applied, is_recorded

FRACTION_BITS = 12
GAIN_BITS = 15


class _StraightThrough(torch.autograd.Function):
    """Returns `value` exactly; `x + (value - x).detach()` would be off by a rounding error."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, value: Tensor) -> Tensor:
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        return grad, None


def straight_through(x: Tensor, value: Tensor) -> Tensor:
    """`value` in the forward pass, the gradient of `x` in the backward pass."""
    return applied(_StraightThrough, x, value)


def round_half_up(x: Tensor) -> Tensor:
    """floor(x + 1/2): 0.5 -> 1, -0.5 -> 0, 1.5 -> 2 (spec Q4)."""
    return torch.floor(x + 0.5)


def round_to_grid(x: Tensor) -> Tensor:
    """Nearest multiple of 2^-FRACTION_BITS, halves up; the gradient passes straight through."""
    value = (round_half_up(x.detach().double() * 2**FRACTION_BITS) * 2.0**-FRACTION_BITS).to(x.dtype)
    return straight_through(x, value) if x.requires_grad else value


def floor_to_grid(x: Tensor) -> Tensor:
    """Largest multiple of 2^-FRACTION_BITS that is not above `x`; the gradient passes straight through."""
    value = (torch.floor(x.detach().double() * 2**FRACTION_BITS) * 2.0**-FRACTION_BITS).to(x.dtype)
    return straight_through(x, value) if x.requires_grad else value


def times_on_grid(gain: Tensor, x: Tensor) -> Tensor:
    """The nearest multiple of 2^-FRACTION_BITS to A x, halves up, as float64; A is `gain` as m * 2^-e (`snap_gain`)."""
    return round_to_grid(snap_gain(gain) * x.double())


def split_gain(gain: Tensor) -> tuple[Tensor, Tensor]:
    """(m, e) with gain ~ m * 2^-e and 2^14 <= |m| < 2^15, or (0, 0) where gain is 0.

    Args:
        gain: finite real numbers of any shape, taken as float64.
    Returns:
        m: int64, e: int64, of the shape of `gain`. The relative error is at most 2^-15.
    Raises:
        SpikeletError: a gain is NaN or infinite.
    """
    gain = gain.detach().double()
    if not is_recorded() and not torch.isfinite(gain).all():
        raise SpikeletError(
            f"gain must be finite, got {gain[~torch.isfinite(gain)][0].item()}. "
            "(Look for a diverged BatchNorm: NaN weights or running statistics.)"
        )
    # a power of two that log2 takes for its neighbour gives the same m and e; (torch.compile can't compile torch.frexp)
    exponent = torch.floor(torch.log2(torch.where(gain == 0, torch.ones_like(gain), gain.abs()))) + 1
    m = round_half_up(times_power_of_two(gain, GAIN_BITS - exponent)).long()
    carried = m.abs() == 2**GAIN_BITS  # rounding reached the next power of two
    m = torch.where(carried, m // 2, m)
    e = GAIN_BITS - exponent.long() - carried.long()
    return m, torch.where(m == 0, torch.zeros_like(e), e)


def snap_gain(gain: Tensor) -> Tensor:
    """The float64 number m * 2^-e of `split_gain`."""
    m, e = split_gain(gain)
    return times_power_of_two(m.double(), -e.double())
