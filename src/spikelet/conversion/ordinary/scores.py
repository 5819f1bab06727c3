"""Attention whose scores are levels of spikes, in the place of softmax.

    softmax(s)                          ->    c n / L,   n = clip(floor(s L / theta + 1/2), 0, L)
    softmax(q k^T / sqrt(d)) v          ->    (c n / L) v'   with s = q' k'^T;   q' = h(q), k' = h(k), v' = h(v)

h is QCFS, which makes queries, keys and values counts of spikes. theta is learned; at first it is the largest score
but for one in a thousand, and c is the power of two that brings the sums of rows nearest to 1, as softmax's are. The
factor 1 / sqrt(d) is in theta. Levels on scores are the Masked Spiking Transformer's (arXiv:2210.01208), whose authors
keep the softmax behind them; without it the network is another one, and has to be trained.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from spikelet.conversion.ordinary.histogram import Histogram
from spikelet.conversion.ordinary.thresholds import Percentile
from spikelet.neurons import QCFS, Levels


def threshold_for(values: Tensor, name: str, levels: int) -> float:
    """The threshold of levels on `values`: the largest but for one in a thousand of those above 0."""
    histogram = Histogram(name)
    histogram.add(values)
    return Percentile(99.9).threshold(histogram, torch.relu, levels)


class ScoreLevels(nn.Module):
    """Levels of scores times a power of two, in the place of a softmax. See the module's equations.

    Args:
        levels: L.
        scores: such as it will be given, from which theta and c are chosen.
        name: of the place, for an error.
        axis: that the softmax sums over.
    """

    def __init__(self, levels: int, scores: Tensor, name: str, axis: int = -1) -> None:
        super().__init__()
        self.levels = Levels(levels, threshold_for(scores, name, levels))
        with torch.no_grad():
            rows = float(self.levels.train()(scores).sum(axis).mean())
        self.share = 2.0 ** -round(math.log2(rows)) if rows > 0 else 1.0

    def forward(self, scores: Tensor) -> Tensor:
        """Scores of any shape -> the same."""
        return self.levels(scores) * self.share

    def extra_repr(self) -> str:
        return f"share={self.share}"


class LevelAttention(nn.Module):
    """Attention without softmax, in the place of scaled_dot_product_attention. See the module's equations.

    Args:
        levels: L of queries, keys, values and scores.
        q, k, v: such as it will be given, [..., N, d] each, from which thresholds are chosen.
        name: of the place, for an error.
    """

    def __init__(self, levels: int, q: Tensor, k: Tensor, v: Tensor, name: str) -> None:
        super().__init__()
        self.query, self.key, self.value = (QCFS(levels, threshold_for(x, name, levels)) for x in (q, k, v))
        with torch.no_grad():
            scores = self.query.train()(q) @ self.key.train()(k).transpose(-2, -1)
        self.scores = ScoreLevels(levels, scores, name)

    def forward(self, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        """[..., N, d] each -> [..., N, d]."""
        scores = self.query(q) @ self.key(k).transpose(-2, -1)
        return self.scores(scores) @ self.value(v)
