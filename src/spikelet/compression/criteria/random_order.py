"""Random scores: the baseline that every criterion has to beat."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.base.numbers import make_plain, seed
from spikelet.compression.channels import Channels
from spikelet.compression.criteria.criterion import Criterion, Scores


@dataclasses.dataclass(frozen=True)
class Random(Criterion):
    """Uniform random scores; the same seed gives the same scores for the same model."""

    seed: int = 0

    def __post_init__(self) -> None:
        make_plain(self)
        seed("Random", seed=self.seed)

    def scores(self, model: nn.Module, channels: Channels, inputs: Sequence[Tensor]) -> list[Scores]:
        generator = torch.Generator().manual_seed(self.seed)
        made = []
        for group in channels.groups:
            values = torch.rand(len(group.units), dtype=torch.float64, generator=generator)
            made.append(Scores(group.layers[0], group.units, values))
        return made
