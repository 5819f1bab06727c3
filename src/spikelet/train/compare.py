"""Data and a model, compared before the first step: channels, size, time steps and classes.

A model is tried on samples, which works for any module. Where it fails, a network of the catalogue says what it takes
(its `task`, models/builder.py), and both sides stand in the sentence.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError, names_its_place
from spikelet.data.classes import listed
from spikelet.data.samples import Samples
from spikelet.models.builder import Task
from spikelet.train.weights import first_line


@contextmanager
def fitting(model: nn.Module, x: Tensor, name: str = "the data") -> Iterator[None]:
    """A block in which `model` takes `x`, uint8 [..., C, H, W] of the data set `name`.

    Raises:
        SpikeletError: the model does not take such inputs, in place of what torch says of it.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        raise
    except (RuntimeError, ValueError, TypeError, IndexError) as error:
        if names_its_place(error):
            raise
        if sides := both_sides(model, x, name):
            raise SpikeletError(sides) from error
        raise SpikeletError(
            f"the data does not fit the model, which does not take a batch of shape {tuple(x.shape)} "
            f"({first_line(error)}). Compare channels, image size and time steps of the two."
        ) from error


def both_sides(model: nn.Module, x: Tensor, name: str = "the data") -> str:
    """In one sentence what shape `x` has, what a network of the catalogue takes, and the way out; "" where the two
    are alike, or where nobody said what the model takes."""
    task, shape = getattr(model, "task", None), tuple(x.shape[-3:])
    if not isinstance(task, Task) or len(shape) < 3 or shape == task.sample_shape:
        return ""
    channels, height, width = shape
    ways = [f"make the model with in_channels={channels}"] if channels != task.in_channels else []
    if (height, width) != task.sample_shape[1:]:
        ways.append(f"load the data with image_size={task.image_size}")
    way = " and ".join(ways)
    return (
        f"the data does not fit the model: {name} has samples of shape {list(shape)} (channels, height, width), and "
        f"the model takes {list(task.sample_shape)}. {way[0].upper()}{way[1:]}."
    )


def require_one_class_each(logits: Tensor, samples: Samples) -> None:
    """Raises SpikeletError unless there is one of the logits [B, K] for each class of `samples`."""
    if logits.dim() == 2 and logits.shape[1] != (count := len(samples.labels)):
        raise SpikeletError(
            f"the model tells {logits.shape[1]} classes apart, and {samples.name} has {count}: "
            f"{listed(samples.labels)}. Make the model with num_classes={count}."
        )


def require_classes(logits: Tensor, y: Tensor) -> None:
    """Raises SpikeletError where labels are not one whole number a sample, one has no logit, or the logits are not one
    row of classes a sample."""
    if y.dim() != 1 or y.is_floating_point() or y.is_complex():
        raise SpikeletError(
            f"labels must be whole numbers, one a sample [B], got {y.dtype} of shape {tuple(y.shape)}. Pass "
            "y.argmax(1) for one-hot rows, y.squeeze(1) for a column."
        )
    if logits.dim() != 2 or len(logits) != len(y):
        raise SpikeletError(
            f"a model must give logits [T, B, K] or [B, K] for its B = {len(y)} samples; their mean over time has "
            f"shape {tuple(logits.shape)}."
        )
    if len(y) and int(y.max()) >= logits.shape[1]:
        raise SpikeletError(
            f"the model tells {logits.shape[1]} classes apart, and the data has class number {int(y.max())}. Make the "
            "model with num_classes of the data's, or leave the other classes out."
        )
