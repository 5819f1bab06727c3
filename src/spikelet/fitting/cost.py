"""Bytes and operations of a plan without building it.

    weights'  = weights * (outputs kept / outputs) * (inputs kept / inputs)
    bytes    <= fixed + sum over layers ( ceil(weights' * bits / 8) + 7 * affines * outputs kept )
    SOPs      = sum over layers SOPs * weights' / weights

7 bytes are a channel's multiplier, shift and an offset that needs 32 bits (profiling/packed.py), so that bytes are an
upper bound; a bias before a batch norm makes two affines of one. `fixed` is all else in the file: its text, and
constants that belong to no weights. The firing rate of the channels that stay is taken to stay.
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping

import torch
from torch import nn

from spikelet.base.bits import packed_bytes
from spikelet.compression.channels import loses_whole_groups
from spikelet.fitting.plan import Plan, Subject
from spikelet.nn import Conv1d, Conv2d, Linear
from spikelet.profiling import Report

BYTES_A_CHANNEL = 7


@dataclasses.dataclass(frozen=True)
class Cost:
    """Bytes of the packed file (`size`), and accumulates per sample by the papers' rule (`sops`)."""

    size: int
    sops: float


class CostModel:
    """The cost of every plan for one subject.

    Args:
        subject: the network.
        report: its profile; SOPs are read from it.
        fixed_bytes: of the packed file beside its weights and their channels' constants.
    """

    def __init__(self, subject: Subject, report: Report, fixed_bytes: int) -> None:
        self.subject = subject
        self.fixed_bytes = fixed_bytes
        self.synapses = {layer.name: layer for layer in report.synapses}
        modules = dict(subject.model.named_modules())
        self.weighted = {
            n: m for n, m in modules.items() if isinstance(m, Conv1d | Conv2d | Linear) and n in self.synapses
        }
        self._gone = functools.lru_cache(maxsize=None)(self._count_gone)

    def of(self, plan: Plan) -> Cost:
        """Bytes (at most) and SOPs of `plan`; layers that it does not name keep their bits."""
        size, sops = self.fixed_bytes, 0.0
        for name, layer in self.weighted.items():
            outputs, inputs = self._kept(name, plan.ratios)
            synapse = self.synapses[name]
            whole_groups = isinstance(layer, nn.Conv1d | nn.Conv2d) and loses_whole_groups(layer)
            share = outputs if whole_groups else outputs * inputs
            size += packed_bytes(round(synapse.weights * share), plan.bits.get(name, layer.quantizer.bits))
            affines = max(1, (layer.bias is not None) + (synapse.norm_channels > 0))
            size += BYTES_A_CHANNEL * affines * round(synapse.out_shape[0] * outputs)
            sops += synapse.paper_sops * share
        return Cost(size, sops)

    def _kept(self, layer: str, ratios: Mapping[str, float]) -> tuple[float, float]:
        """The shares of a layer's outputs and inputs that stay."""
        outputs = inputs = 1.0
        for group, ratio in ratios.items():
            made, read = self._gone(layer, group, ratio)
            outputs, inputs = outputs - made, inputs - read
        return outputs, inputs

    def _count_gone(self, layer: str, group: str, ratio: float) -> tuple[float, float]:
        """The shares of a layer's outputs and inputs that a group at some ratio takes away. Groups share no unit."""
        units, entry = self.subject.removed({group: ratio}), self.subject.channels.layers[layer]
        made, read = (
            0.0 if ids is None else float(torch.isin(ids, units).double().mean()) for ids in (entry.makes, entry.reads)
        )
        return made, read
