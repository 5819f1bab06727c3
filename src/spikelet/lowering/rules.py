"""How each layer and tensor function becomes integer operations: one rule each, in two tables.

A rule takes the builder, the recorded call and the values it read, and returns the value it makes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from spikelet.base.codes import stored
from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.trace import Call, tensors
from spikelet.lowering.values import Builder, Value
from spikelet.neurons import LIF, Neuron
from spikelet.nn import BatchNorm2d, ChannelMap, Conv2d, Encode, Linear, MaxPool2d, SumPool2d
from spikelet.nn.norm import MAX_GAIN, gain_and_offset
from spikelet.quant.grid import round_to_grid
from spikelet.quant.quantizer import Coded

Rule = Callable[[Builder, Call, list[Value]], Value]


def _integers(coded: Coded) -> np.ndarray[Any, np.dtype[Any]]:
    return stored(coded.codes.detach().cpu().numpy(), coded.bits, coded.grid)


def _float64(tensor: Tensor) -> np.ndarray[Any, np.dtype[np.float64]]:
    return tensor.detach().cpu().double().numpy()


def _encode(b: Builder, call: Call, values: list[Value]) -> Value:
    (x,) = values
    return Value(x.node, x.scale / 256, x.channels, x.timed)


def _coded(call: Call) -> Coded:
    layer = call.target
    assert isinstance(layer, Conv2d | Linear)
    if not torch.isfinite(layer.weight).all():
        raise LoweringError(f"{call.where}: its weights must be finite numbers, got NaN or infinity.")
    try:
        return layer.quantizer.encode(layer.weight)
    except ValueError as e:
        raise LoweringError(f"{call.where}: {e}") from e


def _with_bias(b: Builder, call: Call, value: Value) -> Value:
    layer = call.target
    assert isinstance(layer, Conv2d | Linear)
    if layer.bias is None:
        return value
    return b.affine(value, np.array(1.0), _float64(round_to_grid(layer.bias.detach())), f"{call.where}.bias")


def _conv(b: Builder, call: Call, values: list[Value]) -> Value:
    layer = call.target
    assert isinstance(layer, Conv2d)
    (x,), coded = values, _coded(call)
    node = ir.Conv(
        b.name(call.where),
        (x.node,),
        _integers(coded),
        coded.bits,
        _pair(layer.stride),
        _pair(layer.padding),
        layer.groups,
        coded.grid,
        _pair(layer.dilation),
    )
    scale = _float64(coded.scale).reshape(-1) * x.one_scale(call.where)
    return _with_bias(b, call, Value(b.append(node), scale, layer.out_channels, x.timed))


def _pair(value: Any) -> tuple[int, int]:
    return int(value[0]), int(value[1])


def _linear(b: Builder, call: Call, values: list[Value]) -> Value:
    layer = call.target
    assert isinstance(layer, Linear)
    (x,), coded = values, _coded(call)
    node = ir.Linear(b.name(call.where), (x.node,), _integers(coded), coded.bits, coded.grid)
    scale = _float64(coded.scale).reshape(-1) * x.one_scale(call.where)
    return _with_bias(b, call, Value(b.append(node), scale, layer.out_features, x.timed))


def _norm(b: Builder, call: Call, values: list[Value]) -> Value:
    norm = call.target
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    axes = {BatchNorm2d: 5, nn.BatchNorm2d: 4, nn.BatchNorm1d: 2}[type(norm)]
    if call.output.dim() != axes:
        raise LoweringError(
            f"{call.place}: reads {call.output.dim()} axes and normalises axis 1, which is no channel. Torch's own "
            "batch norms take what a mean over time left; use spikelet.nn.BatchNorm2d for [T, B, C, H, W]."
        )
    try:
        gain, offset = gain_and_offset(norm)
    except ValueError as e:
        raise LoweringError(f"{call.where}: {e}") from e
    if type(norm) is not BatchNorm2d and bool((gain.abs() >= MAX_GAIN).any()):
        raise LoweringError(
            f"{call.where}: {type(norm).__name__} multiplies a channel by {MAX_GAIN:.0f} or more, which integers cap. "
            "A channel with next to no variance is the usual reason: prune it, or use spikelet.nn.BatchNorm2d."
        )
    return b.affine(values[0], _float64(gain), _float64(offset), call.where)


def _neuron(b: Builder, call: Call, values: list[Value]) -> Value:
    neuron = call.target
    assert isinstance(neuron, Neuron)
    try:
        n = neuron.lowered()
    except LoweringError as e:
        raise LoweringError(f"{call.where}: {e}") from e
    x = b.on_grid(values[0], call.where)
    membrane = None if n.membrane is None else ir.Membrane(*n.membrane)
    names = ("leak", "gain", "leak_bits", "threshold", "reset", "levels", "step", "start", "rounding")
    fields = {field: getattr(n, field) for field in names}
    node = ir.Lif(b.name(call.where), (x.node,), **fields, membrane=membrane)
    return Value(b.append(node), np.array(n.value), x.channels)


def _max_pool(b: Builder, call: Call, values: list[Value]) -> Value:
    pool, (x,) = call.target, values
    assert isinstance(pool, MaxPool2d)
    kernel, stride, padding = (
        _square(call, field, getattr(pool, field)) for field in ("kernel_size", "stride", "padding")
    )
    if pool.dilation not in (1, (1, 1)) or pool.ceil_mode:
        raise LoweringError(f"{call.where}: max pooling with dilation or ceil_mode is not supported.")
    return Value(
        b.append(ir.MaxPool(b.name(call.where), (x.node,), (kernel, kernel), (stride, stride), (padding, padding))),
        x.scale,
        x.channels,
        x.timed,
    )


def _square(call: Call, field: str, value: Any) -> int:
    sides = value if isinstance(value, tuple) else (value, value)
    if sides[0] != sides[1]:
        raise LoweringError(f"{call.where}: {field} must be square, got {value}.")
    return int(sides[0])


def _sum_pool(b: Builder, call: Call, values: list[Value]) -> Value:
    pool, (x,) = call.target, values
    assert isinstance(pool, SumPool2d)
    kernel = pool.kernel_size if isinstance(pool.kernel_size, tuple) else (pool.kernel_size, pool.kernel_size)
    node = ir.SumPool(b.name(call.where), (x.node,), kernel)
    return Value(b.append(node), x.scale / pool.divisor, x.channels, x.timed)


def _channel_map(b: Builder, call: Call, values: list[Value]) -> Value:
    layer, (x,) = call.target, values
    assert isinstance(layer, ChannelMap)
    source = layer.source.detach().cpu().numpy()
    if source.max() >= 2**15:
        raise LoweringError(f"{call.where}: can map channels 0 to {2**15 - 1}, its source has {source.max()}.")
    name = b.append(ir.ChannelMap(b.name(call.where), (x.node,), source.astype(np.int16), layer.stride))
    scale = np.broadcast_to(x.scale, (x.channels,))[np.maximum(source, 0)]  # a zero is a zero at any scale
    return Value(name, scale, len(source), x.timed)


def _same(b: Builder, call: Call, values: list[Value]) -> Value:
    return values[0]


def _add(b: Builder, call: Call, values: list[Value]) -> Value:
    if len(values) == 1 and [a for a in call.args if not isinstance(a, Tensor)] == [0]:
        return values[0]  # Python's sum() starts from 0
    if len(values) != 2 or call.kwargs.get("alpha", 1) != 1 or not all(isinstance(a, Tensor) for a in call.args):
        raise LoweringError(f"{call.place}: only the sum of two tensors that depend on the input can be lowered.")
    first, second = (tuple(a.shape[2 if v.timed else 1 :]) for a, v in zip(_read(call), values, strict=False))
    if first != second:
        raise LoweringError(f"{call.place}: can't add tensors of shapes {first} and {second}.")
    if values[0].timed != values[1].timed:
        raise LoweringError(f"{call.place}: can't add a tensor with a time axis to a mean over time.")
    scale = float(min(v.scale.min() for v in values))  # the finer one: a sum is exact, only neurons round it
    x, y = (b.at_scale(v, scale, _named(call, "add")) for v in values)
    node = ir.Add(b.extra_name(_named(call, "add")), (x.node, y.node))
    return Value(b.append(node), np.array(scale), x.channels, x.timed)


def _read(call: Call) -> list[Tensor]:
    """The tensors that the call read, in the order of its values."""
    return list(tensors((call.args, call.kwargs)))


def _flatten(b: Builder, call: Call, values: list[Value]) -> Value:
    (x,) = values
    before = _read(call)[0].shape
    after = call.output.shape
    if before[:2] != after[:2] or len(after) != 3:
        raise LoweringError(
            f"{call.place}: can only flatten [T, B, C, H, W] to [T, B, C*H*W], "
            f"got {tuple(before)} -> {tuple(after)}. (Use x.flatten(2).)"
        )
    if before == after:
        return x
    scale = np.repeat(np.broadcast_to(x.scale, (x.channels,)), int(after[2]) // x.channels)
    return Value(b.append(ir.Flatten(b.extra_name(_named(call, "flatten")), (x.node,))), scale, int(after[2]), x.timed)


def _mean(b: Builder, call: Call, values: list[Value]) -> Value:
    (x,) = values
    before, dims = _read(call)[0].shape, _mean_axes(call)
    if dims == (0,) and x.timed:
        name = b.append(ir.SumTime(b.extra_name(_named(call, "mean")), (x.node,)))
        return Value(name, x.scale / b.time_steps, x.channels, timed=False)
    if dims == (3, 4) and len(before) == 5 and before[3] == before[4]:
        name = b.append(ir.SumPool(b.extra_name(_named(call, "mean")), (x.node,), (int(before[3]), int(before[3]))))
        if call.output.dim() == 3:  # without keepdim
            name = b.append(ir.Flatten(b.extra_name(_named(call, "flatten")), (name,)))
        return Value(name, x.scale / before[3] ** 2, x.channels, x.timed)
    raise LoweringError(
        f"{call.place}: only the mean over time (0) or over a square map (3, 4) can be lowered, got {dims}."
    )


def _mean_axes(call: Call) -> tuple[int, ...]:
    rank = _read(call)[0].dim()
    dim = call.kwargs.get("dim", call.args[1] if len(call.args) > 1 else None)
    dims = tuple(range(rank)) if dim is None else (dim,) if isinstance(dim, int) else tuple(dim)
    return tuple(sorted(d % rank for d in dims))


def _named(call: Call, what: str) -> str:
    return f"{call.where}.{what}" if call.where else what


MODULES: dict[type[nn.Module], Rule] = {
    Encode: _encode,
    Conv2d: _conv,
    Linear: _linear,
    BatchNorm2d: _norm,
    nn.BatchNorm1d: _norm,
    nn.BatchNorm2d: _norm,
    LIF: _neuron,
    MaxPool2d: _max_pool,
    SumPool2d: _sum_pool,
    ChannelMap: _channel_map,
    nn.Identity: _same,
    nn.Dropout: _same,
    nn.Dropout2d: _same,
    nn.Dropout3d: _same,
}

FUNCTIONS: dict[str, Rule] = {
    **dict.fromkeys(("add", "__add__", "__radd__", "__iadd__", "add_"), _add),
    **dict.fromkeys(("flatten", "reshape", "view"), _flatten),
    "mean": _mean,
    **dict.fromkeys(("contiguous", "clone", "detach"), _same),
}


def convert(b: Builder, call: Call, values: list[Value]) -> Value:
    """Applies the rule of a recorded call.

    Raises:
        LoweringError: there is none; names the module, and what could be used instead.
    """
    if isinstance(call.target, str):
        rule = FUNCTIONS.get(call.target)
        if rule is None:
            raise LoweringError(
                f"{call.place}: the tensor function {call.target!r} has no integer form. "
                f"Supported: {', '.join(sorted(set(FUNCTIONS)))}."
            )
        return rule(b, call, values)
    rule = MODULES.get(type(call.target))
    if rule is None:
        raise LoweringError(
            f"{call.place}: this layer has no integer form. "
            f"Supported: {', '.join(sorted({k.__name__ for k in MODULES}))}.{_hint(call.target)}"
        )
    return rule(b, call, values)


def _hint(layer: nn.Module) -> str:
    if isinstance(layer, nn.Conv2d | nn.Linear):
        name = "Conv2d" if isinstance(layer, nn.Conv2d) else "Linear"
        return f" Its weights are floats: use spikelet.nn.{name} with a quantizer."
    return ""
