"""Torch's own layers as spikelet's: one rule each, in one table. Weights are copied, quantizers are FullPrecision.

An average over k x k values side by side is SumPool2d(k) times f = divisor / k^2, with the divisor the power of two at
or above k^2: f = 1 for k = 2, 4, 8; any other f goes into the weights that read it (see swap.py). Where windows
overlap, are oblong or reach into padding, it is a mean, which means.py makes exact.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spikelet.base.errors import ConversionError
from spikelet.interop.site import Site
from spikelet.interop.windows import Average2d, Largest, adaptive, largest, mean_of_sequences, pair
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, ConvTranspose2d, Linear, MaxPool2d, SumPool2d
from spikelet.quant import FullPrecision

Rule = Callable[[Any, Site], nn.Module]


class Dropout(nn.Module):
    """Dropout over [T, B, ...]; the identity in evaluation.

    Args:
        p: share of values that become 0.
        maps: whole [H, W] maps rather than single values.
        held: one mask for all time steps (SpikingJelly's rule) rather than a new one at each (torch's).
    """

    def __init__(self, p: float, *, maps: bool = False, held: bool = False) -> None:
        super().__init__()
        self.p, self.maps, self.held = p, maps, held

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, ...] -> the same."""
        if not self.training:
            return x
        shape = [*(x.shape[:3] if self.maps else x.shape), *([1] * (x.dim() - 3) if self.maps else [])]
        mask = x.new_ones([1, *shape[1:]] if self.held else shape)
        return x * F.dropout(mask, self.p)

    def extra_repr(self) -> str:
        return f"p={self.p}, maps={self.maps}, held={self.held}"


