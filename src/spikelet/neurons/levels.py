"""Activations of L levels with a learned threshold, which spikes can count: quantization, clip, floor, shift.

    Levels    n = clip(floor(z L / theta + 1/2), 0, L)      y = n / L
    QCFS      h = theta y                                    the published activation

L = `levels` is a power of two, theta one number a layer, and a tie goes up. Backwards the floor passes straight
through, so for 0 <= z <= theta

    dh/dz = 1,   dh/dtheta = h / theta - z / theta;    above theta  0 and 1;   below 0  0 and 0

and the gradients of y are those of h / theta. An integrate-and-fire neuron of threshold theta that starts at theta / 2
and loses theta with each spike emits n spikes for L steps that bring it L z; so a network with this activation has a
spiking twin (spikelet.convert).

In evaluation z is divided by theta on the grid (divided.py), so Levels is `Scale(1 / theta)` and then
`LIF(1, LIFParams.rounding(L))`. QCFS is that times theta, rounded to the grid again.

Source: Bu et al., "Optimal ANN-SNN conversion", ICLR 2022, arXiv:2303.04347; the Masked Spiking Transformer
(arXiv:2210.01208) uses it in place of every ReLU. Where we differ from the authors' code: theta is kept within 2^-8 to
2^12, as theirs may become 0 or negative.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.base.whole import is_whole
from spikelet.neurons.divided import Divided
from spikelet.neurons.params import LIFParams
from spikelet.quant.grid import straight_through, times_on_grid

MOST_LEVELS = 128


class Levels(Divided):
    """Levels of z in units of theta / L, elementwise on tensors of any shape. See the module's equations.

    It is a neuron without memory of one time step, whose spikes are worth 1 / L.

    Args:
        levels: L, a power of two from 1 to 128.
        threshold: theta before any training, from 2^-8 to 2^12.
    Raises:
        SpikeletError: levels or threshold out of range.

    Attributes:
        threshold: the parameter, a number; `theta` is it within its bounds.
    """

    def __init__(self, levels: int = 16, threshold: float = 2.0) -> None:
        if not is_whole(levels) or not 1 <= levels <= MOST_LEVELS or levels & (levels - 1):
            raise SpikeletError(
                f"{type(self).__name__}.levels must be a power of two from 1 to {MOST_LEVELS}, got {levels!r}."
            )
        super().__init__(1, LIFParams.rounding(int(levels)), threshold)

    @property
    def levels(self) -> int:
        """L."""
        return self.params.levels

    def forward(self, x: Tensor) -> Tensor:
        """n / L, of the shape of `x`. Raises TypeError where `x` is of a type that can't be computed in."""
        self.check_type(x)
        if not self.training:
            return self.fire(self.current(x)).to(x.dtype)
        u = self.current(x).clamp(0, 1)
        return straight_through(u, torch.floor(u.detach() * self.levels + 0.5) / self.levels)

    def extra_repr(self) -> str:
        return f"levels={self.levels}, threshold={float(self.threshold.detach()):.4g}"


class TimesTheta(nn.Module):
    """A tensor times the threshold of a layer, rounded to the grid 2^-12 in evaluation."""

    def forward(self, y: Tensor, theta: Tensor) -> Tensor:
        """theta y, of the shape of `y`."""
        return theta * y if self.training else times_on_grid(theta.detach(), y).to(y.dtype)


class QCFS(nn.Module):
    """Quantization, clip, floor and shift: theta times Levels. See the module's equations.

    Args:
        levels, threshold: those of Levels.
    Raises:
        SpikeletError: levels or threshold out of range.
    """

    def __init__(self, levels: int = 16, threshold: float = 2.0) -> None:
        super().__init__()
        self.levels = Levels(levels, threshold)
        self.times = TimesTheta()

    @property
    def theta(self) -> Tensor:
        """The threshold within its bounds, a number."""
        return self.levels.theta

    def forward(self, x: Tensor) -> Tensor:
        """h, of the shape of `x`."""
        return self.times(self.levels(x), self.theta)
