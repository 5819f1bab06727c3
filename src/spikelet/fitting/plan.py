"""A plan: how many bits each layer's weights get, and which share of each group of channels leaves."""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from spikelet.compression.channels import Channels, first_removable, kept_of, remove_channels
from spikelet.nn import Conv1d, Conv2d, Linear
from spikelet.quant import Quantizer, Uniform
from spikelet.quant.rescaled import ReScaW


@dataclasses.dataclass(frozen=True)
class Plan:
    """Bits of each layer's weights, and the share of each group's channels that leaves, by name.

    A layer or group that is not named stays as it is.
    """

    bits: Mapping[str, int] = dataclasses.field(default_factory=dict)
    ratios: Mapping[str, float] = dataclasses.field(default_factory=dict)


Changes = tuple[tuple[tuple[str, int], ...], tuple[int, ...]]


@dataclasses.dataclass(frozen=True, eq=False)
class Subject:
    """The network that plans are made for.

    model: the starting network. Never changed.
    example: a batch as it takes it.
    channels: what `find_channels` found.
    orders: by a group's name, its units int64 [U], least wanted first.
    first_and_last: the layer that reads the input and the one that makes the logits: they keep 4 or 8 bits.
    """

    model: nn.Module
    example: Tensor
    channels: Channels
    orders: Mapping[str, Tensor]
    first_and_last: tuple[str, str]

    def removed(self, ratios: Mapping[str, float]) -> Tensor:
        """The units that leave, int64 [R]: all but `kept_of` them in each group, as `Prune` does it."""
        chosen = [self._first(name, ratio) for name, ratio in ratios.items()]
        return torch.cat([torch.empty(0, dtype=torch.int64), *chosen])

    def _first(self, group: str, ratio: float) -> Tensor:
        order = self.orders[group]
        return first_removable(self.channels, order, len(order) - kept_of(len(order), ratio))

    def changes(self, plan: Plan) -> Changes:
        """The layers that get other bits, with these, and the units that leave; equal for plans of one network."""
        now = {name: layer_of(self.model, name).quantizer.bits for name in plan.bits}
        bits = tuple((name, bits) for name, bits in plan.bits.items() if bits != now[name])
        return bits, tuple(self.removed(plan.ratios).tolist())

    def build(self, plan: Plan) -> nn.Module:
        """The network of a plan: a smaller copy with its quantizers, not yet trained."""
        model = copy.deepcopy(self.model)
        changed, removed = self.changes(plan)
        if removed:
            remove_channels(model, self.channels, torch.tensor(removed), self.example)
        for name, bits in changed:  # a layer that was trained at these bits keeps its own rule
            layer_of(model, name).quantizer = self.quantizer(name, bits)
        return model

    def quantizer(self, layer: str, bits: int) -> Quantizer:
        """The quantizer of a layer at `bits`: ReScaW, or Uniform for the first and the last layer."""
        if layer in self.first_and_last:
            return Uniform(bits, per_channel=layer != self.first_and_last[1])
        return ReScaW(bits)


def layer_of(model: nn.Module, name: str) -> Conv1d | Conv2d | Linear:
    """The layer with weights of this name."""
    layer = model.get_submodule(name)
    assert isinstance(layer, Conv1d | Conv2d | Linear)
    return layer
