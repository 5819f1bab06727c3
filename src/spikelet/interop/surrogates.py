"""Surrogate gradients of other libraries. They shape training only: the forward pass is LIF's.

    library        theirs                       here
    SpikingJelly   Sigmoid(alpha), ATan(alpha)  the same
    snnTorch       sigmoid(slope), atan(alpha)  Sigmoid(slope), ATan(alpha)
    either         any other                    Borrowed(theirs)

snnTorch's functions are closures, so their constant is read from the closure; its default is atan(2).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikelet.base.errors import WrongType
from spikelet.neurons import ATan, Sigmoid, Surrogate


@dataclasses.dataclass(frozen=True)
class Borrowed(Surrogate):
    """The derivative that another library's spike function pretends to have: what its backward pass makes of a 1.

    Its primitive is unknown, and its area need not be 1 (that of snnTorch's fast_sigmoid(25) is 0.08).
    """

    function: Callable[[Tensor], Tensor]

    def slope(self, x: Tensor) -> Tensor:
        """d function / dx, elementwise."""
        with torch.enable_grad():
            x = x.detach().requires_grad_()
            y = self.function(x).sum()
        return torch.autograd.grad(y, x)[0] if y.requires_grad else torch.zeros_like(x)  # a surrogate switched off

    def primitive(self, x: Tensor) -> Tensor:
        """Raises WrongType: only the derivative of this function is known."""
        raise WrongType(f"{self.function!r} is known by its backward pass only, and has no primitive here.")


def of_spikingjelly(function: nn.Module) -> Surrogate:
    """The surrogate of a SpikingJelly neuron's `surrogate_function`."""
    ours = {"Sigmoid": Sigmoid, "ATan": ATan}.get(type(function).__name__)
    return Borrowed(function) if ours is None else ours(float(function.alpha))  # type: ignore[arg-type]


def of_snntorch(function: Callable[[Tensor], Tensor]) -> Surrogate:
    """The surrogate of a snnTorch neuron's `spike_grad`."""
    made_by = getattr(function, "__qualname__", "").partition(".")[0]
    ours = {"sigmoid": Sigmoid, "atan": ATan}.get(made_by)
    cells = getattr(function, "__closure__", None)
    if ours is None or not cells or not getattr(function, "__module__", "").startswith("snntorch."):
        return Borrowed(function)
    return ours(float(cells[0].cell_contents))
