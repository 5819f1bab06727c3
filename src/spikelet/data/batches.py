"""Batches of a data set in memory, in an order that can be resumed.

    order(epoch)      = permutation(N, seed, epoch)
    batch b           = samples order[b * B : (b + 1) * B]
    augmentation of b = draws from generator(seed, epoch, b)

Nothing else enters: a run that stops after batch b of epoch e and starts there again goes on bit for bit.
Process r of R takes the batches b with b mod R = r.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.base.numbers import make_plain, plain, seed, whole_numbers
from spikelet.base.strict_json import shown
from spikelet.data.augment.augmentation import Augmentation
from spikelet.data.order import generator, permutation
from spikelet.data.samples import Samples


@dataclasses.dataclass(frozen=True)
class Epoch:
    """The number of a pass over the data, and a seed: all that its order and its augmentation depend on."""

    seed: int
    number: int

    def __post_init__(self) -> None:
        make_plain(self)
        seed("Epoch", seed=self.seed)
        whole_numbers("Epoch", 0, number=self.number)


@dataclasses.dataclass(frozen=True)
class Share:
    """The share of process `rank` among `world_size`."""

    rank: int = 0
    world_size: int = 1

    def __post_init__(self) -> None:
        make_plain(self)
        whole_numbers("Share", world_size=self.world_size)
        whole_numbers("Share", 0, rank=self.rank)
        if self.rank >= self.world_size:
            raise SpikeletError(f"Share.rank must lie in 0 .. world_size - 1 = {self.world_size - 1}, got {self.rank}.")


@dataclasses.dataclass(frozen=True)
class Batches:
    """The batches of one pass; iterate over it as often as you like. Made by `batches`."""

    data: Samples
    batch_size: int
    epoch: Epoch | None
    augment: Augmentation | None
    drop_last: bool
    share: Share
    start: int

    def _numbers(self) -> range:
        if self.drop_last:  # whole batches, and as many for each process
            count = len(self.data) // self.batch_size
            count -= count % self.share.world_size
        else:
            count = -(-len(self.data) // self.batch_size)
        return range(self.share.rank, count, self.share.world_size)[self.start :]

    def __len__(self) -> int:
        return len(self._numbers())

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        n, epoch = len(self.data), self.epoch
        order = torch.arange(n) if epoch is None else permutation(n, epoch.seed, epoch.number)
        for b in self._numbers():
            x, y = self.data.batch(order[b * self.batch_size : (b + 1) * self.batch_size])
            if self.augment is not None and epoch is not None:
                x = self.augment(x, generator(epoch.seed, epoch.number, b))
            yield x, y


def batches(
    data: Samples,
    batch_size: int,
    *,
    epoch: Epoch | None = None,
    augment: Augmentation | None = None,
    drop_last: bool = False,
    share: Share = Share(),
    start: int = 0,
) -> Batches:
    """Batches of `data`, shuffled and augmented if `epoch` is given, in their own order if not.

    Args:
        data: the samples; batches are made on their device.
        batch_size: B, at least 1.
        epoch: the pass; None keeps the order, as evaluation wants it.
        augment: applied to the inputs; needs `epoch`.
        drop_last: leaves out an incomplete last batch, and the batches of an incomplete last round of processes.
        share: which process this is.
        start: batches of this process to pass over, for a run that resumes.
    Returns:
        An iterable with a length, of (x uint8 [B, C, H, W] or [T, B, C, H, W], y int64 [B]).
    Raises:
        SpikeletError: no data, no batch, or an augmentation without an epoch.
    """
    if len(data) == 0:
        raise SpikeletError(
            f"this split of {data.name} is empty: there is nothing to iterate over. "
            "(A data set without a training or test part has an empty one; validation=0 leaves that part empty.)"
        )
    batch_size, start = plain(batch_size, "batches.batch_size"), plain(start, "batches.start")
    whole_numbers("batches", batch_size=batch_size)
    whole_numbers("batches", 0, start=start)
    if augment is not None and epoch is None:
        raise SpikeletError(
            "batches was given an augmentation but no epoch to draw its random numbers from. "
            "Pass epoch=Epoch(seed, number), or leave augment out."
        )
    made = Batches(data, batch_size, epoch, augment, drop_last, share, start)
    if len(data) < batch_size * share.world_size and drop_last:
        raise SpikeletError(
            f"batch_size {batch_size} on {share.world_size} process(es) is more than the {len(data)} samples of "
            f"{data.name}: with drop_last nothing is left. Use smaller batches."
        )
    return made


def pairs_by_name(pairs: Iterable[tuple[Tensor, Tensor]], known: Sequence[str]) -> Iterator[tuple[Tensor, Tensor]]:
    """Pairs of inputs and labels, each looked at; `Batches` get the class numbers of a network of `known` classes.

    Raises:
        SpikeletError: there are samples of a class that the network lacks, or what is given is no pairs of tensors.
    """
    if isinstance(pairs, Samples):
        raise SpikeletError("batches must be pairs (x, y), got Samples. Pass batches(samples, 100) of spikelet.data.")
    if isinstance(pairs, Batches):
        pairs = dataclasses.replace(pairs, data=pairs.data.by_name(known))
    if not isinstance(pairs, Iterable):
        raise SpikeletError(f"batches must be pairs (x, y), got {type(pairs).__name__}.")
    return map(_pair, pairs)


def _pair(batch: object) -> tuple[Tensor, Tensor]:
    parts: Sequence[Any] = batch if isinstance(batch, tuple | list) else (batch,)
    made: list[Any] = [torch.from_numpy(part.copy()) if isinstance(part, np.ndarray) else part for part in parts]
    if len(made) != 2 or not all(isinstance(part, Tensor) for part in made):
        got = [type(part).__name__ for part in parts] if parts is batch else type(batch).__name__
        raise SpikeletError(f"batches must be pairs (x, y) of a uint8 input and labels [B], got {shown(got)}.")
    x, y = made
    return x, y
