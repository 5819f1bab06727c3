"""Augmentations that move or hide pixels, for still images and for events alike."""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.data.augment.augmentation import (
    Augmentation,
    check_not_negative,
    check_probability,
    integers,
    merge_samples,
    select_samples,
    uniform,
)
from spikelet.data.augment.warp import roll, shear_matrix, translate, turn_matrix, warp


@dataclasses.dataclass(frozen=True)
class RandomCrop(Augmentation):
    """Pads by `padding` zero pixels on each side and cuts the old size out at a random place."""

    padding: int = 4

    def __post_init__(self) -> None:
        check_not_negative("RandomCrop.padding", self.padding)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        dx, dy = (integers(x, -self.padding, self.padding, generator) for _ in range(2))
        return translate(x, dx, dy)


@dataclasses.dataclass(frozen=True)
class HorizontalFlip(Augmentation):
    """Exchanges left and right with probability `p`."""

    p: float = 0.5

    def __post_init__(self) -> None:
        check_probability("HorizontalFlip.p", self.p)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        flipped = uniform(x, 0, 1, generator) < self.p
        same, turned = torch.nonzero(~flipped)[:, 0], torch.nonzero(flipped)[:, 0]
        return merge_samples([(same, select_samples(x, same)), (turned, select_samples(x, turned).flip(-1))])


@dataclasses.dataclass(frozen=True)
class Roll(Augmentation):
    """Shifts by up to `pixels` in each direction; what leaves at one edge enters at the other."""

    pixels: int = 5

    def __post_init__(self) -> None:
        check_not_negative("Roll.pixels", self.pixels)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        dx, dy = (integers(x, -self.pixels, self.pixels, generator) for _ in range(2))
        return roll(x, dx, dy)


@dataclasses.dataclass(frozen=True)
class Rotate(Augmentation):
    """Turns about the centre by an angle drawn from -degrees to degrees."""

    degrees: float = 15

    def __post_init__(self) -> None:
        check_not_negative("Rotate.degrees", self.degrees)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        return warp(x, turn_matrix(uniform(x, -self.degrees, self.degrees, generator)))


@dataclasses.dataclass(frozen=True)
class ShearX(Augmentation):
    """Slants along the rows by an angle drawn from -degrees to degrees, below 90."""

    degrees: float = 8

    def __post_init__(self) -> None:
        if not 0 <= self.degrees < 90:
            raise SpikeletError(f"ShearX.degrees must lie in [0, 90), got {self.degrees}.")

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        bound = math.tan(math.radians(self.degrees))
        k = uniform(x, -bound, bound, generator)
        return warp(x, shear_matrix(k, torch.zeros_like(k)))


@dataclasses.dataclass(frozen=True)
class Cutout(Augmentation):
    """Sets one square to `fill`, its centre anywhere in the image (DeVries and Taylor 2017, arXiv:1708.04552).

    Its side is `size` pixels, or drawn from `smallest` .. `size` where `smallest` is given. Near an edge
    part of it lies outside.
    """

    size: int = 16
    smallest: int | None = None
    fill: int = 0

    def __post_init__(self) -> None:
        check_not_negative("Cutout.size", self.size)
        if self.smallest is not None and not 0 <= self.smallest <= self.size:
            raise SpikeletError(f"Cutout.smallest must lie in 0 .. size = {self.size}, got {self.smallest}.")
        if not 0 <= self.fill <= 255:
            raise SpikeletError(f"Cutout.fill must be a byte, got {self.fill}.")

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        height, width = x.shape[-2:]
        smallest = self.size if self.smallest is None else self.smallest
        side = integers(x, smallest, self.size, generator).view(-1, 1)
        top = integers(x, 0, height - 1, generator).view(-1, 1) - side // 2
        left = integers(x, 0, width - 1, generator).view(-1, 1) - side // 2
        i, j = torch.arange(height, device=x.device), torch.arange(width, device=x.device)
        rows, columns = (i >= top) & (i < top + side), (j >= left) & (j < left + side)  # [B, H], [B, W]
        hole = (rows.unsqueeze(2) & columns.unsqueeze(1)).unsqueeze(1)  # [B, 1, H, W]
        return x * (~hole).view(torch.uint8) + self.fill * hole.view(torch.uint8)
