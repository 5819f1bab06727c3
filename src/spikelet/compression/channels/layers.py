"""Every layer that channels can be cut from: which channels it reads and makes, and how it shrinks.

    Conv1d, 2d   reads [I], makes [O]      weight [O, I / groups, kh, kw] -> [O', I' / groups', kh, kw], bias [O']
    Linear       reads [I], makes [O]      weight [O, I] -> [O', I']; behind a flatten a channel is H * W inputs
                                           both: what a quantizer of their own holds per output channel or per weight
    BatchNorm    reads [C]                 gain, offset and running statistics of the kept channels, values unchanged
    Neuron       reads [C] if it keeps something for each channel (such as a learned threshold), else nothing
    ChannelMap   reads [I], makes [O]      source [O] -> [O'], rewritten: an input that left reads as zero, an output
                                           that left takes its entry along
    Scale        reads [C] if it has a gain for each channel or block of channels, such as a head
    AddConstant  reads [C] if it adds another number to each channel
    Encode, pooling, gathering, dropout    channels pass through

A convolution of G groups joins channels, so that every group keeps as many as the next. Where each group has one
input or one output, whole groups leave: input and output together (the depthwise case). Otherwise the channel
at one place of a group leaves with those at the same place of the other groups, inputs and outputs apart.
"""

from __future__ import annotations

import abc
import dataclasses
import functools
from collections.abc import Callable

import torch
from torch import Tensor, nn

from spikelet.compression.channels.ids import ChannelIds, along_axis, leading, varying
from spikelet.lowering.trace import Call, leaves
from spikelet.neurons import LIF, Delay, Integrator, Membranes, Neuron
from spikelet.nn import (
    AddConstant,
    BatchNorm1d,
    BatchNorm2d,
    ChannelMap,
    Conv1d,
    Conv2d,
    Encode,
    Gain2d,
    Gather,
    Linear,
    MaxPool2d,
    Requantize,
    Scale,
    SumPool2d,
)

Convolution = nn.Conv1d | nn.Conv2d
Weighted = nn.Conv1d | nn.Conv2d | nn.Linear
WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Linear)
"""Layers with weights, whose channels may leave and whose weights may be quantized."""


@dataclasses.dataclass(frozen=True, eq=False)
class Kept:
    """What stays of a layer: boolean masks along its input and its output axis, None where it has no such axis."""

    reads: Tensor | None
    makes: Tensor | None


Replace = Callable[[nn.Module, str, Callable[[Tensor], Tensor]], None]
"""Puts `pick(old tensor)` in the place of a module's tensor; a tensor that two modules share stays shared."""


class LayerRule(abc.ABC):
    """How a kind of layer treats channels."""

    @abc.abstractmethod
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        """The id map of the call's output."""

    def shrink(self, layer: nn.Module, kept: Kept, replace: Replace) -> None:
        """Cuts a layer with tensors by channel down to what is kept."""
        raise AssertionError(f"{type(layer).__name__} has no tensor by channel")


class _Convolution(LayerRule):
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        conv = call.target
        assert isinstance(conv, Convolution)
        axis = 1 - conv.weight.dim()
        inputs = known.along(call, axis, conv.in_channels)
        outputs = known.weigh(call, conv.weight, inputs, conv.out_channels)
        _keep_unknown_state(known, call, conv, inputs, outputs)
        if conv.groups > 1:
            _join_groups(known, inputs.view(conv.groups, -1), outputs.view(conv.groups, -1))
        return along_axis(outputs, axis, call.output.dim())

    def shrink(self, layer: nn.Module, kept: Kept, replace: Replace) -> None:
        assert isinstance(layer, Convolution)
        assert kept.reads is not None
        assert kept.makes is not None
        inputs, outputs = kept.reads.view(layer.groups, -1), kept.makes.view(layer.groups, -1)
        full = inputs.any(1) & outputs.any(1)
        rows, columns = outputs[full].sum(1), inputs[full].sum(1)
        assert full.any(), "a convolution keeps a channel"
        assert (rows == rows[0]).all() and (columns == columns[0]).all(), "groups of a convolution stay of one size"

        def pick(weight: Tensor) -> Tensor:
            by_group = weight.unflatten(0, (layer.groups, -1))
            parts = [by_group[g][outputs[g]][:, inputs[g]] for g in full.nonzero().flatten().tolist()]
            return torch.cat(parts)

        _cut_quantizer(layer, kept.makes, pick, replace)
        replace(layer, "weight", pick)
        replace(layer, "bias", lambda bias: bias[kept.makes])
        layer.groups = int(full.sum())
        layer.in_channels, layer.out_channels = int(kept.reads.sum()), int(kept.makes.sum())


def _whole_groups_leave(inputs: int, outputs: int, groups: int) -> bool:
    return groups in (inputs, outputs)


def loses_whole_groups(conv: nn.Conv1d | nn.Conv2d) -> bool:
    """Whether an input of `conv` leaves together with an output: the depthwise case."""
    return conv.groups > 1 and _whole_groups_leave(conv.in_channels, conv.out_channels, conv.groups)


