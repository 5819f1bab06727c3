"""What a profile runs on: one tensor, or anything that gives batches, with or without labels.

Shapes, told apart by the number of axes:
    [B, F] or [B, C, H, W]            still samples
    [T, B, F] or [T, B, C, H, W]      sequences, time first
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor


def inputs_of(batches: Tensor | Iterable[Any]) -> Iterator[Tensor]:
    """The input of every batch; of a pair or list, its first entry.

    Raises:
        TypeError: `batches` can't be iterated, or gives something without a tensor in front.
        ValueError: a tensor with another number of axes, or an empty one.
    """
    if isinstance(batches, Tensor):
        batches = (batches,)
    if not isinstance(batches, Iterable):
        raise TypeError(f"batches must be a tensor or an iterable of batches, got {type(batches).__name__}.")
    for i, batch in enumerate(batches):
        x = batch[0] if isinstance(batch, tuple | list) and batch else batch
        if not isinstance(x, Tensor):
            raise TypeError(f"batch {i} must be a tensor or start with one, got {type(x).__name__}.")
        if x.dim() not in (2, 3, 4, 5) or not x.numel():
            raise ValueError(
                f"batch {i} must be [B, F], [B, C, H, W], [T, B, F] or [T, B, C, H, W] and not empty, "
                f"got shape {tuple(x.shape)}."
            )
        yield x


def samples_of(x: Tensor) -> int:
    """B."""
    return x.shape[0] if x.dim() % 2 == 0 else x.shape[1]


def one_sample(x: Tensor) -> Tensor:
    """The first sample, with its batch axis."""
    return x[:1] if x.dim() % 2 == 0 else x[:, :1]
