"""What a weight quantizer is: one function `encode`, called by training, profiling and lowering alike.

    w  --encode-->  codes * scale        codes: small integers, scale: a positive power of two a channel

A power-of-two scale costs nothing where BatchNorm follows (its gain absorbs the rest) and keeps
every product exact in float32.
"""

from __future__ import annotations

import abc
import dataclasses

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Coded:
    """Weights as integers.

    codes: float tensor holding integers, of the weight's shape [O, ...]. 1 bit: -1 or +1;
        b bits: -(2^(b-1) - 1) .. 2^(b-1) - 1.
    scale: power of two, [O, 1, ...], broadcastable over `codes`.
    bits: storage per code.
    """

    codes: Tensor
    scale: Tensor
    bits: int


class Quantizer(abc.ABC):
    """`encode` says what the weight becomes, `__call__` makes it differentiable."""

    bits: int

    @abc.abstractmethod
    def encode(self, weight: Tensor) -> Coded:
        """Codes and scale of `weight` [O, ...]. No gradient."""

    @abc.abstractmethod
    def __call__(self, weight: Tensor) -> Tensor:
        """`codes * scale` exactly, with the method's surrogate gradient."""


def power_of_two_near(x: Tensor) -> Tensor:
    """2^round(log2 x), x > 0; 1 where x is 0 (an all-zero channel may have any scale)."""
    return torch.exp2(torch.floor(torch.log2(torch.where(x > 0, x, torch.ones_like(x))) + 0.5))


def power_of_two_above(x: Tensor) -> Tensor:
    """2^ceil(log2 x), x > 0; 1 where x is 0."""
    return torch.exp2(torch.ceil(torch.log2(torch.where(x > 0, x, torch.ones_like(x)))))
