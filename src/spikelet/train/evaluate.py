"""Accuracy of a model in evaluation mode: the arithmetic that lowering reproduces bit for bit."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from spikelet.nn.device import device_of
from spikelet.nn.evaluation import evaluation_mode
from spikelet.train.losses import mean_over_time


@torch.no_grad()
def predict(model: nn.Module, x: Tensor) -> Tensor:
    """Logits [B, K], averaged over time."""
    return mean_over_time(model(x))


def evaluate(model: nn.Module, batches: Iterable[tuple[Tensor, Tensor]]) -> float:
    """Top-1 accuracy in 0..1 over `batches` of (uint8 input, labels), moved to the model's device.

    The model's modes are put back after.

    Raises:
        ValueError: no samples.
    """
    hits, count, device = 0, 0, device_of(model)
    with evaluation_mode(model):
        for x, y in batches:
            hits += int((predict(model, x.to(device)).argmax(1) == y.to(device)).sum())
            count += len(y)
    if count == 0:
        raise ValueError("evaluate needs at least one sample, got an empty data set.")
    return hits / count
