"""Membranes to fewer bits: LIF layers get a quantized membrane, its step spread over the threshold.

step = threshold / (2^(k-1) - 1), to the power of two that QuantizedMembrane takes; fine-tuning learns it. The largest
threshold of a layer counts.
"""

from __future__ import annotations

import dataclasses
import math

import torch
from torch import nn

from spikelet.compression.execution import layers_of
from spikelet.compression.filters import Filter, everything, select
from spikelet.compression.passes.base import Context, Row
from spikelet.neurons import LIF, QuantizedMembrane, membrane_of
from spikelet.neurons.constants import numbers


@dataclasses.dataclass(frozen=True)
class QuantizeMembranes:
    """Gives LIF layers membranes of `bits` bits, 2 to 8, or 32 for full precision.

    A layer that has that many keeps its membrane and the step that it learned.

    Raises:
        ValueError: bits is not 2 to 8 or 32.
    """

    bits: int
    where: Filter = dataclasses.field(default_factory=everything)

    def __post_init__(self) -> None:
        membrane_of(self.bits)

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Raises CompressionError where the filter matches no LIF layer."""
        rows = []
        for name, neuron in select(
            layers_of(model, (LIF,), context.example, context.time_axis), self.where, "QuantizeMembranes.where"
        ):
            assert isinstance(neuron, LIF)
            before = getattr(neuron.membrane, "bits", "?")
            if before == self.bits:
                continue
            neuron.membrane = self._membrane(neuron, next(model.parameters(), torch.zeros(())))
            rows.append(Row(name, "membrane bits", str(before), str(self.bits)))
        return model, rows

    def _membrane(self, neuron: LIF, like: torch.Tensor) -> nn.Module:
        membrane = membrane_of(self.bits)
        if isinstance(membrane, QuantizedMembrane):
            with torch.no_grad():
                membrane.log2_step.fill_(math.log2(max(numbers(neuron.params.threshold)) / membrane.top))
        return membrane.to(device=like.device, dtype=like.dtype if like.is_floating_point() else None)
