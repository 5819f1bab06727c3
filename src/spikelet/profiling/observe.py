"""Watches a model at work: forward hooks that count, layer by layer, while it runs in evaluation mode.

The hooks and the evaluation mode go away again, also after an error; parameters, buffers, gradients and
every module's own mode are what they were.

Counts follow the rules of layers.py. Products of two tensors are seen between the modules (products.py), as NeuroBench
does not see them. No other tensor function is counted, nor what it reads of a network's own parameters, nor is a layer
that never ran.
"""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from spikelet.base.errors import LoweringError, SpikeletError, TimeAxisError
from spikelet.base.time_axis import TimeAxis
from spikelet.lowering.trace import is_unknown_layer
from spikelet.neurons import Neuron
from spikelet.neurons.constants import numbers
from spikelet.nn import MaxPool2d, Recurrent, SumPool2d
from spikelet.nn.evaluation import evaluation_mode
from spikelet.nn.hooks import hooks
from spikelet.profiling.batches import samples_of
from spikelet.profiling.bits import are_spikes, spike_bits
from spikelet.profiling.fan_out import Window, dense_macs, fan_out
from spikelet.profiling.layers import ChannelLayer, Layer, NeuroBenchCounts, NeuronLayer, SynapseLayer
from spikelet.profiling.packed import (
    Constants,
    bias_bytes,
    constants_bytes,
    neuron_bytes,
    norm_bytes,
    weight_bits_of,
    weight_bytes,
)
from spikelet.profiling.products import ProductWatch, SeenProduct, Units

Norm = nn.BatchNorm1d | nn.BatchNorm2d
Synapse = nn.Conv1d | nn.Conv2d | nn.Linear
CHANNEL_BY_CHANNEL = (MaxPool2d, SumPool2d, nn.MaxPool2d, nn.AvgPool2d)


def observe(model: nn.Module, batches: Iterable[Tensor], time_axis: TimeAxis, units: Units) -> tuple[list[Layer], int]:
    """Layers in the order in which they first ran, and the number of samples.

    `units`: what one spike is worth in what each layer and product reads (spike_units.py).

    Raises:
        SpikeletError: a layer that can't be counted (names it), no samples, no neuron that ran.
        TimeAxisError: the model's output is for another number of samples than a batch has.
    """
    watches = _watches(model, units)
    order: list[_Ran] = []
    samples = 0
    products = ProductWatch(model, watches, units, order.append)
    every = itertools.chain(_hooks(watches, order), products.hooks())
    with evaluation_mode(model), hooks(every), torch.no_grad(), products:
        for x in batches:
            products.start(samples_of(x, time_axis))
            _check_batch(model(x), samples_of(x, time_axis), time_axis)
            samples += samples_of(x, time_axis)
    if not samples:
        raise SpikeletError("batches must hold at least one sample, got none.")
    layers = [watch.layer(samples) for watch in order]
    if not any(isinstance(layer, NeuronLayer) for layer in layers):
        raise SpikeletError("no neuron ran; a profile needs a spiking model. (See spikelet.neurons.LIF.)")
    return [layer for layer in layers if layer is not None], samples


def _check_batch(output: Any, count: int, time_axis: TimeAxis) -> None:
    """Raises TimeAxisError where the model made something for another number of samples than its input has."""
    if not isinstance(output, Tensor) or output.dim() not in (2, 3):
        return
    timed = output.dim() == 3  # [T, B, K], or of a model that takes [B, T, ...] perhaps [B, T, K]
    made = output.shape[:2] if timed and time_axis == 1 else output.shape[timed : timed + 1]
    if count not in made:
        raise TimeAxisError(
            f"with time_axis={time_axis} a batch holds {count} samples, and the model's output, of shape "
            f"{tuple(output.shape)}, is for another number. Pass time_axis=0 for batches [T, B, ...], time_axis=1 for "
            "[B, T, ...]."
        )


def _hooks(watches: dict[nn.Module, _Watch], order: list[_Ran]) -> Iterator[RemovableHandle]:
    """A hook on every watched layer, which notes when it first ran."""

    def see(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any], output: Tensor) -> None:
        watch = watches[module]
        if watch not in order:
            order.append(watch)
        watch.see(next(iter((*args, *kwargs.values()))), output)

    return (module.register_forward_hook(see, with_kwargs=True) for module in watches)


