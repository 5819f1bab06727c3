"""Surrogate gradients of other libraries. They shape training only: the forward pass is LIF's.

    library        theirs                       here
    SpikingJelly   Sigmoid(alpha), ATan(alpha)  the same
    snnTorch       sigmoid(slope), atan(alpha)  Sigmoid(slope), ATan(alpha)
    either         any other                    Borrowed(theirs)

snnTorch's functions are closures, so their constant is read from the closure; its default is atan(2). The spikes are
the function's own too, and a user's may be another than a step at 0: it is called on a few numbers, and refused then.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError, WrongType
from spikelet.neurons import ATan, Sigmoid, Surrogate
from spikelet.nn.device import device_of

ABOVE = (2.0**-10, 0.125, 0.5, 1.0, 4.0, 100.0)


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


@torch.no_grad()
def fires_at_zero(function: Callable[[Tensor], Tensor], name: str) -> bool:
    """Whether a neuron whose spike function this is fires on its threshold.

    Args:
        function: of the membrane less its threshold.
        name: its name, for errors.
    Raises:
        ConversionError: it gives something else than 0 below zero and 1 above.
    """
    device = device_of(function) if isinstance(function, nn.Module) else torch.device("cpu")
    points = torch.tensor([*(-x for x in ABOVE), *ABOVE], device=device)
    wrong = [(x, y) for x, y in zip(points.tolist(), function(points).tolist(), strict=True) if y != float(x > 0)]
    if wrong:
        shown = ", ".join(f"{y:.4g} of {x:.4g}" for x, y in wrong[:3])
        raise ConversionError(
            f"{name}: its spike function is no step at zero, it gives {shown}. A converted neuron gives 0 below its "
            "threshold and 1 above: let the function's forward be (x > 0) or (x >= 0), and move the threshold instead; "
            "its backward may be anything."
        )
    return bool(function(torch.zeros(1, device=device)) == 1)
