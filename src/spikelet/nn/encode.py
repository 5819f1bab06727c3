"""Input encoding: bytes become the network's first current, x = u / 256, with a time axis.

    sample_dims=3   [B, C, H, W] -> [1, B, C, H, W]     a static image, held for T steps by the first neuron
                    [T, B, C, H, W] -> the same         frames
    sample_dims=2   [B, C, L] or [T, B, C, L]           sequences
    sample_dims=1   [B, F] or [T, B, F]                 vectors, such as the event counts of audio channels

    levels=n        x = min(u, n) / 256                 bytes 0 to n: spikes of one step, counts up to n

What integers must hold is proved for every byte that may come. Of `levels` the proof knows that counts end at n, so
that sums of 32 bits, and of the 24 of float32, have room for 255 / n times larger weights.

Division by 256 rather than 255 keeps pixels exact in binary; BatchNorm absorbs mean and deviation
(subtracting a mean before a zero-padded convolution could not be folded into integers).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError, WrongType
from spikelet.base.strict_json import shown
from spikelet.base.whole import is_whole


class Encode(nn.Module):
    """Turns uint8 images or frames into currents in [0, 1). See the module's equations.

    Currents are of the precision that the model has: float32, or float64 after `model.double()`.

    Args:
        sample_dims: axes of one sample at one time step, 1 to 3.
        levels: the largest byte of the data, 1 to 255; one above it counts as `levels`, here and in integers. None
            takes all bytes as they are.
    Raises:
        SpikeletError: sample_dims or levels out of range.
    """

    precision: Tensor  # without elements; follows the model to its precision

    def __init__(self, sample_dims: int = 3, levels: int | None = None) -> None:
        super().__init__()
        if not is_whole(sample_dims) or sample_dims not in (1, 2, 3):
            raise SpikeletError(f"Encode.sample_dims must be 1, 2 or 3, got {shown(sample_dims)}.")
        if levels is not None and (not is_whole(levels) or levels not in range(1, 256)):
            raise SpikeletError(
                f"Encode.levels must be the largest byte of the data, 1 to 255, or None for any, got {shown(levels)}."
            )
        self.sample_dims = int(sample_dims)
        self.levels = None if levels is None else int(levels)
        self.register_buffer("precision", torch.empty(0), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Currents with time first, [1, B, ...] for static inputs.

        Raises:
            WrongType: `x` is not uint8, or the model has a type that nothing is computed in, such as float8.
            SpikeletError: `x` has neither sample_dims + 1 nor sample_dims + 2 axes.
        """
        if x.dtype != torch.uint8:
            raise WrongType(
                f"Encode takes uint8 pixels or event counts, got {x.dtype}. The integer program sees bytes, so "
                "training must too: convert with (x * 255).round().to(torch.uint8)."
            )
        sample = ("F", "C, L", "C, H, W")[self.sample_dims - 1]
        if x.dim() not in (self.sample_dims + 1, self.sample_dims + 2):
            raise SpikeletError(
                f"Encode(sample_dims={self.sample_dims}) takes [B, {sample}], or [T, B, {sample}] with time first, "
                f"got shape {tuple(x.shape)}. Vectors have sample_dims=1, sequences [C, L] 2, images 3."
            )
        if self.precision.dtype not in (torch.float32, torch.float64, torch.float16, torch.bfloat16):
            raise WrongType(
                f"Encode gives currents in the type of its model, got {self.precision.dtype}. Use model.float() or "
                "model.double()."
            )
        x = x if x.dim() == self.sample_dims + 2 else x.unsqueeze(0)
        x = x if self.levels is None else x.clamp(max=self.levels)
        return x.to(self.precision.dtype) / 256

    def extra_repr(self) -> str:
        return f"sample_dims={self.sample_dims}" + (f", levels={self.levels}" if self.levels is not None else "")
