"""Weights to fewer bits: the quantizer of the chosen layers is replaced, their weights stay as they are.

Quantize(4, where=~first() & ~last())        2 to 8 bits uniform, 1 bit binary, 32 none
Quantize(Binary(estimator=Clip()))           any quantizer
"""

from __future__ import annotations

import dataclasses

from torch import nn

from spikelet.base.errors import CompressionError
from spikelet.compression.execution import layers_of
from spikelet.compression.filters import Filter, everything, select
from spikelet.compression.passes.base import Context, Row
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Quantizer, quantizer_of


@dataclasses.dataclass(frozen=True)
class Quantize:
    """Gives layers another quantizer.

    Args:
        quantizer: a quantizer, or bits as in `weight_bits=`.
        where: which convolutions and linear layers.
    Raises:
        ValueError: there is no quantizer of so many bits.
    """

    quantizer: Quantizer | int
    where: Filter = dataclasses.field(default_factory=everything)

    def __post_init__(self) -> None:
        if not isinstance(self.quantizer, Quantizer):
            quantizer_of(self.quantizer)

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Raises CompressionError where the filter matches nothing, or a layer that has no quantizer."""
        layers = select(layers_of(model, (nn.Conv2d, nn.Linear), context.example), self.where, "Quantize.where")
        for name, layer in layers:
            if not isinstance(layer, Conv2d | Linear):
                raise CompressionError(
                    f"{name}: {type(layer).__name__} of torch keeps its weights as floats and can't be quantized. "
                    "Build it as spikelet.nn.Conv2d or spikelet.nn.Linear, convert the network (spikelet.interop), or "
                    "leave it out with where=."
                )
        quantizer = self.quantizer if isinstance(self.quantizer, Quantizer) else quantizer_of(self.quantizer)
        rows = []
        for name, layer in layers:
            assert isinstance(layer, Conv2d | Linear)
            if layer.quantizer != quantizer:
                rows.append(Row(name, "weight bits", str(layer.quantizer.bits), str(quantizer.bits)))
                layer.quantizer = quantizer
        return model, rows
