"""Weights whose square or sum would leave their type: powers of two take their size out, and put it back.

    W' = W 2^k,   k = -floor(log2 max|W|) - 1,   so that max|W'| lies in [1/2, 1]        k = 0 for zeros

A product with a power of two is exact, so whatever follows from ratios of W' is bit for bit what follows from those of
W, and subnormal weights and those near the largest number of their type are as good as others.

Backwards dL/dW = dL/dW' 2^min(k, 64): below 2^-64 (5e-20) a weight's true gradient grows out of the type.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spikelet.quant.recording import applied

MOST_GAIN = 64


class _AtUnitSize(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, exponent: Tensor) -> Tensor:
        ctx.save_for_backward(exponent)
        return times_power_of_two(weight, exponent)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (exponent,) = ctx.saved_tensors
        return times_power_of_two(grad, exponent.clamp(max=MOST_GAIN)), None


def unit_exponent(weight: Tensor, axes: tuple[int, ...]) -> Tensor:
    """k over `axes`, which stay with an extent of 1. No gradient."""
    largest = weight.detach().abs().amax(axes, keepdim=True)
    return torch.where(largest > 0, -torch.floor(torch.log2(largest)) - 1, torch.zeros_like(largest))


def at_unit_size(weight: Tensor, exponent: Tensor) -> Tensor:
    """W' with its gradient, for k of `unit_exponent`. See the module's equations."""
    return applied(_AtUnitSize, weight, exponent)


def unit_size(exponent: Tensor) -> Tensor:
    """What a size of 1 is in W', 2^k, within 2^-64..2^64."""
    return torch.exp2(exponent.clamp(-MOST_GAIN, MOST_GAIN))


def mean_size(weight: Tensor, axes: tuple[int, ...]) -> Tensor:
    """mean |W| over `axes`, which stay with an extent of 1."""
    exponent = unit_exponent(weight, axes)
    return times_power_of_two(times_power_of_two(weight, exponent).abs().mean(axes, keepdim=True), -exponent)


def times_power_of_two(x: Tensor, exponent: Tensor) -> Tensor:
    """x 2^k in two steps, as 2^k itself may leave the type."""
    half = torch.floor(exponent / 2)
    return x * torch.exp2(half) * torch.exp2(exponent - half)
