"""A user's subclass of a layer of torch whose forward is code of its own, which is kept as a network's code is.

    class Standardised(nn.Conv2d):                                  convolution of weights that the code computes
        def forward(self, x): return F.conv2d(x, self.standardised(self.weight), self.bias, self.stride, self.padding)

What it calls of weights becomes a layer in the first pass (weights_in_code.py). So the module itself is no layer of the
converted network, which quantizers would look for: its parameters and buffers are, as a network's own ones are.
"""

from __future__ import annotations

import copy
from typing import Any

from torch import nn

from spikelet.interop.site import Site

KEPT = (nn.Conv1d, nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)


class OwnCode(nn.Module):
    """Runs the forward of `layer`, and has all that is its own: parameters, buffers, its mode, and its attributes."""

    __slots__ = ("layer",)  # outside of what both have

    def __init__(self, layer: nn.Module) -> None:
        self.__dict__ = layer.__dict__
        object.__setattr__(self, "layer", layer)  # not as a module of this one

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer's own forward gives."""
        return self.layer.forward(*args, **kwargs)

    def __reduce__(self) -> Any:
        """What makes one anew around a copy of the layer."""
        return OwnCode, (self.layer,)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.layer, name)


def own_code(layer: nn.Module, site: Site) -> OwnCode:
    """The rule of such a layer."""
    return OwnCode(copy.deepcopy(layer))
