"""Bits that the values of a tensor need."""

from __future__ import annotations

import numpy as np
from torch import Tensor

from spikelet.quant.grid import FRACTION_BITS


def bits_of(x: Tensor) -> int:
    """The fewest bits that hold every value of `x` as an integer on its power-of-two grid, 32 where there is
    no such grid down to 2^-12; one more bit where a value is negative."""
    scaled = x.double() * 2**FRACTION_BITS
    if not bool((scaled == scaled.floor()).all()) or bool((scaled.abs() >= 2**52).any()):
        return 32
    integers = scaled.long().cpu().numpy()
    used = int(np.bitwise_or.reduce(np.abs(integers), axis=None))
    zeros = (used & -used).bit_length() - 1 if used else 0
    top = int(np.abs(integers).max(initial=0)) >> zeros
    return min(max(top.bit_length(), 1) + bool((integers < 0).any()), 32)


def are_spikes(x: Tensor) -> bool:
    """Whether every value is -1, 0 or 1."""
    return bool(((x == 0) | (x.abs() == 1)).all())


def spike_bits(x: Tensor, spiking: bool) -> int:
    """`bits_of(x)`, and of `spiking` values 1, or 2 where one is negative."""
    return 1 + bool((x < 0).any()) if spiking else bits_of(x)
