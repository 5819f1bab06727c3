"""Pooling over windows of a map."""

from __future__ import annotations

from typing import Any

import numpy as np

from spikelet.base.codes import stored
from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.reading import as_maps
from spikelet.lowering.registry import function, rule
from spikelet.lowering.rules.synapses import pair
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Value
from spikelet.nn import MaxPool2d, SumPool2d

Pair = tuple[int, int]


@rule(MaxPool2d)
def max_pool_layer(b: Builder, call: Call, layer: MaxPool2d, x: Value) -> Value:
    """The largest of each window."""
    fields = {name: getattr(layer, name) for name in ("kernel_size", "stride", "padding", "dilation", "ceil_mode")}
    return _max_pool(b, call, x, call.where, b.name(call.where), fields)


@function("max_pool2d", "max_pool2d_with_indices", "boolean_dispatch")
def max_pool(b: Builder, call: Call, x: Value) -> Value:
    """The same as a function, as torch.nn.MaxPool2d calls it."""
    names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    if given.get("return_indices"):
        raise LoweringError(f"{call.place}: returns indices, which have no integer form.")
    name = call.named("max_pool")
    fields = {"stride": None, "padding": 0, "dilation": 1, "ceil_mode": False} | given
    return _max_pool(b, call, x, name, b.extra_name(name), fields)


def _max_pool(b: Builder, call: Call, x: Value, where: str, name: str, fields: dict[str, Any]) -> Value:
    if pair(fields["dilation"]) != (1, 1) or fields["ceil_mode"]:
        raise LoweringError(f"{where}: max pooling with dilation or ceil_mode is not supported.")
    kernel = pair(fields["kernel_size"])
    stride = kernel if fields["stride"] in (None, []) else pair(fields["stride"])
    maps, shape = as_maps(b, x, where), tuple(call.output.shape)
    node = ir.MaxPool(name, (maps.source.node,), kernel, stride, pair(fields["padding"]))
    return maps.made(b.append(node, shape[-3:], maps.source.scale, maps.source.time), shape)


@rule(SumPool2d)
def sum_pool_layer(b: Builder, call: Call, layer: SumPool2d, x: Value) -> Value:
    """The sum of each window over a power of two."""
    return _sum_pool(b, call, x, b.name(call.where), pair(layer.kernel_size), layer.divisor)


@function("avg_pool2d")
def avg_pool(b: Builder, call: Call, x: Value) -> Value:
    """The mean of each window; windows that overlap, or reach into padding, are sums of a convolution of ones.

    Raises:
        LoweringError: ceil_mode, or padding that is not counted.
    """
    names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    kernel = pair(given["kernel_size"])
    stride = kernel if given.get("stride") in (None, []) else pair(given["stride"])
    padding = pair(given.get("padding", 0))
    if given.get("ceil_mode") or (padding != (0, 0) and given.get("count_include_pad") is False):
        raise LoweringError(f"{call.place}: averages need windows inside of the map, or padding that counts as zeros.")
    divisor = given.get("divisor_override") or kernel[0] * kernel[1]
    if stride != kernel or padding != (0, 0):
        return _convolved(b, call, x, (kernel, stride, padding), divisor)
    return _sum_pool(b, call, x, b.extra_name(call.named("avg_pool")), kernel, divisor)


@function("adaptive_avg_pool2d")
def adaptive_pool(b: Builder, call: Call, x: Value) -> Value:
    """The mean of each of a given number of windows.

    Raises:
        LoweringError: the map is no multiple of that number.
    """
    kernel = _windows(call, x)
    return _sum_pool(b, call, x, b.extra_name(call.named("avg_pool")), kernel, kernel[0] * kernel[1])


def _windows(call: Call, x: Value) -> Pair:
    """The size of the windows side by side that an adaptive pool has. Raises LoweringError where they differ."""
    out, (h, w) = tuple(call.output.shape)[-2:], x.shape[-2:]
    if h % out[0] or w % out[1]:
        raise LoweringError(
            f"{call.place}: windows of different sizes, from {(h, w)} to {out}, have no integer form. Ask for "
            "sizes that divide the map's."
        )
    return h // out[0], w // out[1]


@function("max_pool1d", "max_pool1d_with_indices")
def max_pool_of_sequences(b: Builder, call: Call, x: Value) -> Value:
    """The largest of each window of sequences [.., C, L], which are maps of one row."""
    names = ("input", "kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    if given.get("return_indices") or given.get("ceil_mode") or given.get("dilation", 1) not in (1, (1,), [1]):
        raise LoweringError(f"{call.place}: max pooling with indices, dilation or ceil_mode has no integer form.")
    kernel, stride, padding = _rows(given)
    name = call.named("max_pool")
    maps, shape = as_maps(b, x, name, axes=2), tuple(call.output.shape)
    node = ir.MaxPool(b.extra_name(name), (maps.source.node,), kernel, stride, padding)
    y = b.append(node, (shape[-2], 1, shape[-1]), maps.source.scale, maps.source.time)
    return maps.made(y, shape, axes=2)


def _rows(given: dict[str, Any]) -> tuple[Pair, Pair, Pair]:
    kernel = given["kernel_size"]
    values = (kernel, given.get("stride") or kernel, given.get("padding", 0))
    k, s, p = (v if isinstance(v, int) else v[0] for v in values)
    return (1, k), (1, s), (0, p)


@function("adaptive_max_pool2d", "adaptive_max_pool2d_with_indices")
def adaptive_max_pool(b: Builder, call: Call, x: Value) -> Value:
    """The largest of each of a given number of windows.

    Raises:
        LoweringError: the map is no multiple of that number.
    """
    name, kernel = call.named("max_pool"), _windows(call, x)
    fields = {"kernel_size": kernel, "stride": kernel, "padding": 0, "dilation": 1, "ceil_mode": False}
    return _max_pool(b, call, x, name, b.extra_name(name), fields)


def _convolved(b: Builder, call: Call, x: Value, window: tuple[Pair, Pair, Pair], divisor: int) -> Value:
    """Each channel through a kernel of ones of its own."""
    kernel, stride, padding = window
    name = call.named("avg_pool")
    maps, shape = as_maps(b, x, name), tuple(call.output.shape)
    channels = maps.source.channels
    ones = stored(np.ones((channels, 1, *kernel), np.int64), 1, "symmetric")
    node = ir.Conv(b.extra_name(name), (maps.source.node,), ones, 1, stride, padding, channels)
    return maps.made(b.append(node, shape[-3:], maps.source.scale / divisor, maps.source.time), shape)


def _sum_pool(b: Builder, call: Call, x: Value, name: str, kernel: tuple[int, int], divisor: int) -> Value:
    maps, shape = as_maps(b, x, call.named("pool")), tuple(call.output.shape)
    node = ir.SumPool(name, (maps.source.node,), kernel)
    y = b.append(node, shape[-3:], maps.source.scale / divisor, maps.source.time)
    return maps.made(y, shape)
