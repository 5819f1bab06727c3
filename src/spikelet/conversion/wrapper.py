"""A module around a layer that can be asked for what the layer has: code between layers may ask for `weight.dtype`."""

from __future__ import annotations

from typing import Any

from torch import nn


class Wrapper(nn.Module):
    """A module with the attributes of the layer inside of it, beside its own.

    Attributes:
        inside: the name of that layer's attribute.
    """

    inside = "layer"

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name == self.inside:  # a copy that has nothing yet
                raise
            return getattr(getattr(self, self.inside), name)
