"""A neuron's constants: one number for all channels, or one a channel, on the grids that integers need."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.neurons.neuron import Constant
from spikelet.quant.grid import FRACTION_BITS

LEAK_BITS = 12
LIMIT = 2 ** (23 - FRACTION_BITS)
Real = float | tuple[float, ...]
"""One number, or a tuple [C] of one a channel."""


def real(value: float | Sequence[float] | Tensor, owner: str) -> Real:
    """`value` as a float, or as a tuple of floats where it is a sequence or tensor of one axis.

    Raises:
        SpikeletError: a sequence without numbers, or a tensor of several axes; names `owner`.
    """
    if isinstance(value, np.ndarray):
        value = torch.from_numpy(value)
    if isinstance(value, Tensor):
        if value.dim() > 1:
            raise SpikeletError(
                f"{owner} must be a number or one a channel, got a tensor of shape {tuple(value.shape)}."
            )
        value = value.detach().double().tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        if not len(value):
            raise SpikeletError(f"{owner} must be a number or one a channel, got an empty list.")
        value = [real_number(v, owner) for v in value]
        return tuple(value)
    return real_number(value, owner)


def real_number(value: object, owner: str) -> float:
    """`value` as a float.

    Raises:
        SpikeletError: it is not a number; names `owner`.
    """
    if isinstance(value, int | float | np.integer | np.floating) and not isinstance(value, bool):
        return float(value)
    raise SpikeletError(f"{owner} must be a number or one a channel, got {shown(value)}.")


def numbers(value: Real) -> tuple[float, ...]:
    """The number, or those of all channels."""
    return value if isinstance(value, tuple) else (value,)


def off_grid(value: Real, bits: int = FRACTION_BITS) -> list[float]:
    """The numbers that are infinite, NaN or between two multiples of 2^-bits."""
    return [v for v in numbers(value) if not math.isfinite(v) or v * 2**bits % 1]


def like(value: Real, x: Tensor) -> float | Tensor:
    """`value` as it multiplies one step's currents x [B, C, ...].

    Raises:
        SpikeletError: `x` has another number of channels.
    """
    if not isinstance(value, tuple):
        return value
    if x.dim() < 2 or x.shape[1] != len(value):
        raise SpikeletError(
            f"a neuron with constants for {len(value)} channels got a current of shape {tuple(x.shape)} a step; "
            "the axis behind the batch is the channels."
        )
    return torch.tensor(value, dtype=x.dtype, device=x.device).view(-1, *[1] * (x.dim() - 2))


def integers(value: Real, bits: int = FRACTION_BITS) -> Constant:
    """`value` in units of 2^-bits: an int where all channels agree, else int32 [C]."""
    units = [round(v * 2**bits) for v in numbers(value)]
    return units[0] if len(set(units)) == 1 else np.array(units, np.int32)


def fewest_bits(*values: Real) -> int:
    """The smallest k for which all numbers are multiples of 2^-k, at most LEAK_BITS."""
    return next(k for k in range(LEAK_BITS + 1) if not any(off_grid(v, k) for v in values))
