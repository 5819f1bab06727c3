"""The augmentations that a configuration can name."""

from __future__ import annotations

from spikelet.data.augment.augmentation import Augmentation, Compose
from spikelet.data.augment.events import neuromorphic
from spikelet.data.augment.geometry import Cutout, HorizontalFlip, RandomCrop, Roll
from spikelet.data.augment.policies import AutoAugment
from spikelet.data.augment.sensors import Turn
from spikelet.data.augment.sound import spoken

AUGMENTATIONS: dict[str, Augmentation | None] = {
    "none": None,
    "crop1": RandomCrop(1),  # Fashion-MNIST
    "crop2": RandomCrop(2),  # N-MNIST
    "crop2-flip": Compose((RandomCrop(2), HorizontalFlip())),  # CIFAR-10 in few epochs
    "crop3-flip": Compose((RandomCrop(3), HorizontalFlip())),  # CIFAR-10 in some forty epochs
    "crop4-flip": Compose((RandomCrop(4), HorizontalFlip())),
    "paper": Compose((RandomCrop(4), HorizontalFlip(), AutoAugment(), Cutout(16))),  # Q-SNN, CIFAR-10
    "roll5": Roll(5),  # Q-SNN, event data, without its flip
    "neuromorphic": neuromorphic(),
    "turn": Turn(),  # HAPT
    "spoken": spoken(stretch=0.2, warp=0.12, steps=30, tilt=8, room=0),  # digits, by those who are known
    "strangers": spoken(steps=16, tilt=12, room=32),  # by those who are not, heard beside their means (LogMel.adapt)
}
