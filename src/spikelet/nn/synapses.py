"""Convolution and linear layers whose weights pass through a quantizer, time first.

    y[t] = W_q * x[t] + b,   W_q = quantizer(W),   b rounded to the grid 2^-12

In evaluation a layer with a bias rounds W_q * x[t] to the grid before it adds b.

They subclass torch's own layers, so tools that look for nn.Conv2d and nn.Linear find them.
"""

from __future__ import annotations

from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.nn.fold_time import fold_time
from spikelet.quant.grid import round_to_grid, straight_through
from spikelet.quant.quantizer import Quantizer


def _add_bias(y: Tensor, bias: Tensor | None, channel_axis: int, exact: bool) -> Tensor:
    if bias is None:
        return y
    on_grid = straight_through(bias, round_to_grid(bias.detach()))
    shape = [-1] + [1] * (y.dim() - channel_axis - 1)
    return (round_to_grid(y) if exact else y) + on_grid.view(shape)


class _Quantized(nn.Module):
    """A layer whose `quantizer` is its own: assigning one asks it for the part that belongs to this layer's weight."""

    weight: Tensor

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "quantizer":
            self._modules.pop(name, None)  # torch refuses a plain value in a module's place
            value = value.for_layer(self.weight)
        super().__setattr__(name, value)


class Conv2d(_Quantized, nn.Conv2d):
    """nn.Conv2d over [T, B, C, H, W] with quantized weights; `bias` is off unless asked for.

    Raises:
        ValueError: padding_mode other than "zeros", padding given as a word, or dilation other than 1.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        quantizer: Quantizer,
        *,
        bias: bool = False,
        **kw: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias, **kw)
        if self.padding_mode != "zeros" or isinstance(self.padding, str):
            raise ValueError(
                f"Conv2d supports zero padding given as numbers, got padding={self.padding!r}, "
                f"padding_mode={self.padding_mode!r}."
            )
        if self.dilation != (1, 1):
            raise ValueError(f"Conv2d supports dilation 1, got {self.dilation}.")
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, O, H', W']."""
        weight = self.quantizer(self.weight)
        y = fold_time(lambda z: self._conv_forward(z, weight, None), x, 3, "Conv2d")
        return _add_bias(y, self.bias, 2, exact=not self.training)


class Linear(_Quantized, nn.Linear):
    """nn.Linear over [T, B, I] with quantized weights, or [B, I] after a mean over time; `bias` is off unless asked
    for."""

    def __init__(self, in_features: int, out_features: int, quantizer: Quantizer, *, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, I] -> [T, B, O]. Raises ValueError where `x` has another number of axes."""
        if x.dim() not in (2, 3):
            raise ValueError(
                f"Linear takes [T, B, I] or [B, I], got shape {tuple(x.shape)}. (Use x.flatten(2) before it.)"
            )
        return _add_bias(F.linear(x, self.quantizer(self.weight)), self.bias, 2, exact=not self.training)