class AdaptiveMean(nn.Module):
    """nn.AdaptiveAvgPool2d where all windows are of one size: of maps whose sides are multiples of the wanted ones, or
    divide them (a repetition).

    Args:
        size: H' and W' of the output.
    """

    def __init__(self, size: tuple[int | None, int | None]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H', W']. Raises ConversionError for any other pooling."""
        sides = tuple(x.shape[3:])
        wanted = tuple(have if want is None else want for want, have in zip(self.size, sides, strict=True))
        if wanted == sides:
            return x
        if wanted == (1, 1):
            return x.mean((3, 4), keepdim=True)
        if not any(want % have for want, have in zip(wanted, sides, strict=True)):
            rows, columns = (want // have for want, have in zip(wanted, sides, strict=True))
            return x.repeat_interleave(rows, 3).repeat_interleave(columns, 4)
        if not any(have % want for want, have in zip(wanted, sides, strict=True)):
            return F.adaptive_avg_pool2d(x.flatten(0, 1), wanted).unflatten(0, x.shape[:2])  # type: ignore[arg-type]
        raise ConversionError(
            f"adaptive average pooling of {sides[0]} x {sides[1]} maps to {wanted[0]} x {wanted[1]} takes windows of "
            "different sizes, which integers have no one divisor for. Choose sides of which one is a multiple of the "
            "other."
        )

    def extra_repr(self) -> str:
        return f"size={self.size}"


def copied(tensor: Tensor | None, factor: float = 1.0) -> nn.Parameter | None:
    """A parameter of its own with the values of `tensor` times `factor`; None stays None."""
    if tensor is None:
        return None
    return nn.Parameter(tensor.detach().clone() * factor, requires_grad=tensor.requires_grad)


def convolution(conv: nn.Conv1d | nn.Conv2d, site: Site) -> Conv1d | Conv2d:
    """The same convolution, time first."""
    ours = Conv1d if isinstance(conv, nn.Conv1d) else Conv2d
    try:
        new = ours(
            conv.in_channels, conv.out_channels, conv.kernel_size, FullPrecision(), bias=conv.bias is not None,  # type: ignore[arg-type]
            stride=conv.stride, padding=_padding(conv), dilation=conv.dilation, groups=conv.groups,
            padding_mode=conv.padding_mode,
        )  # fmt: skip
    except ValueError as e:
        raise ConversionError(f"{site.name}: {e}") from e
    new.weight, new.bias = copied(conv.weight, site.factor), copied(conv.bias)  # type: ignore[assignment]
    return new


def transposed_convolution(conv: nn.ConvTranspose2d, site: Site) -> ConvTranspose2d:
    """The same transposed convolution, time first: its kernel turned round, input and output channels exchanged."""
    sizes = [pair(v) for v in (conv.kernel_size, conv.stride, conv.padding, conv.output_padding)]
    if any(len(set(size)) > 1 for size in sizes) or conv.groups != 1 or pair(conv.dilation) != (1, 1):
        raise ConversionError(
            f"{site.name}: transposed convolutions must be square, without groups and dilation; got {conv}."
        )
    kernel, stride, padding, output_padding = (size[0] for size in sizes)
    try:
        new = ConvTranspose2d(
            conv.in_channels, conv.out_channels, kernel, FullPrecision(), stride, padding,
            output_padding=output_padding, bias=conv.bias is not None,
        )  # fmt: skip
    except ValueError as e:
        raise ConversionError(f"{site.name}: {e}") from e
    weight = copied(conv.weight.transpose(0, 1).flip(2, 3), site.factor)
    assert weight is not None
    weight.requires_grad_(conv.weight.requires_grad)
    new.conv.weight, new.conv.bias = weight, copied(conv.bias)  # type: ignore[assignment]
    return new


def _padding(conv: nn.Conv1d | nn.Conv2d) -> Any:
    """Padding as numbers, also where torch has a word for it and both sides get the same."""
    sides = [d * (k - 1) for k, d in zip(conv.kernel_size, conv.dilation, strict=True)]
    if conv.padding == "valid":
        return 0
    if conv.padding == "same" and not any(side % 2 for side in sides):
        return tuple(side // 2 for side in sides)
    return conv.padding


def linear(layer: nn.Linear, site: Site) -> Linear:
    """The same map, time first."""
    new = Linear(layer.in_features, layer.out_features, FullPrecision(), bias=layer.bias is not None)
    new.weight, new.bias = copied(layer.weight, site.factor), copied(layer.bias)  # type: ignore[assignment]
    return new


def batch_norm(norm: Any, site: Site) -> BatchNorm1d | BatchNorm2d:
    """The same norm with its statistics, over time and batch together."""
    if norm.running_mean is None or norm.running_var is None:
        raise ConversionError(
            f"{site.name}: a batch norm without running statistics can't be evaluated one sample at a time. Build it "
            "with track_running_stats=True."
        )
    name = next(cls.__name__ for cls in type(norm).__mro__ if cls.__name__.endswith(("1d", "2d", "3d")))
    ours = BatchNorm1d if name.endswith("1d") else BatchNorm2d
    new = ours(norm.num_features, norm.eps, norm.momentum, norm.affine)
    new.weight, new.bias = copied(norm.weight), copied(norm.bias)  # type: ignore[assignment]
    for name in ("running_mean", "running_var", "num_batches_tracked"):
        setattr(new, name, getattr(norm, name).detach().clone())
    return new


class NormOfFilms(nn.Module):
    """A batch norm of [B, C, T, H, W], or of time and batch in each other's place.

    Args:
        norm: of the same channels.
    """

    def __init__(self, norm: BatchNorm2d) -> None:
        super().__init__()
        self.norm = norm

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, T, H, W] -> the same."""
        return self.norm(x.movedim(2, 0)).movedim(0, 2)


def norm_of_films(norm: nn.BatchNorm3d, site: Site) -> NormOfFilms:
    """The same norm over batch, time and positions."""
    return NormOfFilms(batch_norm(norm, site))  # type: ignore[arg-type]


