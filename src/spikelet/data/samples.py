"""Data sets as bytes and labels in memory.

    still images   x uint8 [N, C, H, W]       a batch is [B, C, H, W]; the model adds the time axis
    events         x uint8 [N, T, C, H, W]    a batch is [T, B, C, H, W], time first; C = 2 polarities, counts up to 255
    labels         y int64 [N], 0 <= y < len(labels)

The network sees the bytes themselves, in training as in the integer program: nothing is normalised.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import torch
from torch import Tensor


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """One split of a data set. Raises TypeError or ValueError where a part breaks the module's shapes."""

    x: Tensor
    y: Tensor
    labels: tuple[str, ...]  # class names, in the order of y
    name: str  # of the data set
    note: str = ""  # what to say beside every figure, such as "JPEG q75 copy"

    def __post_init__(self) -> None:
        if self.x.dtype != torch.uint8 or self.y.dtype != torch.int64:
            raise TypeError(f"Samples takes x uint8 and y int64, got x {self.x.dtype} and y {self.y.dtype}.")
        if self.x.dim() not in (4, 5):
            raise ValueError(
                f"Samples.x must be images [N, C, H, W] or events [N, T, C, H, W], got shape {tuple(self.x.shape)}."
            )
        if self.y.shape != self.x.shape[:1]:
            raise ValueError(f"Samples needs one label a sample, got x {tuple(self.x.shape)}, y {tuple(self.y.shape)}.")
        wrong = self.y[(self.y < 0) | (self.y >= len(self.labels))]
        if len(wrong):
            raise ValueError(
                f"Samples.y must lie in 0 .. {len(self.labels) - 1}, got {wrong[0].item()}. "
                "(-1 is how some data sets say that a split has no labels.)"
            )

    def __len__(self) -> int:
        return self.x.shape[0]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One sample [C, H, W] or [T, C, H, W] and its label, as torch's Dataset protocol asks (see `collate`)."""
        return self.x[index], self.y[index]

    @property
    def has_time(self) -> bool:
        """True for events, whose batches are [T, B, C, H, W]."""
        return self.x.dim() == 5

    @property
    def time_axis(self) -> int | None:
        """Where time stands in a batch: 0 for events, None for still images (spikelet.base.time_axis)."""
        return 0 if self.has_time else None

    @property
    def sample_shape(self) -> tuple[int, ...]:
        """Shape of one sample, (C, H, W) or (T, C, H, W)."""
        return tuple(self.x.shape[1:])

    def batch(self, indices: Tensor) -> tuple[Tensor, Tensor]:
        """The samples `indices` int64 [B]: x [B, C, H, W] or [T, B, C, H, W], contiguous, and y [B]."""
        indices = indices.to(self.x.device)
        x = self.x[indices]
        return (x.transpose(0, 1).contiguous() if self.has_time else x), self.y[indices]

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """A batch, time first, of samples and labels, for torch's DataLoader, whose own batches of events would be
        batch first.

            DataLoader(data.test, batch_size=64, collate_fn=data.test.collate)
        """
        x, y = (torch.stack(list(parts)) for parts in zip(*samples, strict=True))
        return (x.transpose(0, 1).contiguous() if self.has_time else x), y

    def subset(self, indices: Tensor) -> Samples:
        """The samples `indices` int64 [M], in that order, as a data set of its own."""
        return dataclasses.replace(self, x=self.x[indices], y=self.y[indices])

    def spread(self, count: int) -> Samples:
        """At most `count` samples, evenly spread, so that a set sorted by class gives every class."""
        count = min(count, len(self))
        return self.subset(torch.arange(count) * len(self) // max(count, 1))

    def to(self, device: torch.device | str) -> Samples:
        """The same samples on `device`."""
        return dataclasses.replace(self, x=self.x.to(device), y=self.y.to(device))

    def __repr__(self) -> str:
        note = f", {self.note}" if self.note else ""
        return f"Samples({self.name}{note}: {len(self)} x {list(self.sample_shape)} uint8, {len(self.labels)} classes)"


@dataclasses.dataclass(frozen=True, eq=False)
class DataSplits:
    """A data set in three parts that share no sample. A part that the source lacks is empty."""

    train: Samples
    validation: Samples
    test: Samples

    def map(self, change: Callable[[Samples], Samples]) -> DataSplits:
        """The three splits with `change` applied to each."""
        return DataSplits(change(self.train), change(self.validation), change(self.test))

    def to(self, device: torch.device | str) -> DataSplits:
        """The same splits on `device`."""
        return self.map(lambda part: part.to(device))
