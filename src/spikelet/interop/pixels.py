"""The scale, mean and std of a network's images, folded exactly into the weights of the layers that read them.

    theirs   x[c] = (scale * u - mean[c]) / std[c]        u = 0 .. 255; scale = 1/255 for ToTensor and x.float() / 255
    ours     x    = u / 256                               (spikelet.nn.Encode)

so with f[c] = 256 * scale / std[c] and o[c] = -mean[c] / std[c], theirs[c] = f[c] * ours[c] + o[c], and

    W * theirs + b = (W f) * ours + (b + sum over c and the window of W o)

The sum is a bias where the convolution doesn't pad. Where it does, no byte stands for the zeros around the normalised
image: a bias would be added at the borders in full. There the first layer becomes a `PixelConv`, with a second
convolution of the same geometry that reads a constant image of ones, padded with zeros like the other:

    y = (W f) * ours + (W o) * ones + b          both exact at every position; the second is the same for every image

Without a mean there is only the factor, and the first pass, which sees what reads the image, puts it into the weights
of those layers. With a mean they must be known before, as biases and convolutions are added.

The fold is right for layers that read the image, or a pool of it, and for nothing else (uses.py sees to that). Where
other code uses the image, `ScaledImage` gives it theirs itself, rounded to the grid 2^-12.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.interop.image import Image
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, Linear
from spikelet.nn.norm import MAX_GAIN
from spikelet.nn.times_constant import TimesConstant
from spikelet.quant import FullPrecision
from spikelet.quant.grid import round_to_grid


class ScaledImage(nn.Module):
    """round(f[c] * x) + o[c] on the grid 2^-12, also while the network trains. Nothing of it is learned.

    Args:
        image: what the network was fed; f and o are its gain and offset, f rounded to 15 bits (`snap_gain`).
        channels: C; None where nobody knows it, and f and o are one number for all.
        sample_axes: 3 for maps [C, H, W], 2 for sequences [C, L], 1 for vectors [C].
    Raises:
        ConversionError: f is 512 or more.
    """

    gain: Tensor

    def __init__(self, image: Image, channels: int | None, sample_axes: int = 3) -> None:
        super().__init__()
        gain, offset = image.gain_and_offset()
        if gain.max() >= MAX_GAIN:
            raise ConversionError(
                f"first=() can scale an image by less than {MAX_GAIN / 256:.3g} a byte, got scale / std = "
                f"{gain.max().item() / 256:.3g}. Name the layers that read the image instead: first=(...)."
            )
        self.times, self.offset = TimesConstant().eval(), float(round_to_grid(offset[:1]))
        self.register_buffer("gain", gain[0], persistent=False)
        if channels is None:
            self.norm = None
            return
        self.norm = (BatchNorm2d if sample_axes == 3 else BatchNorm1d)(channels, eps=0.0)
        with torch.no_grad():
            self.norm.weight.copy_(gain).requires_grad_(False)
            self.norm.bias.copy_(offset).requires_grad_(False)
        self.norm.eval()

    def train(self, mode: bool = True) -> ScaledImage:
        """The module itself; its parts stay in evaluation, as it has nothing to learn."""
        super().train(mode)
        for part in self.children():
            part.eval()
        return self

    def forward(self, x: Tensor) -> Tensor:
        """Bytes / 256 [T, B, C, H, W] -> what the network was fed, of the same shape."""
        if self.norm is not None:
            return self.norm(x)
        scaled = self.times(x, self.gain)
        return scaled + self.offset if self.offset else scaled


class PixelConv(nn.Module):
    """A convolution of bytes that were normalised before they were padded. See the module's equations.

    Args:
        pixels: reads the image.
        border_weight: [O, I / groups, kh, kw] or [O, I / groups, k], the weights W o that read the ones.
    """

    def __init__(self, pixels: Conv1d | Conv2d, border_weight: Tensor) -> None:
        super().__init__()
        self.pixels = pixels
        norm = BatchNorm1d if isinstance(pixels, Conv1d) else BatchNorm2d
        self.ones = norm(pixels.in_channels).to(border_weight)  # gain 0, offset 1, for good
        nn.init.zeros_(self.ones.weight.requires_grad_(False))
        nn.init.ones_(self.ones.bias.requires_grad_(False))
        self.border = type(pixels)(
            pixels.in_channels, pixels.out_channels, pixels.kernel_size, FullPrecision(),  # type: ignore[arg-type]
            stride=pixels.stride, padding=pixels.padding, dilation=pixels.dilation, groups=pixels.groups,
        )  # fmt: skip
        self.border.weight = nn.Parameter(border_weight, requires_grad=pixels.weight.requires_grad)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, O, H', W']."""
        return self.pixels(x) + self.border(self.ones(x))


def pixel_factor(layer: Conv1d | Conv2d | Linear, name: str, image: Image) -> Tensor:
    """f of the module's equations, float64, shaped to multiply the weight of a layer that reads the image.

    Raises:
        ConversionError: std doesn't fit the layer.
    """
    return 256 * image.scale / _along(image.std, layer, name, "std")


def fold_pixels(
    layer: Conv1d | Conv2d | Linear, name: str, image: Image, *, pool_factor: float = 1.0
) -> Conv1d | Conv2d | Linear | PixelConv:
    """The layer, reading bytes / 256 instead of what the network was fed. Changes `layer`.

    Args:
        layer: reads the image, a Linear flattened channel by channel.
        name: for errors.
        image: what the network was fed.
        pool_factor: what its weights hold of an average pool before it (layers.py), which a mean does not go through.
    Raises:
        ConversionError: mean or std doesn't fit the layer.
    """
    weight = layer.weight.detach().double()
    factor = pixel_factor(layer, name, image)
    offset = -_along(image.mean, layer, name, "mean")
    offset = offset * factor / (256 * image.scale * pool_factor)
    with torch.no_grad():
        border = (weight * offset).to(layer.weight.dtype)
        layer.weight.copy_(weight * factor)
        if not offset.any():
            return layer
        if isinstance(layer, Conv1d | Conv2d) and any(layer.padding):
            return PixelConv(layer, border)
        total = border.double().flatten(1).sum(1).to(border.dtype)
        layer.bias = nn.Parameter(total if layer.bias is None else layer.bias + total)
    return layer


def _along(values: tuple[float, ...], layer: Conv1d | Conv2d | Linear, name: str, what: str) -> Tensor:
    """One number a channel, shaped to multiply `layer`'s weight; for grouped convolutions [O, I / groups, 1, 1]."""
    inputs = layer.in_features if isinstance(layer, Linear) else layer.in_channels
    fits = inputs % len(values) == 0 if isinstance(layer, Linear) else len(values) in (1, inputs)
    if not fits:
        raise ConversionError(f"{what} must have one number a channel of {name}'s {inputs} inputs, got {len(values)}.")
    one_each = (
        torch.tensor(values, dtype=torch.float64).to(layer.weight.device).repeat_interleave(inputs // len(values))
    )
    if isinstance(layer, Linear):
        return one_each
    per_group = one_each.view(layer.groups, 1, -1).expand(-1, layer.out_channels // layer.groups, -1)
    return per_group.reshape(layer.out_channels, -1, *[1] * len(layer.kernel_size))
