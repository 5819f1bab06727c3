"""Augmentations of what sensors of three axes feel: x uint8 [T, B, 3 G, 1, 1], 128 is zero, axes side by side.

    x' = 128 + c R (x - 128), rounded and clipped to bytes      R a rotation, c a factor, both of the whole sample

A device is never worn twice in the same way: R turns it, the same for all sensors, for they share a case. Channels that
are kept by their roots (readers/signals.py) are mixed so too, which is no rotation of what was felt, but near one.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.data.augment.augmentation import Augmentation, batch_size, check_not_negative

ZERO = 128


@dataclasses.dataclass(frozen=True)
class Turn(Augmentation):
    """Turns three-axis sensors by a rotation vector of normal numbers, and scales them.

    Args:
        first: standard deviation of the angle about the first axis, in radians.
        others: of those about the other two.
        scale: standard deviation of c about 1, drawn for each sensor.
    Raises:
        SpikeletError: a number is negative.
    """

    first: float = 0.3
    others: float = 0.07
    scale: float = 0.05

    def __post_init__(self) -> None:
        for name in ("first", "others", "scale"):
            check_not_negative(f"Turn.{name}", getattr(self, name))

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        channels, batch = x.shape[-3], batch_size(x)
        if x.shape[-2:] != (1, 1) or channels % 3:
            raise SpikeletError(
                f"Turn takes signals [T, B, C, 1, 1] of sensors of three axes, so C = 3, 6 ..., got {tuple(x.shape)}."
            )
        angles = torch.randn(batch, 3, generator=generator) * torch.tensor([self.first, self.others, self.others])
        factors = 1 + self.scale * torch.randn(batch, channels // 3, 1, 1, generator=generator)
        matrix = (factors * _rotations(angles)[:, None]).to(x.device)  # [B, G, 3, 3]
        felt = (x.to(torch.float32) - ZERO).reshape(-1, batch, channels // 3, 3)
        turned = torch.einsum("tbgj,bgij->tbgi", felt, matrix).reshape(x.shape)
        return (turned + ZERO + 0.5).floor_().clamp_(0, 255).to(torch.uint8)


def _rotations(vectors: Tensor) -> Tensor:
    """Rotations [B, 3, 3] about `vectors` [B, 3] by their lengths."""
    a, b, c = vectors.unbind(1)
    none = torch.zeros_like(a)
    cross = torch.stack([none, -c, b, c, none, -a, -b, a, none], 1).view(-1, 3, 3)
    return torch.linalg.matrix_exp(cross)