def _watches(model: nn.Module, units: Units) -> dict[nn.Module, _Watch]:
    """A watch for every layer that is counted; they share the note of the last synapses' output."""
    last = _LastOutput()
    watches: dict[nn.Module, _Watch] = {}
    inside: set[nn.Module] = set()  # parts of a layer that is counted whole: membranes, quantizers
    for name, module in model.named_modules():
        if module in inside:
            continue
        watch = _watch_of(name or type(module).__name__, module, last, units.get(module, (None,))[0])
        if watch is not None:
            watches[module] = watch
        if isinstance(module, Neuron | Synapse):
            inside.update(module.modules())
        elif isinstance(module, Recurrent):
            inside.update(module.neuron.modules())
    return watches


def _watch_of(name: str, module: nn.Module, last: _LastOutput, unit: float | None) -> _Watch | None:
    """What counts `module`, which reads spikes worth `unit`; None for one that computes nothing of its own.

    Raises:
        SpikeletError: it has parameters that nothing counts.
    """
    if isinstance(module, Recurrent):
        return _RecurrentWatch(f"{name}.neuron", module)
    if isinstance(module, Neuron):
        return _NeuronWatch(name, module)
    if isinstance(module, Synapse):
        return _SynapseWatch(name, module, last, unit)
    if isinstance(module, Norm):
        return _NormWatch(name, module, last)
    if isinstance(module, CHANNEL_BY_CHANNEL):
        return _PoolWatch(last)
    if isinstance(module, Constants):
        return _ConstantsWatch(name, module)
    if is_unknown_layer(module):
        raise SpikeletError(
            f"{name}: {type(module).__name__} has parameters that profile can't count. "
            "Counted are convolutions, Linear, batch norms, Scale, AddConstant, RelativeBias, Requantize and neurons."
        )
    return None


class _SynapseWatch:
    def __init__(self, name: str, module: Synapse, last: _LastOutput, unit: float | None) -> None:
        self.name, self.module, self.last, self.unit = name, module, last, unit
        self.window = _window_of(name, module)
        self.present = _as_map_weight(module).detach().ne(0).cpu().numpy()
        self.seen: _Seen | None = None
        self.norm: Norm | None = None

    def see(self, x: Tensor, output: Tensor) -> None:
        in_shape, out_shape = _sample_shape(self.module, x), _sample_shape(self.module, output)
        if self.seen is None:
            dense = int(fan_out(np.ones_like(self.present), in_shape, self.window).sum())
            self.seen = _Seen(self.name, in_shape, out_shape, fan_out(self.present, in_shape, self.window), dense)
        self.seen.add(x, in_shape)
        self.last.note(self, output)

    def layer(self, samples: int) -> SynapseLayer:
        seen, module = self.seen, self.module
        assert seen is not None, "a watch is asked only after its module ran"
        bits = weight_bits_of(module)
        parameters = sum(p.numel() for m in (module, self.norm) if m is not None for p in m.parameters())
        constants = bias_bytes(module) + (0 if self.norm is None else norm_bytes(self.norm, bits))
        return SynapseLayer(
            name=self.name,
            kind=_kind(self.window),
            parameters=parameters,
            norm_channels=0 if self.norm is None else self.norm.num_features,
            weights=module.weight.numel(),
            weight_bits=bits,
            packed_bytes=weight_bytes(module) + constants,
            in_shape=seen.in_shape,
            out_shape=seen.out_shape,
            kernel=(1, 1) if self.window is None else _pair(self.present.shape[2:]),
            steps=seen.positions / samples,
            spiking_input=seen.spiking,
            input_bits=seen.bits,
            input_events=seen.events / samples,
            macs_per_step=dense_macs(self.present.shape, seen.out_shape),
            neurobench=NeuroBenchCounts(
                seen.acs / samples, seen.macs / samples, seen.positions * seen.dense_per_position / samples
            ),
            input_counts=self._spikes(seen, samples),
        )

    def _spikes(self, seen: _Seen, samples: int) -> float | None:
        """Spikes that the inputs stood for, per sample."""
        if self.unit is not None:
            return seen.total / self.unit / samples
        return seen.events / samples if seen.spiking else None


