"""The base class of augmentations, and their combinations.

An augmentation maps a batch of bytes to a batch of bytes of the same shape, drawing on a generator:

    x uint8 [B, C, H, W] or [T, B, C, H, W]  ->  the same shape; each sample is drawn for on its own, and
                                                 all time steps of a sample meet the same transform

Same batch, same generator state: same result, on every device, since all draws are made on the CPU.
"""

from __future__ import annotations

import abc
import dataclasses

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError, WrongType


class Augmentation(abc.ABC):
    """A random transform of batches of bytes. Subclasses are frozen dataclasses and implement `apply`."""

    def __call__(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The transformed batch; `x` itself stays as it is.

        Raises:
            WrongType: `x` is not uint8.
            SpikeletError: `x` has neither 4 nor 5 axes.
        """
        if x.dtype != torch.uint8:
            raise WrongType(
                f"{type(self).__name__} takes uint8 batches, got {x.dtype}. (Augment before spikelet.nn.Encode.)"
            )
        if x.dim() not in (4, 5):
            raise SpikeletError(
                f"{type(self).__name__} takes images [B, C, H, W] or [T, B, C, H, W], got shape {tuple(x.shape)}."
            )
        return self.apply(x, generator)

    @abc.abstractmethod
    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        """The transform itself, on a batch whose form has been checked."""


def batch_size(x: Tensor) -> int:
    """Batch size B of [B, C, H, W] or [T, B, C, H, W]."""
    return x.shape[-4]


def uniform(x: Tensor, low: float, high: float, generator: torch.Generator) -> Tensor:
    """One real number in [low, high) for each sample of `x`. float32 [B]."""
    return (low + (high - low) * torch.rand(batch_size(x), generator=generator)).to(x.device)


def integers(x: Tensor, low: int, high: int, generator: torch.Generator) -> Tensor:
    """One integer in low .. high, both included, for each sample of `x`. int64 [B]."""
    return torch.randint(low, high + 1, (batch_size(x),), generator=generator).to(x.device)


def select_samples(x: Tensor, chosen: Tensor) -> Tensor:
    """The samples `chosen` int64 [M] of a batch."""
    return x.index_select(x.dim() - 4, chosen)


def merge_samples(groups: list[tuple[Tensor, Tensor]]) -> Tensor:
    """One batch from (indices int64 [M], samples) pairs whose indices together are 0 .. B-1, each once."""
    order = torch.argsort(torch.cat([indices for indices, _ in groups]))
    return select_samples(torch.cat([samples for _, samples in groups], groups[0][1].dim() - 4), order)


def check_probability(where: str, p: float) -> None:
    """Raises SpikeletError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise SpikeletError(f"{where} must lie in [0, 1], got {p}.")


def check_not_negative(where: str, value: float) -> None:
    """Raises SpikeletError unless value >= 0."""
    if value < 0:
        raise SpikeletError(f"{where} must not be negative, got {value}.")


@dataclasses.dataclass(frozen=True)
class Compose(Augmentation):
    """Several augmentations, applied one after another."""

    parts: tuple[Augmentation, ...]

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        for part in self.parts:
            x = part(x, generator)
        return x


@dataclasses.dataclass(frozen=True)
class OneOf(Augmentation):
    """One of `parts` for each sample, all equally likely."""

    parts: tuple[Augmentation, ...]

    def __post_init__(self) -> None:
        if not self.parts:
            raise SpikeletError("OneOf.parts must hold at least one augmentation, got none.")

    def apply(self, x: Tensor, generator: torch.Generator) -> Tensor:
        choice = integers(x, 0, len(self.parts) - 1, generator)
        groups = []
        for k, part in enumerate(self.parts):
            chosen = torch.nonzero(choice == k)[:, 0]
            if len(chosen):
                groups.append((chosen, part(select_samples(x, chosen), generator)))
        return merge_samples(groups)
