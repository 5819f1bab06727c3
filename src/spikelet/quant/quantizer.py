"""What a weight quantizer is: one function `encode`, called by training, profiling and lowering alike.

    w  --encode-->  codes * scale        codes: small integers, scale: a positive power of two a channel

    grid          codes of b bits                                           1 bit
    "symmetric"   -L, -L + 1 .. L,  L = 2^(b-1) - 1: zero is among them     -1, +1: always "symmetric" by name
    "odd"         -s, -s + 2 .. s,  s = 2^b - 1: all 2^b of them, no zero

A power-of-two scale costs nothing where BatchNorm follows (its gain absorbs the rest) and keeps
every product exact in float32.
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Literal

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True)
class Coded:
    """Weights as integers.

    codes: float tensor holding integers of the grid, of the weight's shape [O, ...].
    scale: power of two, [O, 1, ...], broadcastable over `codes`.
    bits: storage per code.
    grid: which integers the codes are, see the module's table.
    """

    codes: Tensor
    scale: Tensor
    bits: int
    grid: Literal["symmetric", "odd"] = "symmetric"

    @property
    def top(self) -> int:
        """The largest code there is."""
        return 2**self.bits - 1 if self.grid == "odd" or self.bits == 1 else 2 ** (self.bits - 1) - 1


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
