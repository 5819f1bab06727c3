"""The meaning of every operation, in NumPy, written to be read rather than to be fast.

Each function is the statement of docs/spec/operations.md with the same number. Arrays are
[T or 1, B, ...] int64; a time axis of 1 is a still edge, or one that SumTime has added up. Every value is
inside int32, as `analysis.analyse` has proved, so no backend's 32-bit arithmetic can differ.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import affine, analyse, store_membrane

Int64 = NDArray[np.int64]


class Reference:
    """Runs a graph: `Reference(graph)(x)` gives int32 logits [B, K].

    x: uint8 [B, *input shape] (the same image every step) or [T, B, *input shape] (frames).
    """

    def __init__(self, graph: ir.IntGraph) -> None:
        self.graph = graph
        analyse(graph)

    def __call__(self, x: NDArray[np.uint8]) -> NDArray[np.int32]:
        """Integer logits [B, K]."""
        return self.edges(x)[self.graph.output.name][0].astype(np.int32)

    def spikes(self, x: NDArray[np.uint8]) -> dict[str, NDArray[np.uint8]]:
        """Spikes [T, B, ...] of every Lif, by node name."""
        edges = self.edges(x)
        return {n.name: edges[n.name].astype(np.uint8) for n in self.graph.of_type(ir.Lif)}

    def edges(self, x: NDArray[np.uint8]) -> dict[str, Int64]:
        """Every edge's values by node name, [T or 1, B, ...]."""
        values: dict[str, Int64] = {self.graph.input.name: time_first(x, self.graph).astype(np.int64)}
        for node in self.graph.nodes[1:]:
            values[node.name] = MEANING[type(node)](node, *(values[n] for n in node.inputs), T=self.graph.time_steps)
        return values


def time_first(x: NDArray[np.uint8], graph: ir.IntGraph) -> NDArray[np.uint8]:
    """`x` as [T or 1, B, ...]; the one check of a program's input.

    Raises:
        GraphError: `x` is not uint8, or of another shape.
    """
    shape, t = graph.input.shape, graph.time_steps
    x = np.asarray(x)
    if x.dtype != np.uint8:
        raise GraphError(f"x must be uint8, got {x.dtype}. (Pixels 0..255 or event counts, as in training.)")
    if x.shape[1:] == shape:
        return x[None]
    if x.shape[2:] == shape and x.shape[0] == t:
        return x
    raise GraphError(
        f"x must have shape [B, {', '.join(map(str, shape))}] or [{t}, B, {', '.join(map(str, shape))}], got {x.shape}."
    )


def _windows(x: Int64, kernel: tuple[int, int], stride: tuple[int, int]) -> Int64:
    """[T, B, C, H, W] -> [T, B, C, H', W', kh, kw]."""
    return sliding_window_view(x, kernel, axis=(3, 4))[:, :, :, :: stride[0], :: stride[1]]


def conv(node: ir.Conv, x: Int64, T: int) -> Int64:
    """O2: n[o, i, j] = sum over c, u, v of weight[o, c, u, v] * x[c, i*sh + u - ph, j*sw + v - pw]; 0 outside."""
    (ph, pw), g = node.padding, node.groups
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (ph, ph), (pw, pw)))
    o, i, kh, kw = node.weight.shape
    w = _windows(padded, (kh, kw), node.stride)
    w = w.reshape(*w.shape[:2], g, i, *w.shape[3:])
    weight = node.weight.reshape(g, o // g, i, kh, kw)
    # float64 sums of integers below 2^53 are exact, and BLAS makes them bearable
    n = np.einsum("tbgiyxuv,goiuv->tbgoyx", w.astype(np.float64), weight.astype(np.float64), optimize=True)
    return n.reshape(*n.shape[:2], o, *n.shape[4:]).astype(np.int64)


def linear(node: ir.Linear, x: Int64, T: int) -> Int64:
    """O3: n[o] = sum over i of weight[o, i] * x[i]."""
    return x @ node.weight.astype(np.int64).T


def affine_(node: ir.Affine, x: Int64, T: int) -> Int64:
    """O4, per channel."""
    shape = (-1,) + (1,) * (x.ndim - 3)
    m, s, d = (v.astype(np.int64).reshape(shape) for v in (node.multiplier, node.shift, node.offset))
    return affine(x, m, s, d)


def add(node: ir.Add, *xs: Int64, T: int) -> Int64:
    """O5; a still edge is added to every step."""
    return sum(xs[1:], start=xs[0])


def lif(node: ir.Lif, x: Int64, T: int) -> Int64:
    """O6: T steps from a membrane of zero."""
    v = np.zeros_like(x[0])
    spikes = []
    for t in range(T):
        h = (node.leak * v + node.gain * x[t if len(x) > 1 else 0]) >> node.leak_bits
        s = (h >= node.threshold).astype(np.int64)
        v = h * (1 - s) if node.drop is None else h - node.drop * s
        v = v if node.membrane is None else store_membrane(v, node.membrane)
        spikes.append(s)
    return np.stack(spikes)


def max_pool(node: ir.MaxPool, x: Int64, T: int) -> Int64:
    """O7: the padding holds a value below any other."""
    p = node.padding
    padded = np.pad(x, ((0, 0), (0, 0), (0, 0), (p, p), (p, p)), constant_values=-(2**40))
    return _windows(padded, (node.kernel, node.kernel), (node.stride, node.stride)).max((-2, -1))


def sum_pool(node: ir.SumPool, x: Int64, T: int) -> Int64:
    """O8."""
    return _windows(x, (node.kernel, node.kernel), (node.kernel, node.kernel)).sum((-2, -1))


def flatten(node: ir.Flatten, x: Int64, T: int) -> Int64:
    """O9."""
    return x.reshape(*x.shape[:2], -1)


def sum_time(node: ir.SumTime, x: Int64, T: int) -> Int64:
    """O10."""
    return x.sum(0, keepdims=True) if len(x) > 1 else x * T


def channel_map(node: ir.ChannelMap, x: Int64, T: int) -> Int64:
    """O11: channel -1 is one of zeros behind the last."""
    with_zeros = np.concatenate([x, np.zeros_like(x[:, :, :1])], axis=2)
    return with_zeros[:, :, node.source, :: node.stride, :: node.stride]


MEANING: Mapping[type[ir.Node], Callable[..., Any]] = {
    ir.Conv: conv,
    ir.Linear: linear,
    ir.Affine: affine_,
    ir.Add: add,
    ir.Lif: lif,
    ir.MaxPool: max_pool,
    ir.SumPool: sum_pool,
    ir.Flatten: flatten,
    ir.SumTime: sum_time,
    ir.ChannelMap: channel_map,
}
