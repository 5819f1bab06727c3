"""Surrogate gradients: the derivative that the backward pass uses for the step 1[x >= 0].

x is membrane minus threshold. Every surrogate has `slope(x)` and its smooth `primitive(x)` with
d primitive / dx = slope.

    Triangle(width)     max(0, w - |x|) / w^2        Q-SNN's with w = 1
    Rectangle(width)    1[-w/2 <= x < w/2] / w
    ATan(alpha)         (a/2) / (1 + (pi a x / 2)^2)  SpikingJelly's default, a = 2
    Sigmoid(alpha)      a s (1 - s),  s = sigmoid(a x)
"""

from __future__ import annotations

import abc
import dataclasses
import math
import numbers
from typing import Any

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.quant.recording import applied

_FLAT = (
    30.0  # a slope of 1e-13: further out a gradient times the slope would be a subnormal number, tens of times slower
)


class Surrogate(abc.ABC):
    """A step in the forward pass with a smooth derivative in the backward pass. A tie fires (spec N1)."""

    @abc.abstractmethod
    def slope(self, x: Tensor) -> Tensor:
        """The derivative that the backward pass uses at x, elementwise."""

    @abc.abstractmethod
    def primitive(self, x: Tensor) -> Tensor:
        """A function whose derivative is `slope`."""

    def __call__(self, x: Tensor) -> Tensor:
        """1 where x >= 0, else 0, in the dtype of `x`."""
        return applied(_Fire, x, self)

    def count(self, x: Tensor, step: float | Tensor, levels: int) -> Tensor:
        """clip(floor(x / step) + 1, 0, levels); backwards `slopes`."""
        return applied(_Count, x, step, levels, self)

    def slopes(self, x: Tensor, step: float | Tensor, levels: int) -> Tensor:
        """The sum of slope(x - d * step) over d = 0..levels - 1."""
        slope = torch.zeros_like(x)
        for level in range(levels):
            slope = slope + self.slope(x - level * step)
        return slope


class _Fire(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.surrogate = surrogate
        return (x >= 0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return ctx.surrogate.slope(x) * grad, None


class _Count(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, step: float | Tensor, levels: int, surrogate: Surrogate) -> Tensor:
        ctx.save_for_backward(x)
        ctx.step, ctx.levels, ctx.surrogate = step, levels, surrogate
        return (torch.floor(x / step) + 1).clamp(0, levels)

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[Tensor, None, None, None]:  # type: ignore[override]
        (x,) = ctx.saved_tensors
        return grad * ctx.surrogate.slopes(x, ctx.step, ctx.levels), None, None, None


SMALLEST, LARGEST = 2.0**-20, 2.0**20


def _check_size(owner: str, value: float) -> None:
    """Beyond these sizes slopes leave float32."""
    if isinstance(value, bool) or not isinstance(value, numbers.Real) or not SMALLEST <= value <= LARGEST:
        raise SpikeletError(f"{owner} must be a number from 2^-20 to 2^20, got {value!r}.")


@dataclasses.dataclass(frozen=True)
class Triangle(Surrogate):
    """max(0, w - |x|) / w^2."""

    width: float = 1.0

    def __post_init__(self) -> None:
        _check_size("Triangle.width", self.width)

    def slope(self, x: Tensor) -> Tensor:
        slope = x.abs().neg_().add_(self.width).clamp_(min=0)  # in place: each new map costs as much as the arithmetic
        return slope if self.width == 1 else slope.div_(self.width**2)

    def primitive(self, x: Tensor) -> Tensor:
        x = x.clamp(-self.width, self.width)
        return 0.5 + x / self.width - x * x.abs() / (2 * self.width**2)


@dataclasses.dataclass(frozen=True)
class Rectangle(Surrogate):
    """1[-w/2 <= x < w/2] / w: windows side by side leave no gap."""

    width: float = 1.0

    def __post_init__(self) -> None:
        _check_size("Rectangle.width", self.width)

    def slope(self, x: Tensor) -> Tensor:
        return self._window(x, 0.0)

    def slopes(self, x: Tensor, step: float | Tensor, levels: int) -> Tensor:
        if isinstance(step, Tensor) or step != self.width:
            return super().slopes(x, step, levels)
        return self._window(x, (levels - 1) * step)  # windows side by side are one: a quarter of the memory at D = 4

    def _window(self, x: Tensor, last: float) -> Tensor:
        """1/w from -w/2 up to `last` + w/2, else 0."""
        return ((x >= -self.width / 2) & (x < last + self.width / 2)).to(x.dtype) / self.width

    def primitive(self, x: Tensor) -> Tensor:
        return x.clamp(-self.width / 2, self.width / 2) / self.width + 0.5


@dataclasses.dataclass(frozen=True)
class ATan(Surrogate):
    """(a/2) / (1 + (pi a x / 2)^2)."""

    alpha: float = 2.0

    def __post_init__(self) -> None:
        _check_size("ATan.alpha", self.alpha)

    def slope(self, x: Tensor) -> Tensor:
        return self.alpha / 2 / (1 + (math.pi / 2 * self.alpha * x).square())

    def primitive(self, x: Tensor) -> Tensor:
        return torch.atan(math.pi / 2 * self.alpha * x) / math.pi + 0.5


@dataclasses.dataclass(frozen=True)
class Sigmoid(Surrogate):
    """a s (1 - s) with s = sigmoid(a x)."""

    alpha: float = 4.0

    def __post_init__(self) -> None:
        _check_size("Sigmoid.alpha", self.alpha)

    def slope(self, x: Tensor) -> Tensor:
        s = torch.sigmoid((self.alpha * x).clamp(-_FLAT, _FLAT))
        return self.alpha * s * (1 - s)

    def primitive(self, x: Tensor) -> Tensor:
        return torch.sigmoid(self.alpha * x)
