"""A part of the training set held out, with every class in its proportion.

    held[c] = min(floor(fraction * n[c] + 1/2), n[c] - 1)   samples of class c     (0 where fraction is 0)

Which ones is decided by `order.permutation(n, seed)`: the same on every machine. Samples in groups, such as people,
are held out by whole groups, in such an order, as many as hold the fraction of all samples: nobody is in both parts.
"""

from __future__ import annotations

import dataclasses

import torch
from torch import Tensor

from spikelet.base.errors import SpikeletError
from spikelet.data.order import permutation
from spikelet.data.samples import DataSplits


def stratified_split(y: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Splits labels into (kept, held).

    Args:
        y: int64 [N], labels.
        fraction: share of each class that is held out, 0 <= fraction < 1.
        seed: chooses which.
    Returns:
        Indices kept and held, int64, each ascending; together 0 .. N-1.
    Raises:
        SpikeletError: fraction is out of range.
    """
    if not 0 <= fraction < 1:
        raise SpikeletError(
            f"validation must lie in [0, 1), got {fraction}. (0.1 holds out a tenth of the training set.)"
        )
    order = permutation(len(y), seed)
    by_class = order[torch.argsort(y[order], stable=True)]  # classes one after another, each in random order
    counts = torch.bincount(y)
    rank = torch.arange(len(y)) - (counts.cumsum(0) - counts).repeat_interleave(counts)  # place within its class
    quota = torch.minimum(torch.floor(counts * fraction + 0.5).long(), counts - 1).clamp(min=0)
    is_held = rank < quota.repeat_interleave(counts)
    return by_class[~is_held].sort().values, by_class[is_held].sort().values


def split_by_groups(groups: Tensor, fraction: float, seed: int) -> tuple[Tensor, Tensor]:
    """Splits samples into (kept, held), of which held is whole groups: as few as have `fraction` of the samples, and
    never all of them.

    Args:
        groups: int64 [N].
        fraction, seed: see stratified_split.
    """
    names, number = torch.unique(groups, return_inverse=True)
    counts = torch.bincount(number, minlength=len(names))
    order = permutation(len(names), seed)
    before = counts[order].cumsum(0) - counts[order]
    chosen = order[:-1][(before < fraction * len(groups))[:-1]]
    is_held = torch.isin(number, chosen)
    return torch.nonzero(~is_held)[:, 0], torch.nonzero(is_held)[:, 0]


def hold_out(splits: DataSplits, fraction: float, seed: int) -> DataSplits:
    """Moves `fraction` of the training set to the validation set. Leaves a validation set that exists as it is."""
    kept, held = stratified_split(splits.train.y, fraction, seed)
    if len(splits.validation):
        return splits
    if splits.train.groups is not None:
        kept, held = split_by_groups(splits.train.groups, fraction, seed)
    return dataclasses.replace(splits, train=splits.train.subset(kept), validation=splits.train.subset(held))
