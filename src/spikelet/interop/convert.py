"""What the conversions of all libraries share: swap the layers, fold the bytes, wrap."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import nn

from spikelet.base.errors import ConversionError
from spikelet.interop.converted import Converted, Forward
from spikelet.interop.pixels import fold_pixels
from spikelet.interop.swap import Swap
from spikelet.nn import Conv2d, Linear


@dataclasses.dataclass(frozen=True)
class Image:
    """What the network's input was: (scale * byte - mean) / std, read by the layer `first`."""

    scale: float
    mean: Sequence[float] | None
    std: Sequence[float] | None
    first: str | None


def convert(swap: Swap, image: Image, forward: Forward | None, *, per_step: bool) -> Converted:
    """The network of `swap` as a module of ours.

    Raises:
        ConversionError: a module has no counterpart, or the image's layer is not there.
    """
    net = swap(per_step=per_step)
    name = _first(net, image.first)
    layer = net.get_submodule(name)
    assert isinstance(layer, Conv2d | Linear), "as _first has seen"
    mean, std = (0.0,) if image.mean is None else image.mean, (1.0,) if image.std is None else image.std
    pooled = swap.factors.get(id(swap.net.get_submodule(name)), 1.0)
    called = name or type(net).__name__
    folded = fold_pixels(layer, called, image.scale, tuple(mean), tuple(std), pool_factor=pooled)
    model = Converted(_put(net, layer, folded.train(layer.training)), name, forward)
    model.training = swap.net.training  # its modules have theirs, which train() would lose
    return model


def _first(net: nn.Module, wanted: str | None) -> str:
    names = [name for name, m in net.named_modules() if isinstance(m, Conv2d | Linear)]
    if not names:
        raise ConversionError(f"{type(net).__name__} has no Conv2d or Linear, which would read the image.")
    if wanted is not None and wanted not in names:
        raise ConversionError(
            f"first must name the Conv2d or Linear that reads the image, got {wanted!r}; there are {names}."
        )
    return names[0] if wanted is None else wanted


def _put(net: nn.Module, old: nn.Module, new: nn.Module) -> nn.Module:
    """`net` with `new` wherever `old` was."""
    if net is old or new is old:
        return new if net is old else net
    for module in list(net.modules()):
        for name, child in module.named_children():
            if child is old:
                setattr(module, name, new)
    return net
