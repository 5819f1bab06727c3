"""The batch norm's gain as score: network slimming (Liu et al., ICCV 2017, arXiv:1708.06519) without its penalty.

score(c) = |gamma[c]|
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import Tensor, nn

from spikelet.compression.channels import Channels
from spikelet.compression.criteria.criterion import Criterion, Scores


@dataclasses.dataclass(frozen=True)
class NormScale(Criterion):
    """Absolute batch-norm gain."""

    def scores(self, model: nn.Module, channels: Channels, inputs: Sequence[Tensor]) -> list[Scores]:
        made = []
        for name, module in model.named_modules():
            layer = channels.layers.get(name)
            if not isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) or not module.affine:
                continue
            if layer is not None and layer.reads is not None:
                made.append(Scores(name, layer.reads, module.weight.detach().double().abs().cpu()))
        return made
