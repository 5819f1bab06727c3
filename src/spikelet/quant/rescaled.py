"""QP-SNN's weights: uniform levels without a zero, in units of the weights' own size.

    s    = 2^b - 1,  b = 1..8
    code = 2 round( s/2 (clip(W / gamma, -1, 1) + 1) ) - s  =  2 floor( s/2 clip(W / gamma, -1, 1) ) + 1
    W^   = scale * code,   scale = 2^round(log2(gamma / s))          per output channel, or one for the layer

Codes are the odd integers -s, -s + 2 .. s. At 1 bit they are the sign: `Binary(standardize=False)` without its
gradient. gamma (ReScaW, "rescaling") is what decides how much of the grid is used:

    MeanAbs      mean |W|                                      the paper's choice
    MaxAbs       max |W|
    Percentile   max(|P_x|, |P_(1-x)|) of W
    WideMeanAbs  mean |W| (2^b - 1) / 2^(b-1)                  of the supplement's Spikingformer
    Unit         1                                             without ReScaW: the paper's plain baseline

Backwards, with G = dL/dW^:

    AmplifiedGradient   dL/dW = G / gamma                             as the authors' code does it, and the default: no
                        weight is left without a gradient; under Adam 1 / gamma hardly matters, under SGD it is a rate
                        that much higher
    MaskedGradient      dL/dW = G  where |W / gamma| <= 1, else 0     as the paper writes it

Source: Wei et al., "QP-SNN: Quantized and Pruned Spiking Neural Networks", ICLR 2025, arXiv:2502.05905. Where we
differ:

* The scale is the power of two nearest to gamma / s, and codes are decided with gamma itself, so that weights are
  clipped where the paper clips them. The factor, between 2^-1/2 and 2^1/2 a channel, is absorbed by a batch norm
  behind the layer. Without one it stays: logits of a classifier would be out by a factor of their own each, which is
  why `per_channel=False` (one factor for all) is the choice there. Gradients leave it out.
* Halves round up where torch rounds them to even: a weight of exactly 0 becomes +1 (spec Q1).
* gamma = 0 counts as 1: a channel of zeros gets the lowest positive level (the paper: W^ = 0).
* The text takes gamma per layer, the code per output channel: the code is our default. Percentile's x is not given;
  0.01 is the one that the paper measures the use of bits with.

    ReScaW(2)(weight)          ReScaW(4, gamma=Unit(), gradient=MaskedGradient())(weight)
"""

from __future__ import annotations

import abc
import dataclasses
from typing import Any

import torch
from torch import Tensor

from spikelet.base.codes import top_code
from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole
from spikelet.quant.magnitude import MOST_GAIN
from spikelet.quant.quantizer import Coded, Quantizer, power_of_two_near
from spikelet.quant.recording import applied


class Gamma(abc.ABC):
    """What one step of the grid is measured by."""

    @abc.abstractmethod
    def of(self, rows: Tensor, bits: int) -> Tensor:
        """gamma [R] of the weights `rows` [R, N], float64: a channel each, or all of a layer in one row."""


@dataclasses.dataclass(frozen=True)
class MeanAbs(Gamma):
    """mean |W|, to which 42 % of normally distributed weights are clipped."""

    def of(self, rows: Tensor, bits: int) -> Tensor:
        return rows.abs().mean(1)


@dataclasses.dataclass(frozen=True)
class WideMeanAbs(Gamma):
    """mean |W| times 1.5 at 2 bits, 1.875 at 4, 1.992 at 8."""

    def of(self, rows: Tensor, bits: int) -> Tensor:
        return rows.abs().mean(1) * (2**bits - 1) / 2 ** (bits - 1)


@dataclasses.dataclass(frozen=True)
class MaxAbs(Gamma):
    """max |W|: nothing is clipped."""

    def of(self, rows: Tensor, bits: int) -> Tensor:
        return rows.abs().amax(1)


