"""Convolution and linear layers whose weights pass through a quantizer, time first.

    y[t] = W_q * x[t] + b,   W_q = quantizer(W),   b rounded to the grid 2^-12

In evaluation a layer with a bias rounds W_q * x[t] to the grid before it adds b, and the products are exact: autocast
and TensorFloat-32 are off (evaluation.py).

They subclass torch's own layers, so tools that look for nn.Conv2d and nn.Linear find them.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import instance
from spikelet.nn.evaluation import exact_products, require_exact_type
from spikelet.nn.fold_time import fold_time
from spikelet.quant.grid import round_to_grid, straight_through
from spikelet.quant.quantizer import Quantizer


class _Quantized(nn.Module):
    """A layer whose `quantizer` is its own: assigning one asks it for the part that belongs to this layer's weight."""

    weight: Tensor

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "quantizer":
            instance(type(self).__name__, Quantizer, quantizer=value)
            self._modules.pop(name, None)  # torch refuses a plain value in a module's place
            value = value.for_layer(self.weight)
        super().__setattr__(name, value)


class _Convolution(_Quantized):
    """A convolution: torch's own, which stands behind it among the bases, pads with zeros alone."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        quantizer: Quantizer,
        *,
        bias: bool = False,
        **kw: Any,
    ) -> None:
        super().__init__(in_channels, out_channels, kernel_size, bias=bias, **kw)  # type: ignore[call-arg]
        _require_zero_padding(self)
        self.quantizer = quantizer


class Conv2d(_Convolution, nn.Conv2d):
    """nn.Conv2d over maps [T, B, C, H, W] with quantized weights; `bias` is off unless asked for.

    Raises:
        SpikeletError: padding_mode other than "zeros", or padding given as a word.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, O, H', W']."""
        return _convolved(self, x, 3)


class Conv1d(_Convolution, nn.Conv1d):
    """nn.Conv1d over sequences or tokens [T, B, C, L] with quantized weights; `bias` is off unless asked for.

    Raises:
        SpikeletError: padding_mode other than "zeros", or padding given as a word.
    """

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, L] -> [T, B, O, L']."""
        return _convolved(self, x, 2)


class Linear(_Quantized, nn.Linear):
    """nn.Linear over [T, B, I] with quantized weights, over tokens [T, B, N, I], or over [B, I] after a mean over time;
    `bias` is off unless asked for."""

    def __init__(self, in_features: int, out_features: int, quantizer: Quantizer, *, bias: bool = False) -> None:
        super().__init__(in_features, out_features, bias=bias)
        self.quantizer = quantizer

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, I] -> [T, B, O]. Raises SpikeletError where `x` has another number of axes."""
        if x.dim() not in (2, 3, 4):
            raise SpikeletError(
                f"Linear takes [T, B, I], [T, B, N, I] or [B, I], got shape {tuple(x.shape)}. "
                "(Use x.flatten(2) before it.)"
            )
        if not self.training:
            require_exact_type("Linear", x)
        with exact_products(self):
            y = F.linear(x, self.quantizer(self.weight))
        return _add_bias(self, y, 0)


class ConvTranspose2d(nn.Module):
    """A transposed convolution over maps [T, B, C, H, W]: zeros between the positions, then a convolution.

        y = conv(x spread by `stride` zeros),   sides (H - 1) stride - 2 padding + kernel + output_padding

    Its function is that of nn.ConvTranspose2d whose weight [I, O, k, k] is `conv.weight` [O, I, k, k] with both axes of
    the kernel turned round. In the integer graph: a gather and a convolution.

    Args:
        in_channels, out_channels, kernel_size, quantizer: as in Conv2d.
        stride: positions from one input to the next.
        padding: rows and columns that are cut off on each side, at most kernel_size - 1.
        output_padding: rows and columns of the second sides' edge that are added, below stride.
        bias: whether a bias is added.
    Raises:
        SpikeletError: stride, padding or output_padding out of range.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        quantizer: Quantizer,
        stride: int = 1,
        padding: int = 0,
        *,
        output_padding: int = 0,
        bias: bool = False,
    ) -> None:
        super().__init__()
        if stride < 1 or not 0 <= padding < kernel_size or not 0 <= output_padding < max(stride, 2):
            raise SpikeletError(
                "ConvTranspose2d takes a stride from 1 on, a padding below kernel_size and an output_padding below "
                f"stride, got stride={stride}, padding={padding}, output_padding={output_padding}."
            )
        self.stride, self.padding, self.output_padding = stride, padding, output_padding
        self.conv = Conv2d(in_channels, out_channels, kernel_size, quantizer, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, O, H', W']."""
        if x.dim() != 5:
            raise SpikeletError(f"ConvTranspose2d takes [T, B, C, H, W], got shape {tuple(x.shape)}.")
        between, side = self.stride - 1, self.conv.kernel_size[0] - 1 - self.padding
        spread = F.pad(x.unsqueeze(4).unsqueeze(6), (0, between, 0, 0, 0, between)).flatten(5).flatten(3, 4)
        end = side - between + self.output_padding
        return self.conv(F.pad(spread, (side, end, side, end)))


def _convolved(layer: Conv1d | Conv2d, x: Tensor, sample_dims: int) -> Tensor:
    if not layer.training:
        require_exact_type(type(layer).__name__, x)
    weight = layer.quantizer(layer.weight)
    if _costly_in_half_precision(layer, x):
        with torch.autocast("cpu", enabled=False):
            return _times(layer, x.float(), weight.float(), sample_dims)
    return _times(layer, x, weight, sample_dims)


def _costly_in_half_precision(layer: Conv1d | Conv2d, x: Tensor) -> bool:
    """Whether this is a depthwise convolution in training on a CPU under autocast: its backward pass takes 2.5 to 3.2
    times as long in bfloat16 as in float32 (results/LOG.md)."""
    depthwise = layer.groups == layer.in_channels > 1
    return layer.training and depthwise and x.device.type == "cpu" and torch.is_autocast_enabled("cpu")


def _times(layer: Conv1d | Conv2d, x: Tensor, weight: Tensor, sample_dims: int) -> Tensor:
    with exact_products(layer):
        y = fold_time(lambda z: layer._conv_forward(z, weight, None), x, sample_dims, type(layer).__name__)
    return _add_bias(layer, y, sample_dims - 1)


def _add_bias(layer: Conv1d | Conv2d | Linear, y: Tensor, axes_behind: int) -> Tensor:
    if layer.bias is None:
        return y
    on_grid = straight_through(layer.bias, round_to_grid(layer.bias.detach()))
    return (y if layer.training else round_to_grid(y)) + on_grid.view(-1, *[1] * axes_behind)


def _require_zero_padding(layer: Any) -> None:
    if layer.padding_mode != "zeros" or isinstance(layer.padding, str):
        raise SpikeletError(
            f"{type(layer).__name__} supports zero padding given as numbers, got padding={layer.padding!r}, "
            f"padding_mode={layer.padding_mode!r}. Pad before it, F.pad(x, (1, 1, 1, 1), mode='circular'), and give it "
            "padding=0."
        )
