"""Data sets as bytes and labels in memory.

    still images   x uint8 [N, C, H, W]       a batch is [B, C, H, W]; the model adds the time axis
    events         x uint8 [N, T, C, H, W]    a batch is [T, B, C, H, W], time first; C = 2 polarities, counts up to 255
    labels         y int64 [N], 0 <= y < len(labels)

The network sees the bytes themselves, in training as in the integer program: nothing is normalised.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError, TimeAxisError, WrongType
from spikelet.base.numbers import instance
from spikelet.data.classes import check_class_names, numbers_by_name, require_as_many
from spikelet.data.reading import Reading

_WAY_OUT = {
    "x": "Bytes of pixels in 0..1: (255 * x).round(), as uint8; counts of events: as uint8, 255 at most.",
    "y": "Whole numbers as classes: np.asarray(y, np.int64), or y.long().",
}


@dataclasses.dataclass(frozen=True, eq=False)
class Samples:
    """One split of a data set.

    `x` and `y` may be given as NumPy arrays, which become tensors on the same memory.

    Raises:
        WrongType: `x` or `y` is neither a tensor nor an array, or not of the module's types.
        SpikeletError: a shape or a label breaks the module's table, or a class name stands twice.
    """

    x: Tensor
    y: Tensor
    labels: tuple[str, ...]  # class names, in the order of y
    name: str  # of the data set
    note: str = ""  # what to say beside every figure, such as "JPEG q75 copy"
    groups: Tensor | None = None  # int64 [N], whom or what a sample came from: no group is in two splits

    def __post_init__(self) -> None:
        object.__setattr__(self, "x", _tensor(self.x, "x"))
        object.__setattr__(self, "y", _tensor(self.y, "y"))
        object.__setattr__(self, "labels", check_class_names(self.labels, "Samples.labels"))
        for name, kind in (("x", torch.uint8), ("y", torch.int64)):
            if (got := getattr(self, name)).dtype != kind:
                raise WrongType(f"Samples.{name} must be of {kind}, got {got.dtype}. {_WAY_OUT[name]}")
        if self.x.dim() not in (4, 5):
            raise SpikeletError(
                f"Samples.x must be images [N, C, H, W] or events [N, T, C, H, W], got shape {tuple(self.x.shape)}."
            )
        if self.y.shape != self.x.shape[:1]:
            raise SpikeletError(
                f"Samples needs one label a sample, got x {tuple(self.x.shape)}, y {tuple(self.y.shape)}."
            )
        if self.groups is not None and (self.groups.dtype != torch.int64 or self.groups.shape != self.y.shape):
            raise SpikeletError(
                f"Samples.groups must be int64, one a sample of {len(self)}, got {self.groups.dtype} "
                f"{tuple(self.groups.shape)}."
            )
        wrong = self.y[(self.y < 0) | (self.y >= len(self.labels))]
        if len(wrong):
            raise SpikeletError(_out_of_range(self.name, int(wrong[0]), len(self.labels)))

    def __len__(self) -> int:
        return self.x.shape[0]

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        """One sample [C, H, W] or [T, C, H, W] and its label, as torch's Dataset protocol asks (see `collate`)."""
        return self.x[index], self.y[index]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[Tensor, Tensor]]:
        """The samples that a DataLoader asks for. Those of events can't be stacked by its own collate function."""
        return (_Recordings if self.has_time else list)(self[index] for index in indices)

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

    def batch(self, indices: Tensor | np.ndarray) -> tuple[Tensor, Tensor]:
        """The samples `indices` int64 [B]: x [B, C, H, W] or [T, B, C, H, W], contiguous, and y [B]."""
        indices = torch.as_tensor(indices, device=self.x.device)
        x = self.x[indices]
        return (x.transpose(0, 1).contiguous() if self.has_time else x), self.y[indices]

    def collate(self, samples: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, Tensor]:
        """A batch, time first, of samples and labels, for torch's DataLoader. Its own batches of events would be batch
        first, and are refused.

            DataLoader(data.test, batch_size=64, collate_fn=data.test.collate)
        """
        x, y = (torch.stack(list(parts)) for parts in zip(*samples, strict=True))
        return (x.transpose(0, 1).contiguous() if self.has_time else x), y

    def by_name(self, known: Sequence[str], logits: int | None = None, owner: str = "the network") -> Samples:
        """The same samples with the class numbers and names of a network whose classes are `known` (classes.py).

            later.test.by_name(("ant", "bee", "cat"))

        Args:
            known: names of the network's classes, in the order of its logits; empty where nobody named them.
            logits: how many classes a network without names has, which then must be as many as here.
            owner: whose names `known` are, for the error.
        Raises:
            SpikeletError: there are samples of a class that the network lacks, or no names and another number of
                classes.
        """
        known = check_class_names(known, "known")
        if not known and logits is not None:
            require_as_many(self.labels, logits, self.name)
        if not known or self.labels == known:
            return self
        counts = torch.bincount(self.y.cpu(), minlength=len(self.labels)).tolist()
        numbers = torch.tensor(numbers_by_name(self.labels, counts, known, self.name, owner), dtype=torch.int64)
        y = numbers.to(self.y.device)[self.y] if len(self) else self.y
        return dataclasses.replace(self, y=y, labels=known)

    def subset(self, indices: Tensor | np.ndarray) -> Samples:
        """The samples `indices` int64 [M], in that order, as a data set of its own."""
        groups = None if self.groups is None else self.groups[indices]
        return dataclasses.replace(self, x=self.x[indices], y=self.y[indices], groups=groups)

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
    """A data set in three parts that share no sample. A part that the source lacks is empty.

    Parts whose class names differ get those of the first that isn't empty, by name (classes.py). `reading` says what
    became of the source's files; it is None for data sets of known files.

    Raises:
        SpikeletError: a part has samples of a class that the first lacks, or of another shape.
    """

    train: Samples
    validation: Samples
    test: Samples
    reading: Reading | None = None

    def __post_init__(self) -> None:
        parts = {name: getattr(self, name) for name in ("train", "validation", "test")}
        instance("DataSplits", Samples, **parts)
        first = next((part for part in parts.values() if len(part)), self.train)
        for name, part in parts.items():
            object.__setattr__(self, name, part.by_name(first.labels, owner=f"the rest of {first.name}"))
            if len(part) and part.sample_shape[-3:] != first.sample_shape[-3:]:
                raise SpikeletError(
                    f"{first.name} has {name} samples of shape {list(part.sample_shape)}, and others of "
                    f"{list(first.sample_shape)}. Bring all to one, such as by image_size= of load."
                )

    def map(self, change: Callable[[Samples], Samples]) -> DataSplits:
        """The three splits with `change` applied to each."""
        return DataSplits(change(self.train), change(self.validation), change(self.test), self.reading)

    def by_name(self, known: Sequence[str]) -> DataSplits:
        """The same splits with the class numbers of a network whose classes are `known`; see `Samples.by_name`."""
        return self.map(lambda part: part.by_name(known))

    def to(self, device: torch.device | str) -> DataSplits:
        """The same splits on `device`."""
        return self.map(lambda part: part.to(device))


