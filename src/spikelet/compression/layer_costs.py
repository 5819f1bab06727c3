"""What a layer holds and does, for the report and for budgets.

Bytes and operations are those of `spikelet.profile`: packed codes with their per-channel constants, and accumulates
per sample by the papers' rule. The file has a header of some kB besides.
"""

from __future__ import annotations

import dataclasses

from torch import Tensor, nn

from spikelet.base.time_axis import TimeAxis
from spikelet.compression.channels import WEIGHTED, Weighted
from spikelet.profiling import Report, profile
from spikelet.profiling.layers import ChannelLayer, Layer, NeuronLayer, SynapseLayer
from spikelet.profiling.packed import bias_bytes, weight_bits_of, weight_bytes


@dataclasses.dataclass(frozen=True)
class Figures:
    """What one layer holds and does; None where it has no such figure, or where nothing ran that could tell."""

    channels: int
    bits: int | None
    size: int | None
    sops: float | None


def figures_of(model: nn.Module, x: Tensor | None, time_axis: TimeAxis) -> dict[str, Figures]:
    """Figures of every layer by name, from one run on `x`.

    Where `x` is None, or `profile` can't count a layer, the layers alone tell their size, and operations are missing.
    """
    if x is not None:
        try:
            return {
                layer.name: _of_profiled(layer) for layer in profile(model, x, time_axis=time_axis, tables=()).layers
            }
        except ValueError:
            pass  # a layer that profile does not know; the layers alone still tell their size
    weighted = [(name, m) for name, m in model.named_modules() if isinstance(m, WEIGHTED)]
    return {name: _of_module(module) for name, module in weighted}


def cost_of(model: nn.Module, x: Tensor, time_axis: TimeAxis) -> tuple[int, float]:
    """Bytes and SOPs of the whole model.

    Raises:
        ValueError: a layer that profile can't count.
    """
    report: Report = profile(model, x, time_axis=time_axis, tables=())
    return report.total.packed_bytes, report.total.paper_sops


def _of_profiled(layer: Layer) -> Figures:
    match layer:
        case SynapseLayer():
            return Figures(layer.out_shape[0], layer.weight_bits, layer.packed_bytes, layer.paper_sops)
        case NeuronLayer():
            return Figures(layer.shape[0], layer.membrane_bits, layer.packed_bytes or None, None)
        case ChannelLayer():
            return Figures(layer.channels, None, layer.packed_bytes, None)


def _of_module(module: Weighted) -> Figures:
    channels = module.out_features if isinstance(module, nn.Linear) else module.out_channels
    return Figures(channels, weight_bits_of(module), weight_bytes(module) + bias_bytes(module), None)
