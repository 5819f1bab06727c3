"""Batch norms in the place of norms that divide by a deviation of each sample.

    LayerNorm, RMSNorm     over the last axis of tokens [B, ..., C]     ->    TokenNorm(C), a BatchNorm1d of C channels
    GroupNorm, InstanceNorm  of maps and sequences [B, C, ...]          ->    BatchNorm1d or BatchNorm2d of C channels

The scale and offset of each channel are taken over; means and variances come from data (repair.py). As the Masked
Spiking Transformer does (arXiv:2210.01208), whose authors train the network again with them.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from spikelet.base.errors import ConversionError

OVER_TOKENS = (nn.LayerNorm, nn.RMSNorm)
OVER_MAPS = (nn.GroupNorm, nn.InstanceNorm1d, nn.InstanceNorm2d)
Batch = nn.BatchNorm1d | nn.BatchNorm2d


class TokenNorm(nn.Module):
    """A batch norm of the last axis: each channel over all samples and tokens.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(channels)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C] or [B, ..., C] -> the same."""
        if x.dim() == 2:
            return self.norm(x)
        y = self.norm(x.flatten(1, -2).transpose(1, 2)).transpose(1, 2)
        return y if x.dim() == 3 else y.unflatten(1, x.shape[1:-1])


def batch_norm_for(norm: nn.Module, x: Tensor, name: str) -> TokenNorm | Batch:
    """The batch norm that takes the place of `norm`, which is given `x`.

    Raises:
        ConversionError: it norms over more axes than the last; by its name.
    """
    if isinstance(norm, OVER_TOKENS):
        if len(norm.normalized_shape) != 1:
            raise ConversionError(
                f"{name}: norms over {len(norm.normalized_shape)} axes at once, and a batch norm has one of channels. "
                "Use nn.BatchNorm2d there, and train the network."
            )
        made: Any = TokenNorm(norm.normalized_shape[0])
        _take_over(made.norm, norm)
        return made
    made = (nn.BatchNorm2d if x.dim() == 4 else nn.BatchNorm1d)(x.shape[1])
    _take_over(made, norm)
    return made


@torch.no_grad()
def _take_over(new: Batch, norm: Any) -> None:
    for name in ("weight", "bias"):
        old = getattr(norm, name, None)
        if old is not None:
            getattr(new, name).copy_(old)
