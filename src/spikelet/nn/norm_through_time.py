"""A batch norm of its own for every time step, over the same channels.

    training     y[t] = the norm of step t of x[t]
    evaluation   y[t] = round(A[t] x[t]) + D[t]   on the grid 2^-12, A[t] and D[t] as in norm.py

Source: batch normalization through time, arXiv:2010.01729, whose norms have no offset of their own (bias=None); the
libraries that have it build it of torch's norms as we do.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.nn.evaluation import require_exact_type
from spikelet.nn.norm import BatchNorm1d, BatchNorm2d, gain_and_offset
from spikelet.quant.grid import round_to_grid


class NormThroughTime(nn.ModuleList):
    """T norms, of which each sees its own step.

    Args:
        norms: one a step.
    Raises:
        SpikeletError: there is not one, or they differ in their number of channels.
    """

    def __init__(self, norms: Sequence[BatchNorm1d | BatchNorm2d]) -> None:
        if len({norm.num_features for norm in norms}) != 1:
            raise SpikeletError("NormThroughTime needs norms of one number of channels, one for each time step.")
        super().__init__(norms)

    def constants(self) -> tuple[Tensor, Tensor]:
        """A and D, float64 [T, C]. Raises SpikeletError as `gain_and_offset` does."""
        pairs = [gain_and_offset(norm) for norm in self]  # type: ignore[arg-type]
        return torch.stack([gain for gain, _ in pairs]), torch.stack([offset for _, offset in pairs])

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, ...], or [1, B, C, ...] of what is the same at every step -> [T, B, C, ...].

        Raises:
            SpikeletError: `x` has another number of steps.
        """
        if x.shape[0] not in (1, len(self)):
            raise SpikeletError(f"NormThroughTime has a norm for each of {len(self)} steps, and got {tuple(x.shape)}.")
        if self.training:
            return torch.cat([norm(x[min(t, len(x) - 1)].unsqueeze(0)) for t, norm in enumerate(self)])
        require_exact_type("NormThroughTime", x)
        gain, offset = (c.view(len(self), 1, -1, *[1] * (x.dim() - 3)) for c in self.constants())
        return (round_to_grid(gain * x.double()) + offset).to(x.dtype)
