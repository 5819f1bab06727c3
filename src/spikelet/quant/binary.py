"""Q-SNN's 1-bit weights (Wei et al., ACM MM 2024, arXiv:2406.13672).

    Z = (W - mean W) / std W            per output channel: the weight half of weight-spike dual
                                        regulation, it puts as many weights above zero as below
    W_b = alpha * sign(Z),  alpha = 2^round(log2 mean|Z|)   per output channel, sign(0) = +1

Backward, d sign(z)/dz is replaced by
    EDE:   k t (1 - tanh^2(t z)),  t = 10^(-1 + 2 p),  k = max(1/t, 1),  p = progress of training in 0..1
    Clip:  1 where |z| <= 1, else 0     of standardised weights a third lies outside and learns nothing
    Straight:  1
and alpha counts as 2^64 at most.

Differences from the authors' code (Wenjie-Wei/Q-SNNs): sign(0) = +1 (theirs 0, so that "binary"
has three values); a channel of equal weights gives Z = 0 rather than NaN. The paper normalises per
layer, its code per channel: we follow the code.

Standardised weights have a size of about 1, whatever size they had, so something behind the layer must normalise; a
batch norm does. `standardize=False` keeps the weights' size (it is also the paper's ablation):
    W_b = alpha * sign(W),  alpha = 2^round(log2 mean|W|)   per output channel, or per layer with per_channel=False
"""

from __future__ import annotations

import dataclasses
from typing import Any

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.quant.magnitude import MOST_GAIN, at_unit_size, mean_size, unit_exponent, unit_size
from spikelet.quant.quantizer import Coded, Quantizer, power_of_two_near
from spikelet.quant.recording import applied


@dataclasses.dataclass(frozen=True)
class Straight:
    """The straight-through estimator."""

    def slope(self, z: Tensor) -> Tensor:
        """1, as the backward pass pretends d sign(z)/dz to be."""
        return torch.ones_like(z)

    def at(self, progress: float) -> Straight:
        """This estimator does not depend on training progress."""
        return self


@dataclasses.dataclass(frozen=True)
class Clip:
    """The straight-through estimator, clipped to |z| <= 1."""

    def slope(self, z: Tensor) -> Tensor:
        """d sign(z)/dz as the backward pass pretends it to be."""
        return (z.abs() <= 1).to(z.dtype)

    def at(self, progress: float) -> Clip:
        """This estimator does not depend on training progress."""
        return self


@dataclasses.dataclass(frozen=True)
class EDE:
    """Error decay estimator (IR-Net, arXiv:1909.10788): from a wide slope to a steep one as training goes on."""

    progress: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.progress <= 1:
            raise SpikeletError(f"EDE.progress must lie in [0, 1], got {self.progress}. (It is epoch / epochs.)")

    def slope(self, z: Tensor) -> Tensor:
        """k t (1 - tanh^2(t z))."""
        t = 10.0 ** (-1 + 2 * self.progress)
        return max(1 / t, 1.0) * t * (1 - torch.tanh(t * z).square())

    def at(self, progress: float) -> EDE:
        """The same estimator later in training."""
        return EDE(progress)


Estimator = Straight | Clip | EDE


class _Signed(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, z: Tensor, scale: Tensor, estimator: Estimator) -> Tensor:
        ctx.save_for_backward(z, scale)
        ctx.estimator = estimator
        return sign(z) * scale

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None]:  # type: ignore[override]
        z, scale = ctx.saved_tensors
        return grad * scale.clamp(max=2.0**MOST_GAIN) * ctx.estimator.slope(z), None, None


def sign(z: Tensor) -> Tensor:
    """-1 or +1; sign(0) = +1 (spec Q1)."""
    return (z >= 0).to(z.dtype) * 2 - 1


@dataclasses.dataclass(frozen=True)
class Binary(Quantizer):
    """1-bit weights. See the module's equations."""

    standardize: bool = True
    estimator: Estimator = dataclasses.field(default_factory=EDE)
    per_channel: bool = True
    bits: int = dataclasses.field(default=1, init=False)

    def at(self, progress: float) -> Binary:
        """The same quantizer at another point of training."""
        return dataclasses.replace(self, estimator=self.estimator.at(progress))

    def _standardized(self, weight: Tensor) -> Tensor:
        if not self.standardize:
            return weight
        axes = tuple(range(1, weight.ndim))
        exponent = unit_exponent(weight, axes)
        weight = at_unit_size(weight, exponent)  # Z is the same, and no square of a tiny or huge weight leaves its type
        centered = weight - weight.mean(axes, keepdim=True)
        variance = centered.square().sum(axes, keepdim=True).div(max(centered[0].numel() - 1, 1))
        # where() before sqrt(): the gradient of sqrt(0) is NaN, chosen or not
        deviation = torch.where(variance > 0, variance, torch.ones_like(variance)).sqrt()
        return centered / torch.where(variance > 0, deviation, unit_size(exponent))  # of equal weights: 1 of W's own

    def _scale(self, z: Tensor) -> Tensor:
        mean = mean_size(z.detach(), tuple(range(1 if self.per_channel else 0, z.ndim)))
        return power_of_two_near(mean).expand(z.shape[0], *(1,) * (z.ndim - 1))

    def encode(self, weight: Tensor) -> Coded:
        z = self._standardized(weight.detach())
        return Coded(sign(z), self._scale(z), self.bits)

    def __call__(self, weight: Tensor) -> Tensor:
        z = self._standardized(weight)
        return applied(_Signed, z, self._scale(z), self.estimator)
