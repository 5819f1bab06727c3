"""Augmentations of frames of log energies [T, B, C, H, W], C bands: how fast, how high, through what, in which room.

Log-mel frames (base/logmel.py) have 8 steps an octave of power, 0.376 dB each, and bands side by side on the mel scale.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import Tensor

from spikelet.data.augment.augmentation import Augmentation, Compose, batch_size, check_not_negative, uniform
from spikelet.data.augment.events import TimeShift, check_frames


@dataclasses.dataclass(frozen=True)
class Stretch(Augmentation):
    """Speaks faster or slower about the middle, by a factor of up to 1 + `share`, by repeating or leaving out frames;
    frames that nothing moves to are empty.
    """

    share: float = 0.3

    def __post_init__(self) -> None:
        check_not_negative("Stretch.share", self.share)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        check_frames(self, x)
        length, speed = x.shape[0], (1 + self.share) ** uniform(x, -1, 1, generator)
        middle = (length - 1) / 2
        source = ((torch.arange(length, device=x.device).view(-1, 1) - middle) * speed + middle + 0.5).floor().long()
        inside = (source >= 0) & (source < length)  # [T, B]
        y = x[source.clamp(0, length - 1), torch.arange(batch_size(x), device=x.device)]
        return y * inside.view(*inside.shape, 1, 1, 1)


@dataclasses.dataclass(frozen=True)
class WarpBands(Augmentation):
    """Speaks with a longer or shorter throat: band c becomes what lies at c f, with f in 1 - `share` .. 1 + `share`;
    between two bands that is their mean by distance, beyond the last band the last one.

    Source: vocal tract length perturbation, Jaitly and Hinton, ICML 2013 workshop; here on the mel scale.
    """

    share: float = 0.15

    def __post_init__(self) -> None:
        check_not_negative("WarpBands.share", self.share)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        check_frames(self, x)
        bands = x.shape[2]
        factor = 1 + self.share * uniform(x, -1, 1, generator)
        place = (torch.arange(bands, device=x.device) * factor.view(-1, 1)).clamp(0, bands - 1)  # [B, C]
        low = place.floor().long()
        part = (place - low).view(1, *low.shape, 1, 1)
        lower, upper = (_bands(x, at).float() for at in (low, (low + 1).clamp(max=bands - 1)))
        return (lower + (upper - lower) * part + 0.5).floor().to(torch.uint8)


def _bands(x: Tensor, at: Tensor) -> Tensor:
    """The bands `at` int64 [B, C] of frames [T, B, C, H, W]."""
    return x.gather(2, at.view(1, *at.shape, 1, 1).expand(x.shape))


@dataclasses.dataclass(frozen=True)
class Microphone(Augmentation):
    """Another microphone at another distance: to all of band c that is not 0 is added

        steps u + tilt (v (2 z - 1) + w cos(2 pi z)),   z = c / (C - 1), and u, v, w in -1 .. 1 of each sample

    8 steps are 3 dB.
    """

    steps: int = 48
    tilt: int = 32

    def __post_init__(self) -> None:
        check_not_negative("Microphone.steps", self.steps)
        check_not_negative("Microphone.tilt", self.tilt)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        check_frames(self, x)
        z = torch.arange(x.shape[2], device=x.device) / max(x.shape[2] - 1, 1)
        u, v, w = (uniform(x, -1, 1, generator).view(-1, 1) for _ in range(3))
        more = self.steps * u + self.tilt * (v * (2 * z - 1) + w * torch.cos(2 * math.pi * z))
        more = (more + 0.5).floor().view(1, *more.shape, 1, 1)
        return torch.where(x > 0, (x + more).clamp(0, 255), 0.0).to(torch.uint8)


@dataclasses.dataclass(frozen=True)
class Room(Augmentation):
    """A steady noise beneath the sound: nothing is below a level of 0 to `level`, which each frame and band moves by up
    to `flicker`.
    """

    level: int = 64
    flicker: int = 8

    def __post_init__(self) -> None:
        check_not_negative("Room.level", self.level)
        check_not_negative("Room.flicker", self.flicker)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        check_frames(self, x)
        level = (self.level * uniform(x, 0, 1, generator)).view(1, -1, 1, 1, 1)
        moves = (2 * torch.rand(x.shape, generator=generator) - 1).to(x.device)
        return torch.maximum(x, (level + self.flicker * moves).clamp(0, 255).to(torch.uint8))


def spoken(
    *, stretch: float = 0.3, shift: int = 4, warp: float = 0.15, steps: int = 48, tilt: int = 32, room: int = 64
) -> Compose:
    """Other speakers, in other rooms: all of this module, and a shift in time by up to `shift` frames."""
    return Compose((Stretch(stretch), TimeShift(shift), WarpBands(warp), Microphone(steps, tilt), Room(room)))