@dataclasses.dataclass
class _Seen:
    """Running sums of one synapse layer; `positions` are samples times steps."""

    name: str
    in_shape: tuple[int, ...]
    out_shape: tuple[int, ...]
    fan_out: NDArray[np.int64]
    dense_per_position: int
    positions: int = 0
    events: int = 0
    acs: int = 0
    macs: int = 0
    total: float = 0.0
    spiking: bool = True
    bits: int = 1

    def add(self, x: Tensor, in_shape: tuple[int, ...]) -> None:
        if in_shape != self.in_shape:
            raise SpikeletError(_two_shapes(self.name, self.in_shape, in_shape))
        flat = x.reshape(-1, *in_shape)
        events = flat.ne(0).sum(0).cpu().numpy()
        operations = int((events * self.fan_out).sum())
        spiking = are_spikes(flat)
        self.positions += flat.shape[0]
        self.events += int(events.sum())
        self.acs += operations * spiking
        self.macs += operations * (not spiking)
        self.spiking &= spiking
        self.total += float(flat.double().sum())
        self.bits = max(self.bits, spike_bits(x, spiking))


class _PoolWatch:
    """Hands the note of the last synapses on: a batch norm behind a pool is still theirs."""

    def __init__(self, last: _LastOutput) -> None:
        self.last = last

    def see(self, x: Tensor, output: Tensor) -> None:
        maker = self.last.maker_of(x)
        if maker is not None:
            self.last.note(maker, output)

    def layer(self, samples: int) -> None:
        return None


class _NormWatch:
    """A batch norm belongs to the synapses whose output it reads, pooled or not; otherwise it is a layer of its own."""

    def __init__(self, name: str, module: Norm, last: _LastOutput) -> None:
        self.name, self.module, self.last = name, module, last
        self.owner: _SynapseWatch | None = None
        self.weight_bits = 1

    def see(self, x: Tensor, output: Tensor) -> None:
        owner = self.last.maker_of(x)
        if owner is not None and owner.norm in (None, self.module):
            owner.norm = self.module
            self.owner = owner
        elif self.last.maker is not None:
            self.weight_bits = weight_bits_of(self.last.maker.module)

    def layer(self, samples: int) -> ChannelLayer | None:
        if self.owner is not None:
            return None
        parameters = sum(p.numel() for p in self.module.parameters())
        return ChannelLayer(self.name, parameters, self.module.num_features, norm_bytes(self.module, self.weight_bits))


class _ConstantsWatch:
    """A gain, a constant or a grid of currents: its bytes; it counts no operation, as a batch norm counts none."""

    def __init__(self, name: str, module: Constants) -> None:
        self.name, self.module, self.channels = name, module, 0

    def see(self, x: Tensor, output: Tensor) -> None:
        self.channels = output.shape[2]

    def layer(self, samples: int) -> ChannelLayer:
        parameters = sum(p.numel() for p in self.module.parameters())
        return ChannelLayer(self.name, parameters, self.channels, constants_bytes(self.module))


class _NeuronWatch:
    def __init__(self, name: str, module: Neuron) -> None:
        self.name, self.module = name, module
        self.bits = _membrane_bits(name, module)
        self.shape: tuple[int, ...] = ()
        self.spikes = 0
        self.updates = 0

    def see(self, x: Tensor, output: Tensor) -> None:
        shape = tuple(output.shape[2:])
        if self.shape not in ((), shape):
            raise SpikeletError(_two_shapes(self.name, self.shape, shape))
        self.shape = shape
        self.spikes += int(output.count_nonzero())
        self.updates += membrane_updates(self.module, x)

    def layer(self, samples: int) -> NeuronLayer:
        return NeuronLayer(
            name=self.name,
            parameters=sum(p.numel() for p in self.module.parameters()),
            packed_bytes=neuron_bytes(self.module),
            shape=self.shape,
            time_steps=self.module.time_steps,
            membrane_bits=self.bits,
            leaky=_is_leaky(self.module),
            spikes=self.spikes / samples,
            membrane_updates=self.updates / samples,
        )


