"""Which channels of a model can only leave together, found by running it.

    channels = find_channels(model, example)
    channels.groups      groups of layers that share channels: a stage of a residual network is one group
    channels.kept        layers whose channels must stay, and why

The model is any module that `lowering.trace` can follow: what ran is recorded, in evaluation and in training
(training.py), whatever Python led there, and ids go along it (ids.py) by the rules of layers.py and functions.py. A
*unit* is a set of coupled channels, which leave together: one channel of a layer of its own, the same channel of every
layer that is added up, one channel of each group of a grouped convolution.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spikelet.base.errors import CompressionError
from spikelet.base.time_axis import TimeAxis
from spikelet.compression.channels import functions
from spikelet.compression.channels.ids import ChannelIds
from spikelet.compression.channels.layers import WEIGHTED, is_leaf, rule_of
from spikelet.compression.channels.training import training_runs
from spikelet.compression.channels.zeros import is_zeroed
from spikelet.compression.execution import check_runs, few_samples
from spikelet.lowering.trace import Call, Trace, tensors, trace

OUTPUT = "they are the network's outputs"


@dataclasses.dataclass(frozen=True, eq=False)
class LayerChannels:
    """The units (sets of coupled channels) along a layer's axes, int64; each unit has a number.

    reads: [I], or None where the layer keeps nothing for each input channel.
    makes: [O] of a layer that gives channels of its own, else None.
    carries: of the output, one for each use, of the output's rank: C along the channel axis and 1 along the others, or
        all 1 where all channels stay together.
    """

    name: str
    reads: Tensor | None
    makes: Tensor | None
    carries: tuple[Tensor, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Group:
    """Layers with weights that give the same units, in the order in which they ran, and these units [U], ascending."""

    layers: tuple[str, ...]
    units: Tensor

    @property
    def name(self) -> str:
        """The layers' names in one line."""
        return " + ".join(self.layers)


@dataclasses.dataclass(frozen=True, eq=False)
class Channels:
    """The analysis of one model.

    layers: every layer that has to do with channels, by name, in the order in which they ran.
    groups: units that can leave.
    kept: layers with weights whose channels stay, all or some, with the reason.
    values: the units along the axes of what every call made, in the order in which they ran; of the output's rank.
    time_axis: where time stood in the example.
    trains: whether the model runs in training mode, so that what it runs there is coupled too.
    """

    layers: Mapping[str, LayerChannels]
    groups: tuple[Group, ...]
    kept: Mapping[str, str]
    values: tuple[Tensor, ...]
    time_axis: TimeAxis = None
    trains: bool = False

    def group_of(self, layer: str) -> Group | None:
        """The group that a layer belongs to, or None where its channels stay."""
        return next((group for group in self.groups if layer in group.layers), None)


def find_channels(model: nn.Module, example: Tensor, *, time_axis: TimeAxis = None) -> Channels:
    """Returns which channels of `model` can only leave together, from one run in evaluation mode on a few samples,
    and from some in training mode where it runs in that.

    Args:
        model: any module. Not changed.
        example: a batch as the model takes it.
        time_axis: where time stands in it: None for still inputs [B, ...], 0 for [T, B, ...], 1 for [B, T, ...].
    Raises:
        CompressionError: the model does not run, or its output does not come from its input.
        TimeAxisError: the example is not laid out so.
    """
    check_runs(model, example, time_axis)
    example = few_samples(example, time_axis)
    with _Writes() as writes:
        traced = trace(model, example, is_leaf)
    calls = traced.calls
    known = ChannelIds(example)
    _follow_all(known, traced, writes)
    if not any(known.has(t) for t in tensors(traced.output)):
        raise CompressionError("the model's output must be a tensor computed from its input.")
    trains = _follow_training(known, model, example, time_axis)
    weighted = {name for name, module in model.named_modules() if isinstance(module, WEIGHTED)}
    values = tuple(known.union.roots(known.id_map(call.output)) for call in calls)
    return dataclasses.replace(_channels(known, weighted, values, time_axis), trains=trains)


