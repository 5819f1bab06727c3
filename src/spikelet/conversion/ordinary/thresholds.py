"""Thresholds of quantized activations, from the values that an ordinary network's activations get.

A layer's activation f is given values z_i, each c_i times, and is to become QCFS of L levels and threshold theta,

    h(z) = theta clip(floor(z L / theta + 1/2), 0, L) / L

    Percentile(p)    theta = the smallest v with at least p % of all f(z_i) above 0 at or below it
    LeastError()     theta = argmin sum_i c_i (h(z_i) - f(z_i))^2

Sources: the percentile is Rueckauer et al.'s (arXiv:1612.04052), the least error Li et al.'s (arXiv:2106.06984). Ours
are the choices that only values above 0 count in a percentile, so that silent neurons don't lower it, that the error is
searched at 1, 2 .. 100 % of the largest f(z_i), and that values are known to 2^-8 of themselves (histogram.py). The
authors' codes were not read.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Callable

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown
from spikelet.conversion.ordinary.histogram import Histogram
from spikelet.neurons.divided import LARGEST, SMALLEST

SILENT = 1.0  # threshold of a layer that gave nothing above 0: any would do
GRID = 100


class Method(abc.ABC):
    """How a threshold is chosen."""

    def threshold(self, histogram: Histogram, f: Callable[[Tensor], Tensor], levels: int) -> float:
        """theta, within the bounds of QCFS; 1 for a layer that gave nothing above 0.

        Args:
            histogram: of the values z that the layer was given.
            f: the activation, elementwise.
            levels: L.
        """
        z, counts = histogram.values_and_counts()
        y = f(z.float()).double()
        if not bool((y > 0).any()):
            return SILENT
        return min(max(self.choose(z, y, counts, levels), SMALLEST), LARGEST)

    @abc.abstractmethod
    def choose(self, z: Tensor, y: Tensor, counts: Tensor, levels: int) -> float:
        """theta for values z, float64 [n], that the activation makes y, some of them above 0, counts times each."""


@dataclasses.dataclass(frozen=True)
class Percentile(Method):
    """The smallest value that `percent` % of the values above 0 don't exceed. See the module's equations.

    Args:
        percent: p, above 0 and at most 100 (the largest value).
    Raises:
        SpikeletError: percent out of range.
    """

    percent: float = 99.9

    def __post_init__(self) -> None:
        if isinstance(self.percent, bool) or not isinstance(self.percent, int | float) or not 0 < self.percent <= 100:
            raise SpikeletError(f"Percentile.percent must lie in (0, 100], got {shown(self.percent)}.")

    def choose(self, z: Tensor, y: Tensor, counts: Tensor, levels: int) -> float:
        order = y[y > 0].argsort()
        ordered, reached = y[y > 0][order], counts[y > 0][order].cumsum(0)
        wanted = reached[-1:] * (self.percent / 100)
        index = int(torch.searchsorted(reached, wanted.clamp(max=reached[-1])))
        return float(ordered[min(index, len(ordered) - 1)])


@dataclasses.dataclass(frozen=True)
class LeastError(Method):
    """The threshold at which QCFS differs least from the activation, squared. See the module's equations."""

    def choose(self, z: Tensor, y: Tensor, counts: Tensor, levels: int) -> float:
        candidates = [float(y.max()) * k / GRID for k in range(1, GRID + 1)]
        return min(candidates, key=lambda theta: float((counts * (quantized(z, theta, levels) - y) ** 2).sum()))


def quantized(z: Tensor, theta: float, levels: int) -> Tensor:
    """h of the module's equations."""
    return torch.floor(z * (levels / theta) + 0.5).clamp(0, levels) * (theta / levels)
