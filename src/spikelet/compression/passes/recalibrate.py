"""Batch norms measure again: what a network whose sums have changed needs before anything else.

running mean, running variance  <-  their plain means over the calibration batches
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from spikelet.compression.passes.base import Context, Row
from spikelet.nn.evaluation import evaluation_mode


@dataclasses.dataclass(frozen=True)
class Recalibrate:
    """Sets the statistics of every batch norm anew, from the calibration batches. Trains nothing."""

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Raises CompressionError without data."""
        count = recalibrate(model, context.calibration("Recalibrate"))
        return model, [Row("", "batch norms measured again", "", str(count))]


@torch.no_grad()
def recalibrate(model: nn.Module, inputs: Iterable[Tensor]) -> int:
    """Sets every batch norm's running statistics to their mean over `inputs`, and returns how many norms there are.

    All else runs as in evaluation; the model's modes are put back after.
    """
    norms = [m for m in model.modules() if isinstance(m, nn.BatchNorm1d | nn.BatchNorm2d)]
    momenta = [m.momentum for m in norms]
    with evaluation_mode(model):
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # the plain mean over all batches
            norm.train()
        try:
            for x in inputs:
                model(x)
        finally:
            for norm, momentum in zip(norms, momenta, strict=True):
                norm.momentum = momentum
    return len(norms)
