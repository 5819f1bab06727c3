"""Weights to fewer bits: the quantizer of the chosen layers is replaced, their weights stay as they are.

    Quantize(4, where=~first() & ~last())        2 to 8 bits uniform, 1 bit binary, 32 full precision
    Quantize(Binary(estimator=Clip()))           any quantizer, taken as it is

One bit by number is Q-SNN's `Binary()`, whose weights have a size of about 1 whatever size they had. That is right
where a batch norm follows, which takes the size out again, and ruins a layer whose sums go to a neuron or to the
logits. Which layers these are is read off one run (scales.py); they keep the size of their weights:

    a batch norm follows        Binary()
    neurons alone follow        Binary(standardize=False)                          one scale per output channel
    anything else               Binary(standardize=False, per_channel=False)       one scale for the layer

Without data nothing can be run, and every layer keeps its weights' size, by one scale for the layer. A batch norm
behind a layer goes on with the statistics of the old weights until it is trained (Finetune) or measures again
(Recalibrate).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence

from torch import nn

from spikelet.base.errors import CompressionError
from spikelet.compression.channels import WEIGHTED
from spikelet.compression.execution import layers_of
from spikelet.compression.filters import Filter, everything, select
from spikelet.compression.passes.base import Context, Row
from spikelet.compression.scales import readers_of_scale
from spikelet.lowering.trace import Call
from spikelet.neurons import Neuron
from spikelet.nn import Conv1d, Conv2d, Linear
from spikelet.quant import Binary, Quantizer, quantizer_of

Readers = Mapping[str, Sequence[Call | None]]


@dataclasses.dataclass(frozen=True)
class Quantize:
    """Gives layers another quantizer.

    Args:
        quantizer: a quantizer, of which every layer gets its own; or bits as in `weight_bits=`.
        where: which convolutions and linear layers.
    Raises:
        ValueError: bits is not 1 to 8 or 32.
    """

    quantizer: Quantizer | int
    where: Filter = dataclasses.field(default_factory=everything)

    def __post_init__(self) -> None:
        if not isinstance(self.quantizer, Quantizer):
            quantizer_of(self.quantizer)

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Raises CompressionError where the filter matches nothing, or a layer that has no quantizer."""
        found = layers_of(model, WEIGHTED, context.example, context.time_axis)
        layers = select(found, self.where, "Quantize.where")
        for name, layer in layers:
            if not isinstance(layer, Conv1d | Conv2d | Linear):
                raise CompressionError(
                    f"{name}: {type(layer).__name__} of torch keeps its weights as floats and can't be quantized. "
                    "Build it as spikelet.nn.Conv1d, Conv2d or Linear, convert the network (spikelet.interop), or "
                    "leave it out with where=."
                )
        readers = self._readers(model, context)
        rows = []
        for name, layer in layers:
            assert isinstance(layer, Conv1d | Conv2d | Linear)
            quantizer = self._quantizer(name, readers)
            if layer.quantizer.spec != quantizer.spec:
                rows.append(Row(name, "weight bits", str(layer.quantizer.bits), str(quantizer.bits)))
                layer.quantizer = quantizer
                if readers is not None and quantizer != Binary():
                    rows.append(Row(name, "weights keep their size,", "", _why(name, readers)))
        return model, rows

    def _readers(self, model: nn.Module, context: Context) -> Readers | None:
        """What reads each layer's scale; None where the quantizer does not depend on it."""
        if self.quantizer != 1:
            return None
        return {} if context.example is None else readers_of_scale(model, context.example, context.time_axis)

    def _quantizer(self, name: str, readers: Readers | None) -> Quantizer:
        if isinstance(self.quantizer, Quantizer):
            return self.quantizer
        if readers is None or readers.get(name) == []:
            return quantizer_of(self.quantizer)
        neurons_alone = all(r is not None and isinstance(r.target, Neuron) for r in readers.get(name, [None]))
        return Binary(standardize=False, per_channel=neurons_alone)


def _why(name: str, readers: Readers) -> str:
    if name not in readers:
        return "no run could show whether a batch norm follows"
    first = readers[name][0]
    return f"no batch norm stands before {'the output' if first is None else first.place}"
