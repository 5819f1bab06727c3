"""Every augmentation, in each form that matters: the tests of properties run over these."""

from __future__ import annotations

import torch

from spikelet.data import (
    AutoAugment,
    Compose,
    Cutout,
    DropFrames,
    HorizontalFlip,
    Microphone,
    OneOf,
    RandomCrop,
    Roll,
    Room,
    Rotate,
    ShearX,
    Stretch,
    TimeShift,
    TrivialAugment,
    Turn,
    WarpBands,
    neuromorphic,
    spoken,
)

FOR_BOTH = (
    RandomCrop(4),
    HorizontalFlip(0.5),
    Roll(5),
    Rotate(30),
    ShearX(20),
    Cutout(6),
    Cutout(8, smallest=1, fill=9),
    OneOf((Roll(3), Rotate(15), Cutout(4))),
    Compose((RandomCrop(2), HorizontalFlip(), Cutout(5))),
    neuromorphic(),
)
FOR_IMAGES = (AutoAugment(), TrivialAugment(), Compose((RandomCrop(), HorizontalFlip(), AutoAugment(), Cutout(16))))
FOR_EVENTS = (TimeShift(2), DropFrames(0.3), Stretch(0.5), WarpBands(0.9), Microphone(20), Room(60), spoken())
FOR_SIGNALS = (Turn(0.5, 0.5, 0.2),)


def images(n: int = 12, channels: int = 3, height: int = 17, width: int = 14) -> torch.Tensor:
    """Random bytes [n, channels, height, width], nowhere 0, so that zeros can only come from an augmentation."""
    draw = torch.Generator().manual_seed(1)
    return torch.randint(1, 256, (n, channels, height, width), dtype=torch.uint8, generator=draw)


def events(time_steps: int = 5, n: int = 12) -> torch.Tensor:
    """Random counts [time_steps, n, 2, 13, 16], nowhere 0."""
    draw = torch.Generator().manual_seed(2)
    return torch.randint(1, 9, (time_steps, n, 2, 13, 16), dtype=torch.uint8, generator=draw)


def signals(time_steps: int = 5, n: int = 12) -> torch.Tensor:
    """Random bytes [time_steps, n, 6, 1, 1]."""
    draw = torch.Generator().manual_seed(3)
    return torch.randint(1, 256, (time_steps, n, 6, 1, 1), dtype=torch.uint8, generator=draw)


CASES = [
    *((a, images()) for a in (*FOR_BOTH, *FOR_IMAGES)),
    *((a, events()) for a in (*FOR_BOTH, *FOR_EVENTS)),
    *((a, signals()) for a in FOR_SIGNALS),
]
IDS = [f"{augmentation}-{x.dim()}d" for augmentation, x in CASES]


def seeded(seed: int = 0) -> torch.Generator:
    """A fresh generator."""
    return torch.Generator().manual_seed(seed)