@dataclasses.dataclass(frozen=True)
class Percentile(Gamma):
    """max(|P_x|, |P_(1-x)|): a share of up to 2 x is clipped. Percentiles are interpolated linearly."""

    x: float = 0.01

    def __post_init__(self) -> None:
        if not 0 <= self.x < 0.5:
            raise SpikeletError(
                f"Percentile.x must lie in [0, 0.5), got {self.x}. (It is the share cut off at each end.)"
            )

    def of(self, rows: Tensor, bits: int) -> Tensor:
        ends = torch.tensor([self.x, 1 - self.x], dtype=rows.dtype, device=rows.device)
        return torch.quantile(rows, ends, dim=1).abs().amax(0)


@dataclasses.dataclass(frozen=True)
class Unit(Gamma):
    """1, whatever the weights."""

    def of(self, rows: Tensor, bits: int) -> Tensor:
        return torch.ones_like(rows[:, 0])


@dataclasses.dataclass(frozen=True)
class MaskedGradient:
    """dL/dW = dL/dW^ where |W / gamma| <= 1, else 0."""

    def slope(self, weight: Tensor, gamma: Tensor) -> Tensor:
        """dW^/dW as the backward pass pretends it to be."""
        return (weight.abs() <= gamma).to(weight.dtype)


@dataclasses.dataclass(frozen=True)
class AmplifiedGradient:
    """dL/dW = dL/dW^ / gamma, where gamma is at least 2^-64; a smaller one counts as that."""

    def slope(self, weight: Tensor, gamma: Tensor) -> Tensor:
        """dW^/dW as the backward pass pretends it to be."""
        return (1 / gamma.clamp(min=2.0**-MOST_GAIN)).expand_as(weight)


class _Pretended(torch.autograd.Function):
    """`value` forwards, `slope` times the gradient backwards."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, value: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(slope)
        return value.clone()

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        (slope,) = ctx.saved_tensors
        return grad * slope, None, None


@dataclasses.dataclass(frozen=True)
class ReScaW(Quantizer):
    """Weights on the odd grid. See the module's equations.

    Raises:
        SpikeletError: bits is not 1 to 8.
    """

    bits: int = 2
    gamma: Gamma = dataclasses.field(default_factory=MeanAbs)
    gradient: AmplifiedGradient | MaskedGradient = dataclasses.field(default_factory=AmplifiedGradient)
    per_channel: bool = True

    def __post_init__(self) -> None:
        if not is_whole(self.bits) or self.bits not in range(1, 9):
            raise SpikeletError(
                f"ReScaW.bits must be 1 to 8, got {shown(self.bits)}. (For float weights use FullPrecision().)"
            )
        object.__setattr__(self, "bits", int(self.bits))

    def _measured(self, weight: Tensor) -> tuple[Tensor, Tensor]:
        """W, and gamma [O, 1, ...], both float64: in float32 a weight far below gamma would lose its sign to rounding,
        and codes would depend on the device's order of summation."""
        w = weight.detach().double()
        gamma = self.gamma.of(w.flatten(1) if self.per_channel else w.reshape(1, -1), self.bits)
        gamma = torch.where(gamma > 0, gamma, torch.ones_like(gamma))
        return w, gamma.view(-1, *(1,) * (w.ndim - 1)).expand(w.shape[0], *(1,) * (w.ndim - 1))

    def _coded(self, w: Tensor, gamma: Tensor, dtype: torch.dtype) -> Coded:
        s = top_code(self.bits, "odd")
        # the product is exact and the quotient rounded once, so that halves are seen as halves
        codes = 2 * torch.floor(w.clamp(-gamma, gamma) * (s / 2) / gamma) + 1
        grid = "symmetric" if self.bits == 1 else "odd"  # at 1 bit the two are one, and that is its name
        return Coded(codes.to(dtype), power_of_two_near(gamma / s, s, dtype), self.bits, grid)

    def encode(self, weight: Tensor) -> Coded:
        return self._coded(*self._measured(weight), weight.dtype)

    def __call__(self, weight: Tensor) -> Tensor:
        w, gamma = self._measured(weight)
        coded = self._coded(w, gamma, weight.dtype)
        slope = self.gradient.slope(w, gamma).to(weight.dtype)
        return applied(_Pretended, weight, coded.codes * coded.scale, slope)
