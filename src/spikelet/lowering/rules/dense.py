"""Linear layers: over vectors, over the channels of every position, and over positions, as those of MLP-Mixer's tokens.

    y[c, j] = sum over i of x[c, i] * w[j, i] + b[j]            i, j positions, the same for every channel c

A linear layer's weights multiply channels in the graph. Over positions they are a constant, by which positions are
multiplied as attention multiplies them (products.py).
"""

from __future__ import annotations

import dataclasses

import numpy as np
import torch
from numpy.typing import NDArray

from spikelet.base.errors import LoweringError
from spikelet.graph import ir
from spikelet.lowering.arrange import UnorderedError, leading_axes
from spikelet.lowering.builder import Builder, is_power_of_two
from spikelet.lowering.pairs import paired
from spikelet.lowering.reading import as_elements, as_rows, rows_of_one_scale
from spikelet.lowering.registry import rule
from spikelet.lowering.rules.elementwise import sum_of
from spikelet.lowering.rules.products import product
from spikelet.lowering.rules.synapses import coded, divided, float64, integers, scale_of, with_bias
from spikelet.lowering.trace import Call
from spikelet.lowering.values import Int64, Value
from spikelet.nn import Linear
from spikelet.quant.grid import round_to_grid


@rule(Linear)
def linear(b: Builder, call: Call, layer: Linear, x: Value) -> Value:
    """A linear layer over vectors; over tokens it is a 1 x 1 convolution."""
    try:
        with b.attempt():
            found = as_rows(b, x, call.where)
    except UnorderedError:
        lead = leading_axes(b, x)
        if all(axis in lead or n == 1 for axis, n in enumerate(x.shape[:-1])):  # it has one row, and no channels
            raise
        return _over_positions(b, call, layer, x)
    rows, c = rows_of_one_scale(b, found, call.where), coded(call, layer)
    weight = _ordered(integers(c), rows.order)
    scale = scale_of(c, rows.source, call.where)
    if rows.source.is_flat:
        node: ir.Operation = ir.Linear(b.name(call.where), (rows.source.node,), weight, c.bits, c.grid)
        y = b.append(node, (layer.out_features,), scale, rows.source.time)
    else:
        source, kernel = rows.source, weight[:, :, None, None]
        node = ir.Conv(b.name(call.where), (source.node,), kernel, c.bits, (1, 1), (0, 0), 1, c.grid)
        y = b.append(node, (layer.out_features, *source.shape[1:]), scale, source.time)
    return rows.made(with_bias(b, call, layer, y), tuple(call.output.shape))


def _ordered(weight: NDArray[np.int8], order: Int64 | None) -> NDArray[np.int8]:
    return weight if order is None else np.ascontiguousarray(weight[:, order])


def _over_positions(b: Builder, call: Call, layer: Linear, x: Value) -> Value:
    """The module's equation, for `x` [..., C, N].

    Raises:
        LoweringError: the last axis is no positions either, or the weights' scales are no powers of two apart.
    """
    c, shape = coded(call, layer), tuple(call.output.shape)
    scales = float64(c.scale).reshape(-1)
    unit = float(scales.min())
    if not all(is_power_of_two(ratio) for ratio in scales / unit):
        raise LoweringError(
            f"{call.where}: is a linear layer over positions, whose outputs must share one scale up to powers of two; "
            f"its quantizer's scales lie between {unit:.3g} and {scales.max():.3g}. Use Uniform."
        )
    codes = c.codes.detach().cpu().double() * torch.from_numpy(scales / unit).reshape(-1, 1)
    y = divided(b, product(b, call, x.addresses, b.constant(codes), shape), 1 / unit, shape)
    if layer.bias is None:
        return y
    elements = as_elements(b, y, call.named("bias"))
    on_grid = b.affine(elements.source, np.array(1.0), np.array(0.0), f"{call.where}.bias")
    joined = dataclasses.replace(call, target="add", output=torch.empty(shape, device="meta"))
    pair = paired(b, joined, elements.made(on_grid, shape), round_to_grid(layer.bias.detach()).double())
    return pair.made(sum_of(b, joined, pair, (1, 1)), shape)
