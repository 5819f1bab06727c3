"""A number by which a network's own layer multiplies, such as SpikingJelly's VoltageScaler.

y = c x        rounded to the grid of currents, unless the weights that read y hold c (means.py)
"""

from __future__ import annotations

from torch import Tensor, nn

from spikelet.nn import Scale


class Scaler(nn.Module):
    """A product with one number. See the module's equation.

    Args:
        gain: the number.
    """

    def __init__(self, gain: float) -> None:
        super().__init__()
        self.gain = gain
        self.scale = Scale(gain, learn=False)
        self.in_weights = False  # whether the weights that read it hold the number

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, ...] -> the same."""
        return x if self.in_weights else self.scale(x)

    def extra_repr(self) -> str:
        return f"in_weights={self.in_weights}"
