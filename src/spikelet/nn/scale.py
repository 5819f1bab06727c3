"""A gain on the grid: LayerScale, attention scales, 1/196, lambda by step and head.

    training     y = g x
    evaluation   y = round(A x)   on the grid 2^-12,   A = g as m * 2^-e, |m| < 2^15

    g []         one number
    g [C]        by channel; a number C' that divides C counts blocks of C / C' channels (heads)
    g [T, C]     by time step and channel, or by time step and head

A multiplication by a power of two in Python needs no `Scale`: it only changes the unit. A is `snap_gain(g)`, which
lowering calls too.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.nn.evaluation import require_exact_type
from spikelet.quant.grid import times_on_grid


class Scale(nn.Module):
    """x times a gain, by channel (axis 2 of [T, B, C, ...]) and step. See the module's equations.

    Args:
        gain: a number, or a tensor [C] or [T, C].
        learn: whether the gain is a parameter (a buffer otherwise).
    Raises:
        SpikeletError: a gain of more than two axes, or that is not finite.
    """

    gain: Tensor

    def __init__(self, gain: float | Sequence[float] | Tensor, learn: bool = True) -> None:
        super().__init__()
        value = torch.as_tensor(gain, dtype=torch.get_default_dtype()).detach().clone()
        if value.dim() > 2:
            raise SpikeletError(f"Scale.gain must be a number, [C] or [T, C], got shape {tuple(value.shape)}.")
        if not value.is_meta and not torch.isfinite(value).all():
            raise SpikeletError("Scale.gain must be finite, got NaN or infinity.")
        if learn:
            self.gain = nn.Parameter(value)
        else:
            self.register_buffer("gain", value)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, ...] -> the same, with T steps where the gain has T. Raises SpikeletError where it does not fit."""
        if self.training:
            return self._along(self.gain, x) * x
        require_exact_type("Scale", x)
        return times_on_grid(self._along(self.gain, x), x).to(x.dtype)

    def _along(self, gain: Tensor, x: Tensor) -> Tensor:
        if gain.dim() == 0:
            return gain
        channels = gain.shape[-1]
        if x.dim() < 3 or x.shape[2] % channels or (gain.dim() == 2 and x.shape[0] not in (1, gain.shape[0])):
            raise SpikeletError(
                f"Scale with a gain of shape {tuple(gain.shape)} got {tuple(x.shape)}; axis 2 of [T, B, C, ...] must "
                "be a multiple of its channels, and axis 0 its time steps."
            )
        by_channel = gain.repeat_interleave(x.shape[2] // channels, dim=-1)
        steps = gain.shape[0] if gain.dim() == 2 else 1
        return by_channel.view(steps, 1, -1, *[1] * (x.dim() - 3))

    def extra_repr(self) -> str:
        return f"gain of shape {tuple(self.gain.shape)}"
