"""How alike a criterion's scores are from batch to batch (QP-SNN, arXiv:2502.05905, equation 15).

stability = 2 / (n (n - 1)) sum over i < j of cos(F_i, F_j)       F_i: a layer's scores on batch i alone
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import SpikeletError
from spikelet.compression.channels import Channels
from spikelet.compression.criteria.criterion import Criterion


def stability(criterion: Criterion, model: nn.Module, channels: Channels, inputs: Sequence[Tensor]) -> dict[str, float]:
    """Stability of every layer by name, by its last use; in 0..1 unless scores are negative.

    Raises:
        SpikeletError: fewer than two batches.
    """
    if len(inputs) < 2:
        raise SpikeletError(
            f"stability compares scores of different batches; inputs must hold two at least, got {len(inputs)}."
        )
    by_batch = [criterion.scores(model, channels, [x]) for x in inputs]
    layers = [{one.layer: one.values for one in scores} for scores in by_batch]
    return {name: mean_cosine(torch.stack([scores[name] for scores in layers])) for name in layers[0]}


def mean_cosine(scores_NC: Tensor) -> float:
    """Mean cosine similarity of all pairs of rows; a row of zeros has similarity 0 with every other."""
    n = len(scores_NC)
    unit = scores_NC / scores_NC.norm(dim=1, keepdim=True).clamp(min=torch.finfo(scores_NC.dtype).tiny)
    cosines = unit @ unit.T
    return float((cosines.sum() - cosines.diagonal().sum()) / (n * (n - 1)))