class _RecurrentWatch(_NeuronWatch):
    """The neurons of a layer with feedback, whose steps no hook sees."""

    def __init__(self, name: str, module: Recurrent) -> None:
        super().__init__(name, module.neuron)
        self.recurrent = module

    def see(self, x: Tensor, output: Tensor) -> None:
        super().see(self.recurrent.currents(x, output), output)


_Watch = _SynapseWatch | _PoolWatch | _NormWatch | _ConstantsWatch | _NeuronWatch
_Ran = _Watch | SeenProduct


class _LastOutput:
    """Which synapses ran last, and the very tensor that they made."""

    def __init__(self) -> None:
        self.maker: _SynapseWatch | None = None
        self.output: Tensor | None = None

    def note(self, maker: _SynapseWatch, output: Tensor) -> None:
        self.maker, self.output = maker, output

    def maker_of(self, x: Tensor) -> _SynapseWatch | None:
        """The synapses whose output `x` is, if they ran last."""
        return self.maker if x is self.output else None


def membrane_updates(neuron: Neuron, x: Tensor) -> int:
    """Membranes written over the sequence x [T or 1, B, ...]: all of them at the first step, then those that change."""
    membrane = neuron.trace(x).membrane
    return membrane[0].numel() + int((membrane[1:] != membrane[:-1]).sum())


def _membrane_bits(name: str, neuron: Neuron) -> int:
    """What a membrane says of itself, or else the integer neuron's."""
    membrane = getattr(neuron, "membrane", None)
    if membrane is None:
        return _of_integers(name, neuron)
    bits = getattr(membrane, "bits", None)
    if not isinstance(bits, int) or bits not in range(1, 33):
        raise SpikeletError(
            f"{name}: its membrane, {type(membrane).__name__}, must say how much it stores in an attribute "
            f"`bits` of 1 to 32, got {bits!r}."
        )
    return bits


def _of_integers(name: str, neuron: Neuron) -> int:
    try:
        membrane = neuron.lowered().membrane
    except LoweringError as e:
        raise SpikeletError(f"{name}: profile needs the bits of its membrane: {e}") from e
    return 32 if membrane is None else membrane[0]


def _is_leaky(neuron: Neuron) -> bool:
    """Whether a membrane is multiplied by something other than 0 and 1 between steps; so where nothing says it."""
    params = getattr(neuron, "params", None)
    if params is not None:
        return any(leak not in (0, 1) for leak in numbers(params.leak))
    integers = neuron.lowered()
    return bool(np.isin(integers.leak, (0, 1 << integers.leak_bits), invert=True).any())


def _two_shapes(name: str, first: tuple[int, ...], second: tuple[int, ...]) -> str:
    return f"{name}: ran on inputs of shapes {first} and {second}; profile one shape at a time."


def _kind(window: Window | None) -> Literal["conv", "linear"]:
    return "linear" if window is None else "conv"


def _pair(value: Any) -> tuple[int, int]:
    return int(value[0]), int(value[1])


def _window_of(name: str, module: Synapse) -> Window | None:
    if isinstance(module, nn.Linear):
        return None
    if module.padding_mode != "zeros" or isinstance(module.padding, str):
        raise SpikeletError(
            f"{name}: profile counts convolutions with zero padding given as numbers, got "
            f"padding={module.padding!r}, padding_mode={module.padding_mode!r}."
        )
    if isinstance(module, nn.Conv1d):  # a map of one row
        stride, padding, dilation = module.stride[0], int(module.padding[0]), module.dilation[0]
        return Window((1, stride), (0, padding), module.groups, (1, dilation))
    return Window(_pair(module.stride), _pair(module.padding), module.groups, _pair(module.dilation))


def _as_map_weight(module: Synapse) -> Tensor:
    """[O, I / groups, kh, kw], or [O, I]; a sequence is a map of one row."""
    return module.weight.unsqueeze(2) if isinstance(module, nn.Conv1d) else module.weight


def _sample_shape(module: Synapse, x: Tensor) -> tuple[int, ...]:
    """(C, H, W) or (F,) of one sample and step."""
    if isinstance(module, nn.Conv1d):
        return x.shape[-2], 1, x.shape[-1]
    return tuple(x.shape[-1:] if isinstance(module, nn.Linear) else x.shape[-3:])
