"""An integer graph as an ordinary PyTorch network: what the native program is measured beside.

    PlainTorch(graph)(x)        uint8 [B, ...] or [T, B, ...] -> logits [B, K], in the graph's integer unit

Written as one would who wants PyTorch to be fast: the constants behind a convolution are folded into its weights; what
comes before the first neuron runs once for a still image; a neuron without memory takes all steps at once, any other
loops over T, keeps nothing after the last step and multiplies by no 1; attention is a batched matrix product of heads
[T, B, h, d, N]; channels that lie together are a slice; and a tensor is let go after its last reader. The roundings
that integers need and the few bits of their membranes are left out, which favours PyTorch; where the network itself
brings currents to 8 bits it still does.

`exact=True` puts these back and computes in float64: the logits are then those of the graph, to the last bit
(tests/examples/test_plain_torch.py), so that what is measured is the same network.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from spikelet.base.codes import values_of
from spikelet.graph import ir
from spikelet.graph.backend import BackendRules

Float64 = NDArray[np.float64]
FEW_BITS = 8


class PlainTorch(nn.Module):
    """See the module.

    Args:
        graph: any graph without a delay.
        dtype: of weights and values, torch.float32 or torch.bfloat16.
        exact: whether to round as the integers do, in float64.
    Raises:
        GraphError: an operation has no plain form; names it.
    """

    def __init__(self, graph: ir.IntGraph, dtype: torch.dtype = torch.float32, *, exact: bool = False) -> None:
        super().__init__()
        self.dtype = torch.float64 if exact else dtype
        self.input, self.output = graph.input, graph.output.name
        self.layers = nn.ModuleList()
        self.reads: list[tuple[str, ...]] = []
        self.makes: list[str] = []
        folded = _folded(graph)
        inside = {scale.name for scale in folded.values()}
        for node in graph.nodes[1:]:
            if node.name not in inside:
                scale = folded.get(node.name)
                self.layers.append(RULES.of(node)(node, _Around(graph.time_steps, scale, exact)))
                self.reads.append(node.inputs)
                self.makes.append(node.name if scale is None else scale.name)
        last = {name: i for i, names in enumerate(self.reads) for name in names}
        self.done = [tuple(n for n in dict.fromkeys(names) if last[n] == i) for i, names in enumerate(self.reads)]
        self.to(self.dtype)

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the graph's integer unit, up to rounding."""
        steps = x if x.dim() == len(self.input.shape) + 2 else x[None]
        values = {self.input.name: steps.to(self.dtype)}
        for i, layer in enumerate(self.layers):
            values[self.makes[i]] = layer(*[values[name] for name in self.reads[i]])
            for name in self.done[i]:
                if name != self.output:
                    del values[name]
        return values[self.output][0]


@dataclasses.dataclass(frozen=True)
class _Around:
    """What an operation is told of the graph that it stands in: T, the affine that is folded into it, how to round."""

    time_steps: int
    scale: ir.Affine | None
    exact: bool


def _folded(graph: ir.IntGraph) -> dict[str, ir.Affine]:
    """The gain and offset that alone reads a convolution or linear layer, by that layer's name."""
    users: dict[str, list[ir.Operation]] = {node.name: [] for node in graph.nodes}
    for node in graph.nodes:
        for name in set(node.inputs):
            users[name].append(node)
    outputs = {output.node for output in graph.outputs}
    return {
        node.name: after
        for node in graph.nodes
        if isinstance(node, ir.Conv | ir.Linear) and node.name not in outputs and len(users[node.name]) == 1
        if isinstance(after := users[node.name][0], ir.Affine) and len(after.shift) == 1
    }


def _gain(node: ir.Affine) -> Float64:
    """The multipliers of an affine as real numbers, [1 or T, 1 or C]."""
    return node.multiplier * 2.0 ** -node.shift.astype(np.float64)


def _settled(x: Tensor, scale: ir.Affine | None, exact: bool) -> Tensor:
    """What is left of an affine behind its gain and offset: the clip, and the rounding where it is `exact` or to a few
    bits, which no network leaves out (a stream of 16 bits need not be rounded)."""
    if scale is None:
        return x
    few = scale.clip is not None and scale.clip[1] - scale.clip[0] < 2**FEW_BITS
    x = torch.floor(x + 0.5) if exact or few else x
    return x if scale.clip is None else x.clamp(*scale.clip)


def _frames(f: Callable[..., Tensor], x: Tensor, *args: Any) -> Tensor:
    """`f` of all time steps and samples at once, [T, B, ...]."""
    return f(x.flatten(0, 1), *args).unflatten(0, x.shape[:2])


