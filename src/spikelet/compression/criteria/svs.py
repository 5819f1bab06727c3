"""QP-SNN's criterion: singular values of spike activity (Wei et al., ICLR 2025, arXiv:2502.05905).

    S_avg[b, f] = (1/T) sum_t S[t, b, f]                        H x W, of a neuron
    score(f) = mean over b of #{ i : sigma_i(S_avg[b, f]) > eps }     the mean numerical rank

eps is absolute, 1e-6, in the paper; the authors' code takes a rank with its library's default, relative to the largest
singular value: eps = max(H, W) * 2^-23 * sigma_1. Both are here. Singular values are computed in float64, all maps
of a batch in one call: in float32 a map of rank 1 has others of about 1e-6, which the absolute eps would count.

Ranks tie heavily on small maps (on 2 x 2 there are three of them), and the authors break ties by index. Here the
nuclear norm sum_i sigma_i breaks them: it is added with a weight that keeps it below half the smallest difference
of two mean ranks,

    score(f) + nuclear(f) / (2 N max_f nuclear),     N samples, nuclear(f) the mean over b.

A neuron of a linear layer has a 1 x 1 map: the share of samples in which it fired, ties broken by its rate.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.compression.channels import Channels
from spikelet.compression.criteria.criterion import Criterion, Scores
from spikelet.compression.criteria.watch_neurons import Use, neurons_with_units, spikes, watch_neurons

FLOAT32_EPSILON = 2.0**-23


@dataclasses.dataclass(frozen=True)
class Absolute:
    """Singular values above `eps` count (the paper)."""

    eps: float = 1e-6

    def threshold(self, sigma: Tensor, side: int) -> Tensor:
        """[..., 1], for singular values [..., min(H, W)]; side = max(H, W)."""
        return torch.full_like(sigma[..., :1], self.eps)


@dataclasses.dataclass(frozen=True)
class Relative:
    """Singular values above max(H, W) * eps * sigma_1 count (the authors' code)."""

    eps: float = FLOAT32_EPSILON

    def threshold(self, sigma: Tensor, side: int) -> Tensor:
        """As `Absolute.threshold`."""
        return side * self.eps * sigma[..., :1]


@dataclasses.dataclass(frozen=True)
class SVS(Criterion):
    """Mean rank of the time-averaged spike maps. See the module's equations."""

    tolerance: Absolute | Relative = dataclasses.field(default_factory=Absolute)
    needs_data = True

    def scores(self, model: nn.Module, channels: Channels, inputs: Sequence[Tensor]) -> list[Scores]:
        ranks: dict[Use, list[Tensor]] = {}
        nuclear: dict[Use, list[Tensor]] = {}

        def see(use: Use, maps_TBCHW: Tensor) -> None:
            average = maps_TBCHW.double().mean(0)
            sigma = torch.linalg.svdvals(average)
            above = sigma > self.tolerance.threshold(sigma, max(average.shape[-2:]))
            ranks.setdefault(use, []).append(above.sum(-1).double())
            nuclear.setdefault(use, []).append(sigma.sum(-1))

        watch_neurons(model, channels, inputs, spikes, see)
        units = neurons_with_units(model, channels)
        return [
            Scores(
                use[0], units[use].flatten().expand(ranks[use][0].shape[1]), _score(*map(torch.cat, (r, nuclear[use])))
            )
            for use, r in ranks.items()
        ]


def _score(rank_BC: Tensor, nuclear_BC: Tensor) -> Tensor:
    rank, nuclear = rank_BC.mean(0), nuclear_BC.mean(0)
    top = nuclear.max()
    return (rank + (nuclear / (2 * len(rank_BC) * top) if top > 0 else 0)).cpu()