def _join_groups(known: ChannelIds, inputs: Tensor, outputs: Tensor) -> None:
    """inputs [G, I / G], outputs [G, O / G]."""
    if _whole_groups_leave(inputs.numel(), outputs.numel(), len(inputs)):
        whole = torch.cat([inputs, outputs], 1)
        known.union.join(whole, whole[:, :1])
    else:
        known.union.join(inputs, inputs[:1])
        known.union.join(outputs, outputs[:1])


class _Linear(LayerRule):
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        linear = call.target
        assert isinstance(linear, nn.Linear)
        inputs = known.along(call, -1, linear.in_features)
        outputs = known.weigh(call, linear.weight, inputs, linear.out_features)
        _keep_unknown_state(known, call, linear, inputs, outputs)
        return along_axis(outputs, -1, call.output.dim())

    def shrink(self, layer: nn.Module, kept: Kept, replace: Replace) -> None:
        assert isinstance(layer, nn.Linear)
        assert kept.reads is not None
        assert kept.makes is not None

        def pick(weight: Tensor) -> Tensor:
            return weight[kept.makes][:, kept.reads]

        _cut_quantizer(layer, kept.makes, pick, replace)
        replace(layer, "weight", pick)
        replace(layer, "bias", lambda bias: bias[kept.makes])
        layer.in_features, layer.out_features = int(kept.reads.sum()), int(kept.makes.sum())


def _quantizer_state(layer: nn.Module) -> list[tuple[nn.Module, str, Tensor]]:
    """(module, name, tensor) of everything that the layer's own quantizer holds beyond one number for the layer."""
    quantizer = getattr(layer, "quantizer", None)
    parts = quantizer.modules() if isinstance(quantizer, nn.Module) else ()
    return [(m, name, t) for m in parts for name, t in _tensors(m, recurse=False) if t.numel() > 1]


def _is_per_output(state: Tensor, outputs: int) -> bool:
    return state.shape[0] == outputs == state.numel()


def _keep_unknown_state(known: ChannelIds, call: Call, layer: Weighted, inputs: Tensor, outputs: Tensor) -> None:
    """Keeps all channels of a layer whose quantizer holds a tensor neither per output channel nor per weight."""
    for module, name, state in _quantizer_state(layer):
        if not _is_per_output(state, len(outputs)) and state.shape != layer.weight.shape:
            what = f"{type(module).__name__}.{name} of shape {tuple(state.shape)}"
            reason = f"{call.place} has {what}, neither one per output channel nor one per weight"
            known.union.freeze(inputs, reason)
            known.union.freeze(outputs, reason)


def _cut_quantizer(layer: nn.Module, makes: Tensor, pick: Callable[[Tensor], Tensor], replace: Replace) -> None:
    for module, name, state in _quantizer_state(layer):
        per_output = _is_per_output(state, len(makes))
        replace(module, name, functools.partial(_pick_channels, mask=makes) if per_output else pick)


class _Norm(LayerRule):
    def __init__(self, axis: int) -> None:
        self.axis = axis

    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        norm = call.target
        assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
        ids = known.along(call, self.axis, norm.num_features)
        known.read(call, ids)
        return along_axis(ids, self.axis, call.output.dim())

    def shrink(self, layer: nn.Module, kept: Kept, replace: Replace) -> None:
        assert isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)
        assert kept.reads is not None
        for name in ("weight", "bias", "running_mean", "running_var"):
            replace(layer, name, lambda values: values[kept.reads])
        layer.num_features = int(kept.reads.sum())


class _Neuron(LayerRule):
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        assert isinstance(call.target, Neuron)
        (x,) = known.sources(call)
        id_map = known.id_map(x)
        axes = varying(id_map)
        for name, state in _tensors(call.target):
            if state.numel() == 1:
                continue
            if len(axes) != 1 or not _is_per_channel(state, axes[0] - x.dim(), x.shape[axes[0]]):
                return known.keep_all(call, f"{call.place} has {name} of shape {tuple(state.shape)}, not one a channel")
            known.read(call, id_map.flatten())
        if _has_constants_by_channel(call.target):
            if axes not in ([], [2]):
                return known.keep_all(call, f"{call.place} has constants by channel, and channels on another axis")
            known.read(call, id_map.flatten().expand(x.shape[2]))
        return id_map

    def shrink(self, layer: nn.Module, kept: Kept, replace: Replace) -> None:
        assert isinstance(layer, Neuron)
        assert kept.reads is not None
        if _has_constants_by_channel(layer):
            layer.keep_channels(kept.reads.nonzero().flatten().tolist())
        for module in layer.modules():
            for name, state in _tensors(module, recurse=False):
                if state.numel() > 1:
                    replace(module, name, functools.partial(_pick_channels, mask=kept.reads))


def _has_constants_by_channel(neuron: Neuron) -> bool:
    if isinstance(neuron, LIF):
        return neuron.params.channels is not None
    return type(neuron).keep_channels is not Neuron.keep_channels


def _tensors(module: nn.Module, recurse: bool = True) -> list[tuple[str, Tensor]]:
    return [*module.named_parameters(recurse=recurse), *module.named_buffers(recurse=recurse)]