class Synapses(nn.Module):
    """A convolution or linear layer, and the gain, offset and clip behind it."""

    def __init__(self, node: ir.Conv | ir.Linear, around: _Around) -> None:
        super().__init__()
        weight, scale = values_of(node.weight, node.bits, node.grid).astype(np.float64), around.scale
        bias = None
        if scale is not None:
            weight = weight * _gain(scale).reshape(-1, *[1] * (weight.ndim - 1))
            bias = torch.tensor(np.broadcast_to(scale.offset[0], len(weight)).astype(np.float64))
        self.node, self.scale, self.exact = node, scale, around.exact
        self.register_buffer("weight", torch.tensor(weight))
        self.register_buffer("bias", bias)

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, I, ...] -> [T, B, O, ...]."""
        node = self.node
        if isinstance(node, ir.Linear):
            y = F.linear(x, self.weight, self.bias)
        else:
            y = _frames(F.conv2d, x, self.weight, self.bias, node.stride, node.padding, node.dilation, node.groups)
        return _settled(y, self.scale, self.exact)


class Scaled(nn.Module):
    """A gain, an offset and a clip, by channel and by time step."""

    def __init__(self, node: ir.Affine, around: _Around) -> None:
        super().__init__()
        self.node, self.exact = node, around.exact
        gain, offset = _gain(node), node.offset.astype(np.float64)
        self.has_gain, self.has_offset = bool((gain != 1).any()), bool(offset.any())
        self.register_buffer("gain", torch.tensor(gain))
        self.register_buffer("offset", torch.tensor(offset))

    def forward(self, x: Tensor) -> Tensor:
        """[T, B, C, ...] -> the same."""
        inner = [1] * (x.dim() - 3)
        gain, offset = (c.view(len(c), 1, -1, *inner) for c in (self.gain, self.offset))
        x = x * gain if self.has_gain else x
        return _settled(x + offset if self.has_offset else x, self.node, self.exact)


class Neurons(nn.Module):
    """Spikes, or counts of them, over T steps."""

    def __init__(self, node: ir.Lif, around: _Around) -> None:
        super().__init__()
        self.node, self.time_steps, self.exact = node, around.time_steps, around.exact
        one = 2.0**node.leak_bits
        self._hold("leak", np.asarray(node.leak) / one)
        self._hold("gain", np.asarray(node.gain) / one)
        self._hold("threshold", np.asarray(node.threshold, np.float64))
        self._hold("step", np.asarray(node.spacing, np.float64))
        self._hold("start", np.asarray(node.start, np.float64))
        self._hold("drop", None if node.drop is None else np.asarray(node.drop, np.float64))

    def _hold(self, name: str, value: Any) -> None:
        """Keeps a constant: a number, or a tensor [C] of constants by channel."""
        if value is None or value.ndim == 0:
            setattr(self, name, None if value is None else float(value))
        else:
            self.register_buffer(name, torch.tensor(value))

    def forward(self, x: Tensor) -> Tensor:
        """Currents [T or 1, B, C, ...] -> [T, B, C, ...]."""
        leak, gain, threshold, step, start, drop = (
            c.view(-1, *[1] * (x.dim() - 3)) if isinstance(c, Tensor) else c
            for c in (self.leak, self.gain, self.threshold, self.step, self.start, self.drop)
        )
        x = x if isinstance(gain, float) and gain == 1 else x * gain
        if isinstance(leak, float) and leak == 0:
            return self._fired(self._rounded(x), threshold, step).expand(self.time_steps, *x.shape[1:])
        v: Any = start
        spikes = []
        for t in range(self.time_steps):
            current = x[t if len(x) > 1 else 0]
            forgets = isinstance(v, float) and v == 0
            h = self._rounded(current if forgets else v * leak + current)
            s = self._fired(h, threshold, step)
            spikes.append(s)
            if t < self.time_steps - 1:
                v = self._kept(h * (1 - s if self.node.levels == 1 else (s == 0)) if drop is None else h - drop * s)
        return torch.stack(spikes)

    def _fired(self, h: Tensor, threshold: Any, step: Any) -> Tensor:
        if self.node.levels == 1:
            return (h >= threshold).to(h.dtype)
        return (torch.floor((h - threshold) / step) + 1).clamp(0, self.node.levels)

    def _rounded(self, h: Tensor) -> Tensor:
        """The charge, on the integers where it is `exact`."""
        if not self.exact:
            return h
        return torch.floor(h + 0.5) if self.node.rounding == "half" else torch.floor(h)

    def _kept(self, v: Tensor) -> Tensor:
        """The membrane, of its few bits where it is `exact`."""
        membrane = self.node.membrane
        if membrane is None or not self.exact:
            return v
        step = 2.0**membrane.shift
        return torch.floor(v / step + 0.5).clamp(-membrane.top, membrane.top) * step


class Product(nn.Module):
    """The product of two edges as matrices, head by head, and row by row where rows stay apart."""

    def __init__(self, node: ir.Matmul, around: _Around) -> None:
        super().__init__()
        self.node = node

    def forward(self, a: Tensor, b: Tensor) -> Tensor:
        """[T, B, C, H, W] twice -> [T, B, h R, H', W']."""
        node = self.node
        y = self._matrices(a, node.transpose[0]) @ self._matrices(b, node.transpose[1])
        y = y.permute(0, 1, 3, 4, 2, 5) if node.by_row else y
        return y.reshape(*y.shape[:2], -1, *node.space)

    def _matrices(self, x: Tensor, transposed: bool) -> Tensor:
        """[T, B, h, C / h, N]; by row [T, B, H, h, C / h, W]; their transposes."""
        heads = x.unflatten(2, (self.node.heads, -1))
        if self.node.by_row:
            heads = heads.permute(0, 1, 4, 2, 3, 5)
        else:
            heads = heads.flatten(4) if x.dim() > 3 else heads.unsqueeze(4)
        return heads.mT if transposed else heads


class Picked(nn.Module):
    """Entries of several edges by number, joined along an axis: channels, or positions. -1 is a zero."""

    def __init__(self, index: NDArray[Any], stride: int = 1, space: tuple[int, int] | None = None) -> None:
        super().__init__()
        self.stride, self.space = stride, space
        self.first, self.count = int(index[0]), index.size
        self.together = self.first >= 0 and bool((np.diff(index) == 1).all())
        self.register_buffer("index", torch.tensor(np.maximum(index, 0).astype(np.int64)))
        self.register_buffer("present", None if index.min() >= 0 else torch.tensor((index >= 0).astype(np.float64)))

    def forward(self, *xs: Tensor) -> Tensor:
        """[T, B, C, H, W] each -> [T, B, C', H', W']."""
        steps = max(len(x) for x in xs)
        parts = [x.expand(steps, *x.shape[1:]) for x in xs]
        if self.space is not None:
            return self._along([x.flatten(3) if x.dim() > 3 else x.unsqueeze(3) for x in parts], 3).unflatten(
                3, self.space
            )
        y = self._along(parts, 2)
        return y if self.stride == 1 else y[..., :: self.stride, :: self.stride]

    def _along(self, xs: list[Tensor], axis: int) -> Tensor:
        x = xs[0] if len(xs) == 1 else torch.cat(xs, axis)
        if self.together:
            return x.narrow(axis, self.first, self.count)
        x = x.index_select(axis, self.index)
        return x if self.present is None else x * self.present.view(-1, *[1] * (x.dim() - axis - 1))


class Held(nn.Module):
    """The same values at every step and for every sample."""

    def __init__(self, node: ir.Constant, around: _Around) -> None:
        super().__init__()
        self.register_buffer("values", torch.tensor(node.values.astype(np.float64))[None, None])

    def forward(self) -> Tensor:
        """[1, 1, ...]."""
        return self.values


class SummedSteps(nn.Module):
    """The sum over time, or of all steps so far."""

    def __init__(self, node: ir.SumTime, around: _Around) -> None:
        super().__init__()
        self.running, self.time_steps = node.running, around.time_steps

    def forward(self, x: Tensor) -> Tensor:
        """[T or 1, B, ...] -> [1, B, ...], or [T, B, ...] where it is running."""
        if self.running:
            return x.expand(self.time_steps, *x.shape[1:]).cumsum(0)
        return x.sum(0, keepdim=True) if len(x) > 1 else x * self.time_steps


class Function(nn.Module):
    """An operation without constants."""

    def __init__(self, f: Callable[..., Tensor]) -> None:
        super().__init__()
        self.f = f

    def forward(self, *xs: Tensor) -> Tensor:
        """What the function makes of its sources."""
        return self.f(*xs)


def _max_pool(node: ir.MaxPool, around: _Around) -> nn.Module:
    return Function(lambda x: _frames(F.max_pool2d, x, node.kernel, node.stride, node.padding))


def _sum_pool(node: ir.SumPool, around: _Around) -> nn.Module:
    return Function(lambda x: _frames(lambda z: F.avg_pool2d(z, node.kernel, divisor_override=1), x))


def _sum(xs: Sequence[Tensor]) -> Tensor:
    total = xs[0]
    for x in xs[1:]:
        total = total + x
    return total


RULES: BackendRules[Callable[[Any, _Around], nn.Module]] = BackendRules(
    "plain PyTorch",
    {
        ir.Input: "it is given",
        ir.Conv: Synapses,
        ir.Linear: Synapses,
        ir.Affine: Scaled,
        ir.Add: lambda node, around: Function(lambda *xs: _sum(xs)),
        ir.Lif: Neurons,
        ir.MaxPool: _max_pool,
        ir.SumPool: _sum_pool,
        ir.Flatten: lambda node, around: Function(lambda x: x.flatten(2)),
        ir.SumTime: SummedSteps,
        ir.ChannelMap: lambda node, around: Picked(node.source, stride=node.stride),
        ir.Matmul: Product,
        ir.Mul: lambda node, around: Function(lambda a, b: a * b),
        ir.Constant: Held,
        ir.Gather: lambda node, around: Picked(node.index.reshape(-1), space=node.index.shape),
        ir.Delay: "all steps are taken at once here",
        ir.Charge: "its networks return logits, and no membranes",
    },
)
