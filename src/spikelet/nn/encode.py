"""From bytes to the network's first current: x = u / 256, with a time axis.

    [B, C, H, W] uint8  -> [1, B, C, H, W]   a still image, held for T steps by the first neuron
    [T, B, C, H, W] uint8 -> [T, B, C, H, W] frames

Division by 256 rather than 255 keeps pixels exact in binary; BatchNorm absorbs mean and deviation
(subtracting a mean before a zero-padded convolution could not be folded into integers).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Encode(nn.Module):
    """uint8 images or frames to float currents in [0, 1). See the module's equations."""

    def forward(self, x: Tensor) -> Tensor:
        """Raises TypeError unless `x` is uint8, ValueError unless it has 4 or 5 axes."""
        if x.dtype != torch.uint8:
            raise TypeError(
                f"Encode takes uint8 pixels or event counts, got {x.dtype}. The integer program sees bytes, so "
                "training must too: convert with (x * 255).round().to(torch.uint8)."
            )
        if x.dim() not in (4, 5):
            raise ValueError(f"Encode takes [B, C, H, W] images or [T, B, C, H, W] frames, got shape {tuple(x.shape)}.")
        x = x if x.dim() == 5 else x.unsqueeze(0)
        return x.to(torch.get_default_dtype()) / 256
