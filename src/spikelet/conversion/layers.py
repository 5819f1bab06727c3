"""The layers of a twin: spikelet's own on time folded into the batch, with the units of their inputs and outputs.

    y = W x + b           W' = W u / w,   b' = b / w                         u: unit of the input, w: of the output
    y = batch norm of x   mean' = mean / u,  var' = var / u^2,  eps' = eps / u^2,  gamma' = gamma / w,  beta' = beta / w

so that w y' = y where u x' = x.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikelet.conversion.numbered import InPlace
from spikelet.conversion.wrapper import Wrapper
from spikelet.interop.layers import TORCH
from spikelet.interop.site import Site
from spikelet.nn import BatchNorm1d, BatchNorm2d, Conv1d, Conv2d, ConvTranspose2d, Linear
from spikelet.quant.quantizer import Quantizer

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.ConvTranspose2d, nn.Linear)
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d)
OURS = (Conv1d, Conv2d, ConvTranspose2d, Linear, BatchNorm1d, BatchNorm2d)
ABSORBING = frozenset((*WEIGHTED, *NORMS, *OURS))


def absorbs(module: nn.Module) -> bool:
    """Whether a layer's weights or norm can take the units of its input and output."""
    return type(module) in ABSORBING


class Folded(Wrapper, InPlace):
    """A time-first layer on [T * B, ...], as plain Python code calls it.

    Args:
        layer: takes [T, B, ...] and treats all steps alike.
    """

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        """[T * B, ...] -> the same."""
        return self.layer(x.unsqueeze(0)).flatten(0, 1)


def counterpart(layer: nn.Module, name: str, u: float, w: float) -> nn.Module:
    """A copy of one of torch's layers as spikelet's, with the units `u` of its input and `w` of its output.

    Raises:
        ConversionError: it has no counterpart; by its name.
    """
    new = TORCH[type(layer)](layer, Site(name, 1, False, True)).train(layer.training)
    return with_units(new, u, w)


@torch.no_grad()
def with_units(layer: Any, u: float, w: float) -> nn.Module:
    """One of spikelet's layers, changed so that it reads units `u` and gives units `w`."""
    if isinstance(layer, ConvTranspose2d):
        with_units(layer.conv, u, w)
    elif u == w == 1:
        pass
    elif isinstance(layer, BatchNorm1d | BatchNorm2d):
        _norm_with_units(layer, u, w)
    else:
        layer.weight.mul_(u / w)
        if layer.bias is not None:
            layer.bias.div_(w)
    return layer


def _norm_with_units(norm: BatchNorm1d | BatchNorm2d, u: float, w: float) -> None:
    assert norm.running_mean is not None
    assert norm.running_var is not None
    if norm.weight is None:
        norm.weight = nn.Parameter(torch.ones_like(norm.running_mean), requires_grad=False)
        norm.bias = nn.Parameter(torch.zeros_like(norm.running_mean), requires_grad=False)
        norm.affine = True
    norm.running_mean.div_(u)
    norm.running_var.div_(u * u)
    norm.eps /= u * u
    norm.weight.div_(w)
    norm.bias.div_(w)


def quantize(layer: nn.Module, quantizer: Quantizer) -> None:
    """Gives every full-precision weight of `layer` this quantizer."""
    for part in layer.modules():
        if isinstance(part, Conv1d | Conv2d | Linear) and part.quantizer.bits == 32:
            part.quantizer = quantizer


def folded(layer: nn.Module) -> nn.Module:
    """`layer` on time folded into the batch; a Linear is so as it is."""
    return layer if isinstance(layer, Linear) else Folded(layer)
