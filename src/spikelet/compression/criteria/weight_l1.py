"""Plain filter pruning (Li et al., ICLR 2017, arXiv:1608.08710).

score(o) = sum over i, u, v of |W[o, i, u, v]|      the weights before quantization
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

from torch import Tensor, nn

from spikelet.compression.channels import WEIGHTED, Channels
from spikelet.compression.criteria.criterion import Criterion, Scores


@dataclasses.dataclass(frozen=True)
class WeightL1(Criterion):
    """L1 norm of the weights that make a channel."""

    def scores(self, model: nn.Module, channels: Channels, inputs: Sequence[Tensor]) -> list[Scores]:
        made = []
        for name, module in model.named_modules():
            layer = channels.layers.get(name)
            if isinstance(module, WEIGHTED) and layer is not None and layer.makes is not None:
                weight = module.weight.detach().double().flatten(1)
                made.append(Scores(name, layer.makes, weight.abs().sum(1).cpu()))
        return made
