"""What a criterion is: scores for the channels of layers that it looks at. Units get the mean of their layers.

    score(unit) = mean over layers l of [ mean over the unit's channels c of l of  s_l[c] / mean(s_l) ]

A unit of a residual network has channels in several layers, whose scores lie on different scales (a rank on an 8 x 8
map, one on a 4 x 4 map); divided by their layer's mean they are comparable, within a group and between groups.
Within one layer the order is that of the criterion itself. A layer whose scores are all 0 counts as 0.
"""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor, nn

from spikelet.compression.channels import Channels, Group


@dataclasses.dataclass(frozen=True, eq=False)
class Scores:
    """One layer's scores, float64 [C], and the units [C] that its channels belong to."""

    layer: str
    units: Tensor
    values: Tensor


class Criterion(abc.ABC):
    """Gives scores; the higher, the more a channel is worth."""

    needs_data: bool = False

    @abc.abstractmethod
    def scores(self, model: nn.Module, channels: Channels, inputs: Sequence[Tensor]) -> list[Scores]:
        """Scores of every layer that the criterion looks at.

        Args:
            model: the analysed model; left as it was.
            channels: its analysis.
            inputs: batches, which a criterion that needs no data ignores.
        """


def unit_scores(group: Group, scores: Iterable[Scores]) -> Tensor | None:
    """The group's scores by the module's equation, float64 [U]; None where no layer tells about its units."""
    members = []
    for one in scores:
        if not torch.isin(one.units, group.units).any():
            continue
        mean = one.values.mean()
        values = one.values / mean if mean > 0 else torch.zeros_like(one.values)
        place = {unit: i for i, unit in enumerate(group.units.tolist())}
        index = torch.tensor([place.get(unit, len(place)) for unit in one.units.tolist()])
        total, count = torch.zeros(2, len(place) + 1, dtype=torch.float64)
        total.index_add_(0, index, values)
        count.index_add_(0, index, torch.ones_like(values))
        members.append(torch.where(count > 0, total / count, torch.nan)[:-1])
    return torch.stack(members).nanmean(0) if members else None