class RoundedUp(nn.Module):
    """A max pool whose last windows may reach beyond the map (ceil_mode).

    Such a window holds the map's last row or column, so that a repetition of it changes no maximum.

    Args:
        pool: the pool, whose windows end inside.
    """

    def __init__(self, pool: MaxPool2d) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, H', W']."""
        kernel, stride, padding = (pair(v)[0] for v in (self.pool.kernel_size, self.pool.stride, self.pool.padding))
        for axis in (3, 4):
            side = x.shape[axis]
            windows = -(-(side + 2 * padding - kernel) // stride) + 1
            windows -= (windows - 1) * stride >= side + padding  # it would begin behind the map
            more = (windows - 1) * stride + kernel - 2 * padding - side
            if more > 0:
                last = x.narrow(axis, side - 1, 1)
                x = torch.cat([x, *[last] * more], axis)
        return self.pool(x)


def max_pool(pool: nn.MaxPool2d, site: Site) -> nn.Module:
    """The same pool, time first."""
    if any(len(set(pair(value))) > 1 for value in (pool.kernel_size, pool.stride, pool.padding)):
        return largest(pool, site)
    if pair(pool.dilation) != (1, 1) or pool.return_indices:
        raise ConversionError(f"{site.name}: max pooling must be without dilation and return_indices; got {pool}.")
    ours = MaxPool2d(pool.kernel_size, pool.stride, pool.padding)
    return RoundedUp(ours) if pool.ceil_mode else ours


def average_factor(pool: nn.AvgPool2d) -> float:
    """The factor f of the module's equation; 1 where means.py finds it."""
    if not is_side_by_side(pool):
        return 1.0
    kernel = pair(pool.kernel_size)[0]
    return SumPool2d(kernel).divisor / kernel**2


def average_pool(pool: nn.AvgPool2d, site: Site) -> nn.Module:
    """The sum over the same windows; its factor `average_factor` goes into other weights."""
    kernel = pair(pool.kernel_size)
    if (
        pool.ceil_mode
        or pool.divisor_override is not None
        or (pair(pool.padding) != (0, 0) and not pool.count_include_pad)
    ):
        raise ConversionError(
            f"{site.name}: average pooling must be without ceil_mode and divisor_override, and count its padding as "
            f"zeros; got {pool}. Train with count_include_pad=True, or with a stride of its windows and no padding."
        )
    if is_side_by_side(pool):
        return SumPool2d(kernel[0])
    return Average2d(kernel, pair(pool.stride), pair(pool.padding))


def is_side_by_side(pool: nn.AvgPool2d) -> bool:
    """Whether the windows are squares side by side, without padding."""
    kernel = pair(pool.kernel_size)
    return kernel[0] == kernel[1] and pair(pool.stride) == kernel and pair(pool.padding) == (0, 0)


def adaptive_pool(pool: nn.AdaptiveAvgPool2d, site: Site) -> AdaptiveMean:
    """The same pool; whether it is exact depends on the maps."""
    return AdaptiveMean(pair(pool.output_size))


def flatten(layer: nn.Flatten, site: Site) -> nn.Flatten:
    """The same flattening, its axes one later where the layer saw one time step."""
    shift = int(site.per_step)
    return nn.Flatten(*(d + shift if d >= 0 else d for d in (layer.start_dim, layer.end_dim)))


def unflatten(layer: nn.Unflatten, site: Site) -> nn.Unflatten:
    """The same cut of an axis, which is one later where the layer saw one time step."""
    if not isinstance(layer.dim, int):
        raise ConversionError(f"{site.name}: Unflatten must name its axis by a number, got {layer.dim!r}.")
    shift = int(site.per_step and layer.dim >= 0)
    return nn.Unflatten(layer.dim + shift, layer.unflattened_size)


class Upsample(nn.Module):
    """Every position of a map repeated, or means of neighbours: nn.Upsample by the nearest position or bilinearly.

    Args:
        factor: a whole number.
        mode: "nearest", or "bilinear".
    """

    def __init__(self, factor: int, mode: str = "nearest") -> None:
        super().__init__()
        self.factor, self.mode = factor, mode

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, H, W] -> [T, B, C, factor H, factor W]. Raises ConversionError for anything else."""
        if x.dim() != 5:
            raise ConversionError(f"upsampling takes maps [T, B, C, H, W], got shape {tuple(x.shape)}.")
        if self.mode == "nearest":
            return x.repeat_interleave(self.factor, 3).repeat_interleave(self.factor, 4)
        return F.interpolate(x.flatten(0, 1), scale_factor=self.factor, mode=self.mode).unflatten(0, x.shape[:2])

    def extra_repr(self) -> str:
        return f"factor={self.factor}, mode={self.mode!r}"


class Resized(nn.Module):
    """Maps brought to a size: nn.Upsample(size=...), by the nearest position, or bilinearly where that is twice theirs.

    Args:
        size: H and W, or one number for both.
        mode: "nearest", or "bilinear".
    """

    def __init__(self, size: int | tuple[int, int], mode: str) -> None:
        super().__init__()
        self.size, self.mode = size, mode

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, h, w] -> [T, B, C, H, W]. Raises ConversionError for anything else."""
        if x.dim() != 5:
            raise ConversionError(f"upsampling takes maps [T, B, C, H, W], got shape {tuple(x.shape)}.")
        return F.interpolate(x.flatten(0, 1), self.size, mode=self.mode).unflatten(0, x.shape[:2])

    def extra_repr(self) -> str:
        return f"size={self.size}, mode={self.mode!r}"


