"""Augmentation policies for still images: which operations, how likely, how strong.

AutoAugment (Cubuk et al. 2019, arXiv:1805.09501): each image draws one of 25 sub-policies, each two operations in
turn, each of them applied with its probability. The table is the paper's for CIFAR-10 (appendix A, table 7), the
scale of levels 0 .. 9 that of torchvision's `AutoAugment`, with which the Q-SNN family was trained.

TrivialAugment (Mueller and Hutter 2021, arXiv:2103.10158): each image draws one operation and one strength, both
uniformly.

Differences: geometry moves the nearest pixel and shears about the centre; the border is filled with 0.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.data.augment.augmentation import Augmentation, batch_size, check_probability
from spikelet.data.augment.pixel_ops import OPS, apply_ops


@dataclasses.dataclass(frozen=True)
class Scale:
    """Strength s in [0, 1] to magnitude: centre + sign (weakest + (strongest - weakest) s), the sign drawn or +1."""

    weakest: float
    strongest: float
    signed: bool = False
    centre: float = 0.0


SCALES: dict[str, Scale] = {
    "identity": Scale(0, 0),
    "autocontrast": Scale(0, 0),
    "equalize": Scale(0, 0),
    "invert": Scale(0, 0),
    "posterize": Scale(8, 4),
    "solarize": Scale(255, 0),
    "rotate": Scale(0, 30, signed=True),
    "translate_x": Scale(0, 150 / 331, signed=True),
    "translate_y": Scale(0, 150 / 331, signed=True),
    "shear_x": Scale(0, 0.3, signed=True),
    "shear_y": Scale(0, 0.3, signed=True),
    "brightness": Scale(0, 0.9, signed=True, centre=1),
    "contrast": Scale(0, 0.9, signed=True, centre=1),
    "colour": Scale(0, 0.9, signed=True, centre=1),
    "sharpness": Scale(0, 0.9, signed=True, centre=1),
}
_TABLE = torch.tensor([[s.weakest, s.strongest, s.signed, s.centre] for s in (SCALES[name] for name in OPS)])

_Step = tuple[str, float, int]  # operation, probability, level 0 .. 9
CIFAR10_POLICY: tuple[tuple[_Step, _Step], ...] = (
    (("invert", 0.1, 0), ("contrast", 0.2, 6)),
    (("rotate", 0.7, 2), ("translate_x", 0.3, 9)),
    (("sharpness", 0.8, 1), ("sharpness", 0.9, 3)),
    (("shear_y", 0.5, 8), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.5, 0), ("equalize", 0.9, 0)),
    (("shear_y", 0.2, 7), ("posterize", 0.3, 7)),
    (("colour", 0.4, 3), ("brightness", 0.6, 7)),
    (("sharpness", 0.3, 9), ("brightness", 0.7, 9)),
    (("equalize", 0.6, 0), ("equalize", 0.5, 0)),
    (("contrast", 0.6, 7), ("sharpness", 0.6, 5)),
    (("colour", 0.7, 7), ("translate_x", 0.5, 8)),
    (("equalize", 0.3, 0), ("autocontrast", 0.4, 0)),
    (("translate_y", 0.4, 3), ("sharpness", 0.2, 6)),
    (("brightness", 0.9, 6), ("colour", 0.2, 8)),
    (("solarize", 0.5, 2), ("invert", 0.0, 0)),
    (("equalize", 0.2, 0), ("autocontrast", 0.6, 0)),
    (("equalize", 0.2, 0), ("equalize", 0.6, 0)),
    (("colour", 0.9, 9), ("equalize", 0.6, 0)),
    (("autocontrast", 0.8, 0), ("solarize", 0.2, 8)),
    (("brightness", 0.1, 3), ("colour", 0.7, 0)),
    (("solarize", 0.4, 5), ("autocontrast", 0.9, 0)),
    (("translate_y", 0.9, 9), ("translate_y", 0.7, 9)),
    (("autocontrast", 0.9, 0), ("solarize", 0.8, 3)),
    (("equalize", 0.8, 0), ("invert", 0.1, 0)),
    (("translate_y", 0.7, 9), ("autocontrast", 0.9, 0)),
)

_TRIVIAL_OPS = torch.tensor([k for k, name in enumerate(OPS) if name != "invert"])
_POLICY_OPS = torch.tensor([[OPS.index(name) for name, _, _ in pair] for pair in CIFAR10_POLICY])
_POLICY_P = torch.tensor([[p for _, p, _ in pair] for pair in CIFAR10_POLICY])
_POLICY_STRENGTH = torch.tensor([[level / 9 for _, _, level in pair] for pair in CIFAR10_POLICY])


def _check_images(policy: Augmentation, x: Tensor) -> None:
    if x.dim() != 4:
        raise SpikeletError(
            f"{type(policy).__name__} takes still images [B, C, H, W], got shape {tuple(x.shape)}. "
            "(For events use spikelet.data.neuromorphic.)"
        )


def _apply(x: Tensor, choice: Tensor, strength: Tensor, generator: torch.Generator) -> Tensor:
    """Operation OPS[choice], int64 [B], at `strength` [B] in [0, 1], its sign drawn. On the CPU but for x."""
    weakest, strongest, signed, centre = _TABLE[choice].unbind(1)
    sign = 1 - 2 * torch.randint(0, 2, choice.shape, generator=generator) * signed
    magnitude = centre + sign * (weakest + (strongest - weakest) * strength)
    return apply_ops(x, choice, magnitude)


@dataclasses.dataclass(frozen=True)
class AutoAugment(Augmentation):
    """AutoAugment's policy for CIFAR-10. See the module's docstring."""

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        _check_images(self, x)
        n = batch_size(x)
        drawn = torch.randint(0, len(CIFAR10_POLICY), (n,), generator=generator)
        for step in range(2):
            applied = torch.rand(n, generator=generator) < _POLICY_P[drawn, step]
            choice = torch.where(applied, _POLICY_OPS[drawn, step], OPS.index("identity"))
            x = _apply(x, choice, _POLICY_STRENGTH[drawn, step], generator)
        return x


@dataclasses.dataclass(frozen=True)
class TrivialAugment(Augmentation):
    """One operation an image, `invert` excepted, of a strength drawn from 0 .. `strength` on AutoAugment's scale."""

    strength: float = 1.0

    def __post_init__(self) -> None:
        check_probability("TrivialAugment.strength", self.strength)

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        _check_images(self, x)
        n = batch_size(x)
        choice = _TRIVIAL_OPS[torch.randint(0, len(_TRIVIAL_OPS), (n,), generator=generator)]
        return _apply(x, choice, self.strength * torch.rand(n, generator=generator), generator)
