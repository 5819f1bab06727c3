"""One residual stream past many bodies: x -> x + f_1(x) -> ...

x = clip(r(x + f(x)))      in 16 bits with a unit of 2^-8 (Saturate), which is what a device keeps; the gradient
                           passes the rounding straight
"""

from __future__ import annotations

from collections.abc import Iterable

from torch import Tensor, nn

from spikelet.nn.requantize import Saturate


class Residual(nn.Module):
    """Bodies on one stream. See the module's equations.

    Args:
        bodies: modules from a stream [T, B, ...] to currents of the same shape, in order.
    """

    def __init__(self, bodies: Iterable[nn.Module]) -> None:
        super().__init__()
        self.bodies = nn.ModuleList(bodies)
        self.saturate = Saturate()

    def forward(self, x: Tensor) -> Tensor:
        """The stream behind the last body."""
        x = self.saturate(x)
        for body in self.bodies:
            x = self.saturate(x + body(x))
        return x