def upsample(layer: nn.Upsample, site: Site) -> Upsample | Resized:
    """The same, where every position is repeated a whole number of times, a map becomes twice as large by means, or a
    size is told, which lowering compares with the map's."""
    if layer.size is not None and layer.mode in ("nearest", "bilinear") and not layer.align_corners:
        return Resized(layer.size, layer.mode)  # type: ignore[arg-type]
    factors = {layer.scale_factor} if not isinstance(layer.scale_factor, tuple) else set(layer.scale_factor)
    factor = next(iter(factors))
    means = layer.mode == "bilinear" and factor == 2 and not layer.align_corners
    is_known = layer.mode == "nearest" or means
    if factor is None or factor % 1 or len(factors) > 1 or not is_known:
        raise ConversionError(
            f"{site.name}: upsampling must repeat every position a whole number of times, mode='nearest' and "
            "scale_factor=2, 3 ..., or be mode='bilinear' with scale_factor=2 and align_corners=False, whose weights "
            f"are sixteenths (several of them for 4, 8 ...); got {layer}."
        )
    return Upsample(int(factor), layer.mode)


def kept(layer: nn.Module, site: Site) -> nn.Module:
    """A copy: torch's functions of any leading axes, which lowering knows."""
    return copy.deepcopy(layer)


def zeros_around(pad: nn.ZeroPad2d | nn.ConstantPad2d, site: Site) -> nn.Module:
    """The same padding. Raises ConversionError unless it is of zeros."""
    if pad.value != 0:
        raise ConversionError(f"{site.name}: padding must be of zeros, got {pad.value}. Use nn.ZeroPad2d.")
    return copy.deepcopy(pad)


def dropout(layer: Any, site: Site) -> Dropout:
    """Dropout with a new mask at every step, as torch's layers draw it."""
    return Dropout(layer.p, maps=isinstance(layer, nn.Dropout2d))


TORCH: dict[type[nn.Module], Rule] = {
    nn.Conv1d: convolution,
    nn.Conv2d: convolution,
    nn.ConvTranspose2d: transposed_convolution,
    nn.Linear: linear,
    nn.BatchNorm2d: batch_norm,
    nn.BatchNorm1d: batch_norm,
    nn.BatchNorm3d: norm_of_films,
    nn.MaxPool2d: max_pool,
    nn.AvgPool2d: average_pool,
    nn.AdaptiveAvgPool2d: adaptive_pool,
    nn.MaxPool1d: largest,
    nn.AvgPool1d: mean_of_sequences,
    nn.AdaptiveAvgPool1d: adaptive(Average2d),
    nn.AdaptiveMaxPool1d: adaptive(Largest),
    nn.AdaptiveMaxPool2d: adaptive(Largest),
    nn.ZeroPad2d: zeros_around,
    nn.ConstantPad2d: zeros_around,
    nn.PixelShuffle: kept,
    nn.PixelUnshuffle: kept,
    nn.ReLU: kept,
    nn.ReLU6: kept,
    nn.Hardtanh: kept,
    nn.Flatten: flatten,
    nn.Unflatten: unflatten,
    nn.Upsample: upsample,
    nn.UpsamplingNearest2d: upsample,
    nn.UpsamplingBilinear2d: upsample,
    nn.Dropout: dropout,
    nn.Dropout2d: dropout,
    nn.Identity: lambda layer, site: nn.Identity(),
}
