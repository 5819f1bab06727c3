"""The steps that conversions of all libraries share: swap the layers, fold the bytes, wrap."""

from __future__ import annotations

from collections.abc import Sequence

from torch import nn

from spikelet.base.errors import ConversionError, WrongType
from spikelet.base.time_axis import TimeAxis
from spikelet.interop.converted import Converted, Forward
from spikelet.interop.image import Image, ImageOptions, image_of
from spikelet.interop.original import Original
from spikelet.interop.pixels import PixelConv, ScaledImage, fold_pixels, pixel_factor
from spikelet.interop.swap import Swap, put
from spikelet.nn import Conv1d, Conv2d, Linear

READERS = (Conv1d, Conv2d, Linear)


def require_module(net: object) -> None:
    """Raises ConversionError unless `net` is a module."""
    if not isinstance(net, nn.Module):
        raise ConversionError(f"net must be a torch.nn.Module, got {type(net).__name__}.")


def convert(
    swap: Swap, original: Original, options: ImageOptions, forward: Forward | None, *, per_step: bool
) -> Converted:
    """The network of `swap` as a spikelet module.

    Raises:
        ConversionError: a module has no counterpart, or the image's layers are not there.
    """
    net = swap(per_step=per_step)
    image, first = original.image, _first(net, options.get("first"))
    for name in first if image.has_mean else ():
        net = _fold(swap, net, name, image)
    for name in first if image.is_factor else ():
        pixel_factor(net.get_submodule(name), name, image)  # type: ignore[arg-type]
    axes = _sample_axes(net, first)
    finds_first = options.get("first") is None and image.is_factor
    is_scaled = not first and image.unit is None and not finds_first
    scaled = ScaledImage(image, _channels(net, image), axes[-1]) if is_scaled else None
    model = Converted(net, first, forward, original, scaled, axes[-1:] if is_scaled else axes, tuple(swap.one_step))
    model.finds_first = finds_first
    for part in (model, model.encode, model.times):
        part.training = swap.net.training  # its other modules have theirs, which train() would lose
    return model


def _fold(swap: Swap, net: nn.Module, name: str, image: Image) -> nn.Module:
    layer = net.get_submodule(name)
    assert isinstance(layer, READERS), "as _first has seen"
    pool_factor = swap.factors.get(id(swap.net.get_submodule(name)), 1.0)
    folded = fold_pixels(layer, name or type(net).__name__, image, pool_factor=pool_factor)
    return put(net, layer, folded.train(layer.training))


def _first(net: nn.Module, wanted: str | Sequence[str] | None) -> tuple[str, ...]:
    """Names of the layers that read the image; () for none of them."""
    names = [name for name, m in net.named_modules() if isinstance(m, READERS)]
    if not names and not any(weight.dim() > 1 for weight in (*net.parameters(), *net.buffers())):
        raise ConversionError(f"{type(net).__name__} has no Conv1d, Conv2d or Linear, which would read the image.")
    if wanted is None:
        return tuple(names[:1])
    chosen = (wanted,) if isinstance(wanted, str) else tuple(dict.fromkeys(wanted))
    for name in chosen:
        if name not in names:
            raise ConversionError(
                f"first must name the Conv1d, Conv2d or Linear that reads the image, got {name!r}; there are {names}."
            )
    return chosen


def _sample_axes(net: nn.Module, first: tuple[str, ...]) -> tuple[int, ...]:
    """How many axes a sample may have: what a convolution reads, or one less where the code gives images of one channel
    their axis; a Linear reads vectors, or maps that are flattened."""
    read = [net.get_submodule(name) for name in first] or [m for m in net.modules() if isinstance(m, READERS)]
    layer = next(iter(read), None)  # none where the code writes its layers as functions
    layer = layer.pixels if isinstance(layer, PixelConv) else layer
    if not isinstance(layer, Conv1d | Conv2d):
        return (1, 2, 3)
    axes = 2 if isinstance(layer, Conv1d) else 3
    return (axes - 1, axes) if layer.in_channels == 1 else (axes,)


def _channels(net: nn.Module, image: Image) -> int | None:
    """C of the image, where mean and std or a convolution say it."""
    told = max(len(image.mean), len(image.std))
    convolution = next((m for m in net.modules() if isinstance(m, Conv1d | Conv2d)), None)
    return told if told > 1 else None if convolution is None else convolution.in_channels


def original_of(
    net: nn.Module, options: ImageOptions, time_steps: int, time_axis: TimeAxis, has_body: bool
) -> Original:
    """The record of `net` that its conversion keeps. Raises ConversionError for options out of range."""
    unknown = set(options) - set(ImageOptions.__annotations__)
    if unknown:
        raise WrongType(f"{sorted(unknown)[0]!r} is no argument of a conversion.")
    return Original(net, image_of(options, time_axis), time_steps, time_axis, has_body)
