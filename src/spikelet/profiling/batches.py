"""What a profile runs on: one tensor, or anything that gives batches, with or without labels."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from torch import Tensor

from spikelet.base.errors import SpikeletError, TimeAxisError, WrongType
from spikelet.base.time_axis import TimeAxis, batch_axis, split_shape
from spikelet.nn.taken import tensor_of

SAMPLE_AXES = (1, 2, 3)  # [F], tokens [N, D], [C, H, W]


def inputs_of(batches: Tensor | Iterable[Any], time_axis: TimeAxis) -> Iterator[Tensor]:
    """The input of every batch; of a pair or list, its first entry.

    Raises:
        WrongType: `batches` can't be iterated, or gives something without a tensor in front.
        TimeAxisError: a batch is not laid out as `time_axis` says.
        SpikeletError: an empty batch.
    """
    batches = tensor_of(batches)
    if isinstance(batches, Tensor):
        batches = (batches,)
    if not isinstance(batches, Iterable) or isinstance(batches, str):
        raise WrongType(f"batches must be a tensor, an array or an iterable of them, got {type(batches).__name__}.")
    for i, batch in enumerate(batches):
        x = tensor_of(batch[0] if isinstance(batch, tuple | list) and batch else batch)
        if not isinstance(x, Tensor):
            raise WrongType(f"batch {i} must be a tensor or an array, or start with one, got {type(x).__name__}.")
        _, _, sample = split_shape(x.shape, time_axis, what=f"batch {i}")
        if len(sample) not in SAMPLE_AXES:
            raise TimeAxisError(
                f"batch {i} has shape {tuple(x.shape)}, which with time_axis={time_axis} holds samples of shape "
                f"{sample}; they must be [F], [N, D] or [C, H, W]. Pass time_axis=0 for frames [T, B, ...], "
                "time_axis=1 for frames [B, T, ...], and time_axis=None for still inputs [B, ...]."
            )
        if not x.numel():
            raise SpikeletError(f"batch {i} must not be empty, got shape {tuple(x.shape)}.")
        yield x


def samples_of(x: Tensor, time_axis: TimeAxis) -> int:
    """The batch size B."""
    return x.shape[batch_axis(time_axis)]


def one_sample(x: Tensor, time_axis: TimeAxis) -> Tensor:
    """The first sample, with its batch axis."""
    return x.narrow(batch_axis(time_axis), 0, 1)