def _is_per_channel(state: Tensor, axis: int, channels: int) -> bool:
    """Whether `state` broadcasts over everything but the axis `axis` < 0, along which it has one entry a channel."""
    return state.dim() >= -axis and state.shape[axis] == channels == state.numel()


def _pick_channels(state: Tensor, mask: Tensor) -> Tensor:
    """The masked entries of a tensor with one axis longer than 1."""
    axis = max(range(state.dim()), key=lambda d: state.shape[d])
    return _along(state, axis, mask)


class _Map(LayerRule):
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        assert isinstance(call.target, ChannelMap)
        (x,) = known.sources(call)
        known.read(call, known.along(call, -3, x.shape[-3]))
        made = known.makes.setdefault(call.where, known.union.new(len(call.target.source)))
        return along_axis(made, -3, call.output.dim())

    def shrink(self, layer: nn.Module, kept: Kept, replace: Replace) -> None:
        assert kept.reads is not None
        assert kept.makes is not None
        place_of = torch.where(kept.reads, kept.reads.long().cumsum(0) - 1, -1)
        place_of = torch.cat([place_of, torch.tensor([-1])])  # the last entry is that of -1
        replace(layer, "source", lambda source: place_of.to(source.device)[source[kept.makes]])


class _Scale(LayerRule):
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        assert isinstance(call.target, Scale)
        (x,) = known.sources(call)
        gains = call.target.gain.shape[-1] if call.target.gain.dim() else 1
        if gains == 1:
            return known.id_map(x)
        ids = known.along(call, 2, x.shape[2])
        blocks = ids.view(gains, -1)
        known.union.join(blocks, blocks[:, :1])  # a head's channels leave together, and its gain with them
        known.read(call, blocks[:, 0])
        return along_axis(ids, 2, call.output.dim())

    def shrink(self, layer: nn.Module, kept: Kept, replace: Replace) -> None:
        assert kept.reads is not None
        replace(layer, "gain", lambda gain: gain[..., kept.reads])


class _Constant(LayerRule):
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        assert isinstance(call.target, AddConstant)
        (x,) = known.sources(call)
        id_map, shape = known.id_map(x), call.target.value.shape
        axes = varying(id_map)
        if not axes or all(shape[axis - 2] == 1 for axis in axes):
            return id_map
        if len(axes) > 1 or list(shape).count(shape[axes[0] - 2]) > 1:
            return known.keep_all(call, f"{call.place} adds a constant of shape {tuple(shape)}, not one a channel")
        known.read(call, id_map.flatten())
        return id_map

    def shrink(self, layer: nn.Module, kept: Kept, replace: Replace) -> None:
        assert kept.reads is not None
        mask = kept.reads
        replace(layer, "value", lambda value: _along(value, list(value.shape).index(len(mask)), mask))


def _along(state: Tensor, axis: int, mask: Tensor) -> Tensor:
    return state.index_select(axis, mask.nonzero().flatten().to(state.device))


class _Same(LayerRule):
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        (x,) = known.sources(call)
        id_map = known.id_map(x)
        return id_map.view(leading(id_map.shape, call.output.dim()))  # Encode gives an image its time axis


class _Pool(LayerRule):
    def follow(self, known: ChannelIds, call: Call) -> Tensor:
        (x,) = known.sources(call)
        return over_space(known, call, x)


def over_space(known: ChannelIds, call: Call, x: Tensor) -> Tensor:
    """The id map of what pools or resizes the last two axes of `x`."""
    id_map = known.id_map(x)
    if any(axis >= id_map.dim() - 2 for axis in varying(id_map)):
        return known.keep_all(call, f"{call.place} mixes them")
    return id_map


LAYERS: dict[type[nn.Module], LayerRule] = {
    **dict.fromkeys((Conv1d, Conv2d, nn.Conv1d, nn.Conv2d), _Convolution()),
    **dict.fromkeys((Linear, nn.Linear), _Linear()),
    **dict.fromkeys((BatchNorm1d, BatchNorm2d, Gain2d), _Norm(axis=2)),
    **dict.fromkeys((nn.BatchNorm1d, nn.BatchNorm2d), _Norm(axis=1)),
    ChannelMap: _Map(),
    Scale: _Scale(),
    AddConstant: _Constant(),
    **dict.fromkeys((MaxPool2d, SumPool2d, Gather, nn.MaxPool2d, nn.AvgPool2d, nn.AdaptiveAvgPool2d), _Pool()),
    **dict.fromkeys(
        (Delay, Encode, Integrator, Membranes, Requantize, nn.Dropout, nn.Dropout2d, nn.Dropout3d, nn.Identity), _Same()
    ),
}


NEURON = _Neuron()


def rule_of(module: nn.Module) -> LayerRule | None:
    """The rule of a layer, by its type, or for any neuron; None for an unknown layer."""
    return NEURON if isinstance(module, Neuron) else LAYERS.get(type(module))


def is_leaf(module: nn.Module) -> bool:
    """Whether the analysis takes a module as one layer; all others are looked into."""
    return isinstance(module, Neuron) or leaves(LAYERS)(module)