def _follow_all(known: ChannelIds, traced: Trace, writes: _Writes) -> None:
    """Follows the channels along all calls, and keeps those of the outputs and of what was written."""
    for call in traced.calls:
        known.set(call.output, _follow(known, call))
        if is_zeroed(known, call):
            known.note_zeroed(call.output)
    writes.freeze(known)
    for tensor in tensors(traced.output):
        if known.has(tensor):
            known.union.freeze(known.id_map(tensor), OUTPUT)


def _follow_training(known: ChannelIds, model: nn.Module, example: Tensor, time_axis: TimeAxis) -> bool:
    """Couples what training mode couples too; whether the model runs in it."""
    try:
        with _Writes() as writes:
            runs = training_runs(model, example, time_axis)
    except Exception:  # a model that only evaluates; nothing can be spoilt for a training that does not run
        return False
    carries = {name: list(uses) for name, uses in known.carries.items()}
    for x, traced in runs:
        known.set(x, known.id_map(example))
        _follow_all(known, traced, writes)
    known.carries = carries  # uses are counted in evaluation
    return True


def _follow(known: ChannelIds, call: Call) -> Tensor:
    if isinstance(call.target, str):
        return functions.follow(known, call)
    rule = rule_of(call.target)
    if rule is None:
        return known.keep_all(call, f"{call.place} is not known to keep them apart")
    id_map = rule.follow(known, call)
    known.carry(call, id_map)
    return id_map


class _Writes(TorchFunctionMode):
    """Notes writes such as y[0] = x, which make no tensor and leave no call behind."""

    def __init__(self) -> None:
        super().__init__()
        self.tensors: list[Tensor] = []

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if getattr(func, "__name__", "") in ("__setitem__", "copy_", "index_copy_", "scatter_"):
            self.tensors += tensors(args)
        return func(*args, **(kwargs or {}))

    def freeze(self, known: ChannelIds) -> None:
        """Keeps the channels of everything that was written or written to."""
        for tensor in self.tensors:
            if known.has(tensor):
                known.union.freeze(known.id_map(tensor), "they are written into a part of a tensor")


def _channels(known: ChannelIds, weighted: set[str], values: tuple[Tensor, ...], time_axis: TimeAxis) -> Channels:
    layers = {name: _resolved(known, name) for name in dict.fromkeys([*known.carries, *known.makes, *known.reads])}
    kept: dict[str, str] = {}
    free: dict[str, list[int]] = {}
    for name in [name for name in layers if name in weighted]:
        makes = layers[name].makes
        assert makes is not None, "a layer with weights makes channels"
        reasons = {unit: known.union.reason(unit) for unit in makes.unique().tolist()}
        if why := [reason for reason in reasons.values() if reason is not None]:
            kept[name] = why[0]
        free[name] = [unit for unit, reason in reasons.items() if reason is None]
    return Channels(layers, tuple(_groups(free)), kept, values, time_axis)


def _resolved(known: ChannelIds, name: str) -> LayerChannels:
    def roots(ids: Tensor | None) -> Tensor | None:
        return None if ids is None else known.union.roots(ids)

    carries = tuple(known.union.roots(id_map) for id_map in known.carries.get(name, []))
    return LayerChannels(name, roots(known.reads.get(name)), roots(known.makes.get(name)), carries)


def _groups(free: dict[str, list[int]]) -> Iterable[Group]:
    """Layers that share a unit, directly or through others, form a group."""
    waiting = {name: set(units) for name, units in free.items() if units}
    while waiting:
        first = next(iter(waiting))
        units, names = waiting.pop(first), {first}
        while more := {name for name, own in waiting.items() if own & units}:
            names |= more
            units = units.union(*(waiting.pop(name) for name in more))
        yield Group(tuple(name for name in free if name in names), torch.tensor(sorted(units)))
