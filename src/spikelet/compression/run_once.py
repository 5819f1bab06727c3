"""One run on a few samples, to see whether a model works and what it gives."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.nn.evaluation import evaluation_mode

SAMPLES = 2  # one would let an axis of 1 hide


def few_samples(x: Tensor) -> Tensor:
    """The first samples of [B, F], [B, C, H, W], or time first [T, B, F], [T, B, C, H, W]."""
    return x[:SAMPLES] if x.dim() % 2 == 0 else x[:, :SAMPLES]


@torch.no_grad()
def shape_of_output(model: nn.Module, x: Tensor) -> tuple[int, ...]:
    """What the model makes of a few samples, in evaluation mode; raises what the model raises."""
    with evaluation_mode(model):
        return tuple(model(few_samples(x)).shape)


def check_runs(model: nn.Module, x: Tensor) -> None:
    """Raises CompressionError where the model does not run on a few samples of `x`."""
    try:
        shape_of_output(model, x)
    except Exception as e:
        raise CompressionError(f"the model does not run on an input of shape {tuple(few_samples(x).shape)}: {e}") from e