class _Recordings(list[tuple[Tensor, Tensor]]):
    """Samples of events on their way to a collate function: to be gone through, not to be stacked batch first.

    torch's own collate function begins with the first sample alone, and would make [B, T, C, H, W].
    """

    def __getitem__(self, index: Any) -> Any:
        """Raises TimeAxisError."""
        raise TimeAxisError(
            "a DataLoader's own batches of events are batch first, [B, T, C, H, W], which networks and programs would "
            "read as time first. Pass collate_fn=data.collate, whose batches are [T, B, C, H, W]."
        )


def _tensor(value: Tensor | np.ndarray, name: str) -> Tensor:
    """`value` as a tensor; an array's memory is shared where torch can."""
    if isinstance(value, Tensor):
        return value
    kind = {"x": np.uint8, "y": np.int64}[name]
    if not isinstance(value, np.ndarray) or value.dtype != kind:
        got = f"an array of {value.dtype}" if isinstance(value, np.ndarray) else type(value).__name__
        raise WrongType(
            f"Samples.{name} must be a tensor or a NumPy array of {kind.__name__}, got {got}. {_WAY_OUT[name]}"
        )
    shareable = value.flags.writeable and value.flags.c_contiguous
    return torch.from_numpy(value if shareable else value.copy())


def _out_of_range(where: str, label: int, classes: int) -> str:
    reason = f"{where} names {classes} classes. Name the others too, or take their samples out."
    if label == -1:
        reason = "(-1 is how some data sets say that a split has no labels.)"
    return f"Samples.y must lie in 0 .. {classes - 1}, got {label}. {reason}"
