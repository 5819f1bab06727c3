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
    """Calls `layer`, and gives its attributes; parameters and buffers are those of both."""

    def __init__(self, layer: nn.Module) -> None:
        super().__init__()
        self.held = [layer]  # in a list, so that it is no module of this one
        self._parameters, self._buffers = layer._parameters, layer._buffers

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the layer's own forward gives."""
        return self.held[0](*args, **kwargs)

    def train(self, mode: bool = True) -> OwnCode:
        """Itself, the layer in the same mode."""
        self.held[0].train(mode)
        return super().train(mode)

    def __getattr__(self, name: str) -> Any:
        if "held" not in self.__dict__:  # while it is made, or copied
            return super().__getattr__(name)
        return getattr(self.held[0], name)


def own_code(layer: nn.Module, site: Site) -> OwnCode:
    """The rule of such a layer."""
    return OwnCode(copy.deepcopy(layer))
