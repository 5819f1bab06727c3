"""What a weight quantizer is: one function `encode`, called by training, profiling and lowering alike.

    w  --encode-->  codes * scale        codes: small integers, scale: a positive power of two per channel

The integers that a code of b bits may be are those of its grid: see `spikelet.base.codes`.

A power-of-two scale costs nothing where BatchNorm follows (its gain absorbs the rest) and keeps every product exact in
float32.

Most quantizers are frozen values, which layers share. One that learns, such as a step for each output channel, has two
parts: a value that says what to build (`QuantizerSpec`), and a module that holds one layer's tensors
(`LayerQuantizer`). A layer asks every quantizer it is given for its own, `quantizer.for_layer(weight)`.
"""

from __future__ import annotations

import abc
import copy
import dataclasses
import math
from typing import Literal

import torch
from torch import Tensor, nn

from spikelet.base.codes import top_code


@dataclasses.dataclass(frozen=True)
class Coded:
    """Weights as integers.

    codes: float tensor holding integers of the grid, of the weight's shape [O, ...].
    scale: power of two, [O, 1, ...], broadcastable over `codes`.
    bits: storage per code.
    grid: which integers the codes are (spikelet.base.codes).
    """

    codes: Tensor
    scale: Tensor
    bits: int
    grid: Literal["symmetric", "odd", "full"] = "symmetric"

    @property
    def top(self) -> int:
        """The largest magnitude of a code."""
        return top_code(self.bits, self.grid)


class Quantizer(abc.ABC):
    """`encode` says what the weight becomes, `__call__` makes it differentiable."""

    bits: int

    @abc.abstractmethod
    def encode(self, weight: Tensor) -> Coded:
        """Codes and scale of `weight` [O, ...]. No gradient."""

    @abc.abstractmethod
    def __call__(self, weight: Tensor) -> Tensor:
        """`codes * scale` exactly, with the method's surrogate gradient."""

    def for_layer(self, weight: Tensor) -> Quantizer:
        """The quantizer that a layer with this weight holds: a value itself, a module's copy."""
        return copy.deepcopy(self) if isinstance(self, nn.Module) else self

    @property
    def spec(self) -> Quantizer:
        """What two layers with the same quantizer have in common, which compares equal."""
        return self


class QuantizerSpec(Quantizer):
    """A quantizer whose layers each hold tensors of their own; a frozen dataclass that makes them.

    `encode` and `__call__` do what a layer's own quantizer does before it has learned anything.
    """

    @abc.abstractmethod
    def for_layer(self, weight: Tensor) -> LayerQuantizer:
        """A new layer quantizer, its tensors initialised from `weight` [O, ...]."""

    def encode(self, weight: Tensor) -> Coded:
        return self.for_layer(weight).encode(weight)

    def __call__(self, weight: Tensor) -> Tensor:
        return self.for_layer(weight)(weight)


class LayerQuantizer(nn.Module, Quantizer):
    """The quantizer of one layer, with tensors of its own: `forward` is differentiable, `encode` gives the codes.

    Parameters and buffers may have one entry, one per output channel, [O], [O, 1, ...], or one per weight, the weight's
    shape. They are saved with the layer, trained with it, and cut when the layer loses channels.
    """

    def __init__(self, spec: QuantizerSpec) -> None:
        super().__init__()
        self._spec = spec
        self.bits = spec.bits

    @property
    def spec(self) -> Quantizer:
        return self._spec

    def for_layer(self, weight: Tensor) -> Quantizer:
        """A new quantizer of the same spec, its tensors initialised from `weight`."""
        return self._spec.for_layer(weight)

    @abc.abstractmethod
    def forward(self, weight: Tensor) -> Tensor:
        """`codes * scale` exactly, with gradients to the weight and to the quantizer's own tensors."""


def power_of_two_near(x: Tensor, top: int = 1, dtype: torch.dtype | None = None) -> Tensor:
    """2^round(log2 x), x > 0; 1 where x is 0 (an all-zero channel may have any scale).

    Args:
        x: sizes.
        top: the largest code.
        dtype: of the weights, where it is not that of `x`. The power is a normal number of it, and so is `top` times
            the power.
    """
    return _power(torch.floor(torch.log2(_positive(x)) + 0.5), top, dtype or x.dtype)


def power_of_two_above(x: Tensor, top: int = 1) -> Tensor:
    """2^ceil(log2 x), x > 0; 1 where x is 0. `top` as in `power_of_two_near`."""
    return _power(torch.ceil(torch.log2(_positive(x))), top, x.dtype)


def _positive(x: Tensor) -> Tensor:
    return torch.where(x > 0, x, torch.ones_like(x))


def _power(exponent: Tensor, top: int, dtype: torch.dtype) -> Tensor:
    limits = torch.finfo(dtype)
    smallest, largest = math.frexp(limits.tiny)[1] - 1, math.frexp(limits.max)[1] - top.bit_length()
    return torch.exp2(exponent.clamp(smallest, largest)).to(dtype)
