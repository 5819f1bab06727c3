"""How much charge a channel's neurons carry: SCA (Li et al., ICML 2024, arXiv:2406.01072), QP-SNN's baseline.

score(f) = 1 / (B T) sum_b sum_t || h[t, b, f] ||_1      h: the membrane before it fires and resets
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from spikelet.compression.channels import Channels
from spikelet.compression.criteria.criterion import Criterion, Scores
from spikelet.compression.criteria.watch_neurons import Use, charge, neurons_with_units, watch_neurons


@dataclasses.dataclass(frozen=True)
class MembraneL1(Criterion):
    """Mean L1 norm of the membrane before it fires. See the module's equation."""

    needs_data = True

    def scores(self, model: nn.Module, channels: Channels, inputs: Sequence[Tensor]) -> list[Scores]:
        norms: dict[Use, list[Tensor]] = {}

        def see(use: Use, maps_TBCHW: Tensor) -> None:
            norms.setdefault(use, []).append(maps_TBCHW.abs().double().sum((3, 4)).mean(0))

        watch_neurons(model, channels, inputs, charge, see)
        units = neurons_with_units(model, channels)
        made = {use: torch.cat(parts).mean(0).cpu() for use, parts in norms.items()}
        return [Scores(use[0], units[use].flatten().expand(len(values)), values) for use, values in made.items()]
