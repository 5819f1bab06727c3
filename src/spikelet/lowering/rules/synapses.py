"""Weighted layers: convolutions on quantized weights, what linear layers (dense.py) share with them; the encoding of
bytes."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spikelet.base.codes import stored
from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.reading import (
    Elements,
    as_elements,
    as_maps,
    by_channel,
    of_one_scale,
)
from spikelet.lowering.registry import rule
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Source, Value
from spikelet.nn import Conv1d, Conv2d, Encode, Linear
from spikelet.quant.grid import round_to_grid
from spikelet.quant.quantizer import Coded

Float64 = NDArray[np.float64]


def float64(tensor: Tensor) -> Float64:
    """The numbers of a tensor."""
    return tensor.detach().cpu().double().numpy()


@rule(Encode)
def encode(b: Builder, call: Call, layer: Encode, x: Value) -> Value:
    """Bytes over 256: the same integers, clipped where they have levels, at a scale of 2^-8."""
    if layer.levels is not None:
        elements = as_elements(b, x, call.where)
        source, zeros = elements.source, np.zeros(elements.source.channels)
        ones, shift = np.ones(source.channels, np.int64), zeros.astype(np.int64)
        name, clip = b.name(call.where), (0, layer.levels)
        x = elements.made(b.scaled(source, ones, shift, zeros, name, source.scale, clip), x.shape)
    return divided(b, x, 256, tuple(call.output.shape))


def divided(b: Builder, x: Value, by: float, shape: tuple[int, ...]) -> Value:
    """`x` / `by`, which only changes scales, as a tensor of `shape`."""
    if x.source is not None:
        return Value(shape, b.rescaled(x.source, x.source.scale / by))
    addresses = x.addresses.clone()
    places = b.sources.places(addresses)
    for i in places.used:
        source, here = b.sources.all[i], torch.from_numpy(places.source == i)
        addresses[here] += b.rescaled(source, source.scale / by).start - source.start
    return Value(shape, None, addresses.reshape(shape))


def coded(call: Call, layer: Conv1d | Conv2d | Linear) -> Coded:
    """The layer's weights as integers and scales.

    Raises:
        LoweringError: they are not finite, or the quantizer has no integers for them.
    """
    if not torch.isfinite(layer.weight).all():
        raise LoweringError(f"{call.where}: its weights must be finite numbers, got NaN or infinity.")
    try:
        coded = layer.quantizer.encode(layer.weight)
    except ValueError as e:
        raise LoweringError(f"{call.where}: {e}") from e
    if not torch.isfinite(coded.codes).all():
        raise LoweringError(f"{call.where}: its quantizer's steps must be finite numbers, got NaN or infinity.")
    return coded


def integers(c: Coded) -> NDArray[np.int8]:
    """The codes as the graph holds them."""
    return stored(c.codes.detach().cpu().numpy(), c.bits, c.grid)


def scale_of(c: Coded, x: Source, where: str) -> Float64:
    """The scale of each output channel."""
    return float64(c.scale).reshape(-1) * x.one_scale(where)


def with_bias(b: Builder, call: Call, layer: Conv1d | Conv2d | Linear, x: Source) -> Source:
    """`x` rounded to the grid and the layer's bias added; `x` itself where it has none."""
    if layer.bias is None:
        return x
    if not torch.isfinite(layer.bias).all():
        raise LoweringError(f"{call.where}: its bias must be finite numbers, got NaN or infinity.")
    return b.affine(x, np.array(1.0), float64(round_to_grid(layer.bias.detach())), f"{call.where}.bias")


def pair(value: Any) -> tuple[int, int]:
    """(rows, columns) from a number or a pair."""
    return (int(value), int(value)) if isinstance(value, int) else (int(value[0]), int(value[1]))


@rule(Conv2d)
def conv(b: Builder, call: Call, layer: Conv2d, x: Value) -> Value:
    """A convolution of maps."""
    maps, c = of_one_scale(b, as_maps(b, x, call.where), call.where), coded(call, layer)
    sizes = pair(layer.stride), pair(layer.padding), layer.groups, c.grid, pair(layer.dilation)
    node = ir.Conv(b.name(call.where), (maps.source.node,), integers(c), c.bits, *sizes)
    shape = tuple(call.output.shape)
    y = b.append(node, shape[-3:], scale_of(c, maps.source, call.where), maps.source.time)
    return maps.made(with_bias(b, call, layer, y), shape)


@rule(Conv1d)
def conv1d(b: Builder, call: Call, layer: Conv1d, x: Value) -> Value:
    """A convolution of sequences: of maps of one row; of kernel 1, of positions in any order."""
    c = coded(call, layer)
    weight = integers(c)[:, :, None, :]
    if layer.kernel_size == (1,) and layer.stride == (1,) and layer.padding == (0,):
        elements, channel = by_channel(b, x, -2, call.where)
        if np.array_equal(channel, np.arange(layer.in_channels)):
            return _of_positions(b, call, layer, elements, weight, c)
    maps = as_maps(b, x, call.where, axes=2)
    sizes = (1, layer.stride[0]), (0, int(layer.padding[0])), layer.groups, c.grid, (1, layer.dilation[0])
    node = ir.Conv(b.name(call.where), (maps.source.node,), weight, c.bits, *sizes)
    shape = tuple(call.output.shape)
    y = b.append(node, (shape[-2], 1, shape[-1]), scale_of(c, maps.source, call.where), maps.source.time)
    return maps.made(with_bias(b, call, layer, y), shape, axes=2)


def _of_positions(b: Builder, call: Call, layer: Conv1d, x: Elements, weight: NDArray[np.int8], c: Coded) -> Value:
    source, where = x.source, call.where
    node = ir.Conv(b.name(where), (source.node,), weight, c.bits, (1, 1), (0, 0), layer.groups, c.grid)
    y = b.append(node, (layer.out_channels, *source.map[1:]), scale_of(c, source, where), source.time)
    y, shape = with_bias(b, call, layer, y), tuple(call.output.shape)
    if x.addresses is None:
        return Value(shape, y)
    inner = (x.addresses - source.start) % source.size % source.positions
    frame = (x.addresses - source.start) // source.size
    first = np.take(frame * y.size + inner, [0], axis=-2)
    channel = np.arange(layer.out_channels)[:, None] * y.positions
    return Value(shape, None, torch.from_numpy(y.start + first + channel))
