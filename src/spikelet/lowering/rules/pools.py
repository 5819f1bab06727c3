"""Pooling over windows of a map."""

from __future__ import annotations

from typing import Any

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.builder import Builder
from spikelet.lowering.reading import as_maps
from spikelet.lowering.registry import function, rule
from spikelet.lowering.rules.synapses import pair
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Value
from spikelet.nn import MaxPool2d, SumPool2d


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
    """The mean of each window.

    Raises:
        LoweringError: windows overlap, or reach into padding.
    """
    names = ("input", "kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
    given = dict(zip(names, call.args, strict=False)) | call.kwargs
    kernel = pair(given["kernel_size"])
    stride = kernel if given.get("stride") in (None, []) else pair(given["stride"])
    if stride != kernel or pair(given.get("padding", 0)) != (0, 0) or given.get("ceil_mode"):
        raise LoweringError(f"{call.place}: averages need stride = kernel_size and no padding.")
    divisor = given.get("divisor_override") or kernel[0] * kernel[1]
    return _sum_pool(b, call, x, b.extra_name(call.named("avg_pool")), kernel, divisor)


@function("adaptive_avg_pool2d")
def adaptive_pool(b: Builder, call: Call, x: Value) -> Value:
    """The mean of each of a given number of windows.

    Raises:
        LoweringError: the map is no multiple of that number.
    """
    out, (h, w) = tuple(call.output.shape)[-2:], x.shape[-2:]
    if h % out[0] or w % out[1]:
        raise LoweringError(f"{call.place}: windows of different sizes, from {(h, w)} to {out}, have no integer form.")
    kernel = (h // out[0], w // out[1])
    return _sum_pool(b, call, x, b.extra_name(call.named("avg_pool")), kernel, kernel[0] * kernel[1])


def _sum_pool(b: Builder, call: Call, x: Value, name: str, kernel: tuple[int, int], divisor: int) -> Value:
    maps, shape = as_maps(b, x, call.named("pool")), tuple(call.output.shape)
    node = ir.SumPool(name, (maps.source.node,), kernel)
    y = b.append(node, shape[-3:], maps.source.scale / divisor, maps.source.time)
    return maps.made(y, shape)
