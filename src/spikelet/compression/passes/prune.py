"""Pruning: channels leave, those of the lowest score first.

    Prune(0.5)                                       half of the channels of every group
    Prune(0.5, sparsity="global")                    half of all channels, wherever they score lowest
    Prune({"features.0": 0.45, "features.1": 0.51})  by layer, as papers list them
    Prune(max_bytes=100_000)                         as few as a budget allows; max_sops= likewise

A group of n units keeps int(n (1 - ratio)), one at least, as in the code of QP-SNN (arXiv:2502.05905; its paper removes
ceil(n ratio), which differs by the rounding of the product alone). The network's output keeps its channels. Scores are
those of the criterion, combined for units of several layers and compared between groups as in criteria/criterion.py.
Equal scores keep the order of the channels.

A budget is met by one threshold over all groups, found by bisection (budget.py). Bytes are those of the bits that the
model has then: put Quantize first.
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from spikelet.base.errors import CompressionError
from spikelet.base.numbers import make_plain
from spikelet.base.strict_json import shown
from spikelet.compression.channels import (
    OUTPUT,
    WEIGHTED,
    Channels,
    Group,
    find_channels,
    first_removable,
    in_line,
    kept_of,
    remove_channels,
)
from spikelet.compression.criteria import SVS, Criterion, unit_scores
from spikelet.compression.execution import layers_of
from spikelet.compression.filters import Filter, everything
from spikelet.compression.passes.base import Context, Row
from spikelet.compression.passes.budget import units_for_budget
from spikelet.compression.passes.ratios import Ratios, check_ratios, groups_within, ratios_by_group
from spikelet.profiling.batches import samples_of

SPARSITIES = ("layerwise", "global")


@dataclasses.dataclass(frozen=True)
class Prune:
    """Removes channels. Give either a ratio or a budget.

    Args:
        ratio: share of channels that leave, in [0, 1]: one number, or one by layer (ratios.py).
        criterion: what a channel is worth.
        sparsity: how one number is meant: "layerwise", the same share of every group; "global", one threshold for all.
        max_bytes, max_sops: limits of the pruned network: packed bytes, and accumulates per sample.
        where: layers that may lose channels; a group only does with all of its layers. Not with ratios by layer.
    Raises:
        CompressionError: an argument is out of range, or two of them contradict each other.
    """

    ratio: Ratios | None = None
    criterion: Criterion = dataclasses.field(default_factory=SVS)
    sparsity: str = "layerwise"
    max_bytes: float | None = None
    max_sops: float | None = None
    where: Filter = dataclasses.field(default_factory=everything)

    def __post_init__(self) -> None:
        make_plain(self)
        has_budget = self.max_bytes is not None or self.max_sops is not None
        if (self.ratio is None) != has_budget:
            raise CompressionError(
                "Prune takes either a ratio or a budget (max_bytes=, max_sops=), "
                f"got {'both' if has_budget else 'neither'}."
            )
        for name, value in (("max_bytes", self.max_bytes), ("max_sops", self.max_sops)):
            if value is not None and not (type(value) in (int, float) and value > 0):
                raise CompressionError(f"Prune.{name} must be a number above 0, got {value!r}.")
        if not isinstance(self.criterion, Criterion):
            raise CompressionError(f"Prune.criterion must be a Criterion such as SVS(), got {shown(self.criterion)}.")
        if self.sparsity not in SPARSITIES:
            raise CompressionError(f"Prune.sparsity must be one of {SPARSITIES}, got {self.sparsity!r}.")
        if self.ratio is not None:
            check_ratios(self.ratio)
        if isinstance(self.ratio, Mapping) and (self.where != everything() or self.sparsity != "layerwise"):
            raise CompressionError("Prune.ratio by layer says where and how much; leave out where= and sparsity=.")

    def apply(self, model: nn.Module, context: Context) -> tuple[nn.Module, list[Row]]:
        """Raises CompressionError where a layer or budget can't be had, or no data was given."""
        inputs = context.calibration("Prune")
        channels = find_channels(model, inputs[0], time_axis=context.time_axis)
        layers = layers_of(model, WEIGHTED, inputs[0], context.time_axis)
        by_layer = ratios_by_group(channels, layers, self.ratio) if isinstance(self.ratio, Mapping) else None
        groups = (
            groups_within(channels, layers, self.where)
            if by_layer is None
            else [g for g in channels.groups if by_layer.get(g.name, 0) > 0]
        )
        started = time.monotonic()
        scores = self.criterion.scores(model, channels, inputs)
        seconds = time.monotonic() - started
        by_group = {group.name: unit_scores(group, scores) for group in groups}
        ranked = [(group, values) for group in groups if (values := by_group[group.name]) is not None]
        unscored = [group for group in groups if by_group[group.name] is None]
        if unscored and (by_layer is not None or not ranked):
            raise CompressionError(
                f"{unscored[0].name}: {type(self.criterion).__name__} gives its channels no score (no neuron or norm "
                "carries them). Use WeightL1(), or leave the layer out."
            )
        units = self._units(model, channels, ranked, by_layer, inputs[0])
        samples = sum(samples_of(x, context.time_axis) for x in inputs)
        rows = [
            Row("", f"scoring by {type(self.criterion).__name__}", "", f"{seconds:.2f} s on {samples} samples"),
            *_rows(channels, units),
            *(Row(g.name, "kept", "", f"{type(self.criterion).__name__} gives no score") for g in unscored),
            *(Row(name, "kept", "", reason) for name, reason in channels.kept.items() if reason != OUTPUT),
        ]
        if len(units):
            remove_channels(model, channels, units, inputs[0])
        return model, rows

    def _units(
        self,
        model: nn.Module,
        channels: Channels,
        ranked: Sequence[tuple[Group, Tensor]],
        by_layer: Mapping[str, float] | None,
        x: Tensor,
    ) -> Tensor:
        """The units that leave."""
        if self.ratio is None:
            return units_for_budget(model, channels, in_line(ranked), x, self.max_bytes, self.max_sops)
        if self.sparsity == "global":
            assert not isinstance(self.ratio, Mapping)
            order = in_line(ranked)
            return first_removable(channels, order, len(order) - kept_of(len(order), self.ratio))
        chosen = [torch.empty(0, dtype=torch.int64)]
        for group, scores in ranked:
            ratio = self.ratio if by_layer is None else by_layer[group.name]
            assert isinstance(ratio, int | float)
            order = in_line([(group, scores)])
            chosen.append(first_removable(channels, order, len(order) - kept_of(len(order), ratio)))
        return torch.cat(chosen)


def _rows(channels: Channels, units: Tensor) -> list[Row]:
    rows = []
    weighted = [name for group in channels.groups for name in group.layers]
    for name in [name for name in channels.layers if name in weighted]:
        makes = channels.layers[name].makes
        assert makes is not None
        left = int((~torch.isin(makes, units)).sum())
        if left < len(makes):
            rows.append(Row(name, "channels", str(len(makes)), str(left)))
    return rows
