"""Accuracy of a model in evaluation mode: the arithmetic that lowering reproduces bit for bit."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError, TimeAxisError
from spikelet.base.numbers import instance
from spikelet.base.time_axis import TimeAxis, require_agreement, split_shape
from spikelet.data.batches import Batches, pairs_by_name
from spikelet.data.classes import class_names_of
from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.train.compare import fitting, require_classes
from spikelet.train.losses import mean_over_time


@torch.no_grad()
def predict(model: nn.Module, x: Tensor, time_axis: TimeAxis = None) -> Tensor:
    """Logits [B, K], the mean over time; a model that takes [B, T, ...] (time_axis=1) gives [B, T, K] or [B, K].

    Raises:
        SpikeletError: the model gives something else than a tensor.
    """
    logits = model(x)
    if not isinstance(logits, Tensor):
        raise SpikeletError(
            f"the model must give a tensor of logits in evaluation mode, got {type(logits).__name__}. Return the "
            "logits alone there, and what training needs besides where self.training."
        )
    return mean_over_time(logits.transpose(0, 1) if time_axis == 1 and logits.dim() == 3 else logits)


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]], *, time_axis: TimeAxis = None) -> float:
    """Top-1 accuracy in 0..1 over `batches` of (uint8 input, labels), moved to the model's device.

    The model's modes are put back after. Where the model has `class_names` and `batches` come from
    `spikelet.data.batches`, which know theirs, labels are matched by name; classes without samples are no fault.

    time_axis: where time stands in the input (spikelet.base.time_axis); `spikelet.data.batches` say it themselves.

    Raises:
        SpikeletError: no samples, no pairs, or samples that do not fit the model.
        SpikeletError: samples of a class that the model's `class_names` lack.
        TimeAxisError: the model or the data declare another layout than `time_axis`, or a batch has another.
    """
    instance("evaluate", nn.Module, model=model)
    if isinstance(batches, Batches):
        if time_axis == 1:
            raise TimeAxisError("batches of spikelet.data are time first, [T, B, ...], got time_axis=1. Leave it out.")
        time_axis = batches.data.time_axis
    require_agreement(model, time_axis, "evaluate")
    hits, count, device = 0, 0, device_of(model)
    name = batches.data.name if isinstance(batches, Batches) else "the data"
    with evaluation_mode(model):
        for x, y in pairs_by_name(batches, class_names_of(model)):
            if x.dim() >= 5:  # [B, C, H, W] with a time axis, which must be declared
                split_shape(x.shape, time_axis, what="a batch of evaluate", sample_axes=3)
            with fitting(model, x, name):
                logits = predict(model, x.to(device), time_axis)
            require_classes(logits, y)
            hits += int((logits.argmax(1) == y.to(device)).sum())
            count += len(y)
    if count == 0:
        raise SpikeletError("evaluate needs at least one sample, got an empty data set.")
    return hits / count


def name_classes(model: nn.Module, names: Sequence[str]) -> None:
    """Sets `class_names` of a model, by which data sets meet it; nothing without names."""
    if names:
        model.class_names = tuple(names)  # type: ignore[assignment]
