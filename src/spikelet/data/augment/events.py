"""Augmentations of event frames [T, B, C, H, W]: along time, and the mixture used for neuromorphic data."""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.data.augment.augmentation import (
    Augmentation,
    Compose,
    OneOf,
    batch_size,
    check_not_negative,
    check_probability,
    integers,
)
from spikelet.data.augment.geometry import Cutout, HorizontalFlip, Roll, Rotate, ShearX


def check_frames(augmentation: Augmentation, x: Tensor) -> None:
    """Raises SpikeletError unless `x` has a time axis."""
    if x.dim() != 5:
        raise SpikeletError(
            f"{type(augmentation).__name__} takes event frames [T, B, C, H, W], got shape {tuple(x.shape)}. "
            "(A still image has no time axis to work along.)"
        )


@dataclasses.dataclass(frozen=True)
class TimeShift(Augmentation):
    """Moves a recording by up to `steps` frames, earlier or later; frames that nothing moves to are empty."""

    steps: int = 1

    def __post_init__(self) -> None:
        check_not_negative("TimeShift.steps", self.steps)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        check_frames(self, x)
        length = x.shape[0]
        source = torch.arange(length, device=x.device).view(-1, 1) - integers(x, -self.steps, self.steps, generator)
        inside = (source >= 0) & (source < length)  # [T, B]
        y = x[source.clamp(0, length - 1), torch.arange(batch_size(x), device=x.device)]
        return y * inside.view(*inside.shape, 1, 1, 1)


@dataclasses.dataclass(frozen=True)
class DropFrames(Augmentation):
    """Empties each frame with probability `p`."""

    p: float = 0.1

    def __post_init__(self) -> None:
        check_probability("DropFrames.p", self.p)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        check_frames(self, x)
        kept = torch.rand(x.shape[:2], generator=generator) >= self.p
        return x * kept.to(x.device).view(*kept.shape, 1, 1, 1)


def neuromorphic(*, flip: float = 0.5, roll: int = 5, rotate: float = 30, cutout: int = 8, shear: float = 8) -> Compose:
    """A flip, then one of roll, rotation, cutout and shear, drawn for each sample, as NDA does (arXiv:2203.06145).

    The defaults are those with which the Q-SNN family trains on DVS-CIFAR10, and NDA's shear. Digits must not be
    flipped: give flip=0 for N-MNIST.

    Args:
        flip: probability of a horizontal flip.
        roll: pixels, at most, in each direction.
        rotate: degrees, at most.
        cutout: side of the square in pixels, at most.
        shear: degrees, at most.
    """
    one = OneOf((Roll(roll), Rotate(rotate), Cutout(cutout, smallest=min(1, cutout)), ShearX(shear)))
    return Compose((HorizontalFlip(flip), one))
