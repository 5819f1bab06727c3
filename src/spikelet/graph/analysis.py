"""Shapes and integer intervals of every edge, derived from the graph alone.

An interval is a pair of int64 arrays (low, high), one entry a channel (axis 0 of the sample shape).
`analyse` re-derives everything and trusts nothing: it runs when a graph is made and when a file is
loaded, and proves for *any* input bytes that no 32-bit value overflows, or refuses by name.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import GRIDS, dtype_of, has_zero, top_code
from spikelet.base.errors import GraphError, OverflowRefused
from spikelet.graph import ir

INT32 = (-(2**31), 2**31 - 1)
MAX_FLAT = 2**24  # values of a flattened edge: its interval is held value by value
MAX_FAN_IN = 2**24  # weights of one output: 2^24 * 255 * 2^31 < 2^63, so that the bounds themselves can't wrap
Int64 = NDArray[np.int64]


@dataclasses.dataclass(frozen=True, eq=False)
class Edge:
    """What is known of a node's output: sample shape, interval per channel, and whether it has a time axis
    (every edge has until `SumTime` adds it up)."""

    shape: tuple[int, ...]
    low: Int64
    high: Int64
    timed: bool

    @property
    def size(self) -> int:
        """Values per sample and step."""
        return math.prod(self.shape)

    @property
    def is_spikes(self) -> bool:
        """Whether every value is 0 or 1."""
        return bool(self.low.min() >= 0 and self.high.max() <= 1)


def analyse(graph: ir.IntGraph) -> dict[str, Edge]:
    """Edges by node name, in the order of the graph.

    Raises:
        GraphError: names that repeat or come later, shapes that don't fit, attributes out of range.
        OverflowRefused: a value that could leave int32.
    """
    if not graph.nodes:
        raise GraphError("a graph needs at least one node, got none.")
    if not 1 <= graph.time_steps <= 1024:
        raise GraphError(f"time_steps must be 1 to 1024, got {graph.time_steps}.")
    if not (math.isfinite(graph.logit_scale) and graph.logit_scale > 0):
        raise GraphError(f"logit_scale must be a positive finite number, got {graph.logit_scale}.")
    edges: dict[str, Edge] = {}
    for i, node in enumerate(graph.nodes):
        if not node.name or node.name in edges:
            raise GraphError(f"node names must be unique and not empty, got {node.name!r} twice.")
        if isinstance(node, ir.Input) != (i == 0):
            raise GraphError(f"{node.name}: exactly the first node must be the input.")
        unknown = [n for n in node.inputs if n not in edges]
        if unknown:
            raise GraphError(f"{node.name}: reads {unknown[0]!r}, which no earlier node makes.")
        edges[node.name] = _edge(node, [edges[n] for n in node.inputs], graph.time_steps)
    output = edges[graph.output.name]
    if output.timed or len(output.shape) != 1:
        raise GraphError(
            f"{graph.output.name}: the last node must give one vector of logits summed over time, "
            f"got shape {output.shape}{' per time step' if output.timed else ''}."
        )
    if graph.labels and len(graph.labels) != output.shape[0]:
        raise GraphError(f"labels must name {output.shape[0]} classes, got {len(graph.labels)}.")
    return edges


def _edge(node: ir.Node, sources: list[Edge], time_steps: int) -> Edge:
    rule = _RULES.get(type(node))
    if rule is None:
        raise GraphError(f"{node.name}: no such operation as {type(node).__name__}.")
    few, many = (0, 0) if isinstance(node, ir.Input) else (2, 64) if isinstance(node, ir.Add) else (1, 1)
    if not few <= len(sources) <= many:
        raise GraphError(f"{node.name}: takes {few} to {many} inputs, got {len(sources)}.")
    _require_plain_integers(node)
    edge = rule(node, sources, time_steps)
    if not 1 <= len(edge.shape) <= 3 or any(not 1 <= d < 2**31 for d in edge.shape) or edge.size >= 2**31:
        raise GraphError(f"{node.name}: its output shape {edge.shape} is empty or too large.")
    _require_int32(node.name, "output", int(edge.low.min()), int(edge.high.max()))
    return edge


def _require_plain_integers(node: ir.Node) -> None:
    """NumPy's integers wrap around: an attribute must be Python's, or the bounds computed from it prove nothing."""
    for field in dataclasses.fields(node):
        value = getattr(node, field.name)
        if isinstance(value, ir.Membrane):
            value = (value.bits, value.shift)
        for v in value if isinstance(value, tuple) else (value,):
            _require(not isinstance(v, np.generic), node, field.name, repr(v), "a plain Python number")


def _require_int32(name: str, what: str, low: int, high: int) -> None:
    if low < INT32[0] or high > INT32[1]:
        raise OverflowRefused(
            f"{name}: {what} may reach [{low}, {high}], beyond 32 bits. "
            "Use fewer input channels, smaller gains or fewer fraction bits."
        )


def _require(condition: bool, node: ir.Node, field: str, value: object, expected: str) -> None:
    if not condition:
        raise GraphError(f"{node.name}: {field} must be {expected}, got {value}.")


def _input(node: ir.Input, sources: list[Edge], time_steps: int) -> Edge:
    _require(len(node.shape) in (1, 3) and all(1 <= d <= 65536 for d in node.shape), node, "shape", node.shape,
             "(C, H, W) or (F,) of 1 to 65536 each")  # fmt: skip
    n = node.shape[0]
    return Edge(node.shape, np.zeros(n, np.int64), np.full(n, 255, np.int64), timed=True)


def _check_codes(node: ir.Conv | ir.Linear) -> None:
    _require(node.bits in range(1, 9), node, "bits", node.bits, "1 to 8")
    _require(node.grid in GRIDS, node, "grid", repr(node.grid), "'symmetric' or 'odd'")
    _require(node.bits > 1 or node.grid == "symmetric", node, "grid", repr(node.grid), "'symmetric' at 1 bit")
    dtype = dtype_of(node.bits, node.grid)
    _require(node.weight.dtype == dtype, node, "weight dtype", node.weight.dtype, str(dtype))
    _require(node.weight.size > 0, node, "weight shape", node.weight.shape, "not empty")
    fan_in = math.prod(node.weight.shape[1:])
    _require(fan_in <= MAX_FAN_IN, node, "weights of one output", fan_in, f"at most {MAX_FAN_IN}")
    top, zero = top_code(node.bits, node.grid), has_zero(node.bits, node.grid)
    low, high = int(node.weight.min()), int(node.weight.max())
    fits = -top <= low and high <= top and (zero or bool((node.weight & 1).all()))
    expected = "-1 or +1" if node.bits == 1 else f"-{top}..{top}" + ("" if zero else ", all odd")
    _require(fits, node, "weight codes", f"{low}..{high}", expected)


def _dot_interval(weight_OI: Int64, low_I: Int64, high_I: Int64) -> tuple[Int64, Int64]:
    plus, minus = np.maximum(weight_OI, 0), np.minimum(weight_OI, 0)
    return plus @ low_I + minus @ high_I, plus @ high_I + minus @ low_I


def _with_zero(x: Edge) -> tuple[Int64, Int64]:
    """The interval widened to contain 0, so that a sum's parts stay inside the whole sum's bounds in any order."""
    return np.minimum(x.low, 0), np.maximum(x.high, 0)


def _conv(node: ir.Conv, sources: list[Edge], time_steps: int) -> Edge:
    (x,) = sources
    _check_codes(node)
    _require(len(x.shape) == 3, node, "input shape", x.shape, "(C, H, W)")
    _require(node.weight.ndim == 4, node, "weight shape", node.weight.shape, "[O, I, kh, kw]")
    o, i, kh, kw = node.weight.shape
    g = node.groups
    _require(g >= 1 and o % g == 0 and i * g == x.shape[0], node, "groups", g,
             f"a divisor that gives {x.shape[0]} input channels")  # fmt: skip
    _require(all(1 <= s <= 64 for s in node.stride), node, "stride", node.stride, "1 to 64")
    _require(0 <= node.padding[0] < kh and 0 <= node.padding[1] < kw, node, "padding", node.padding,
             "0 to less than the kernel")  # fmt: skip
    space = tuple((x.shape[d + 1] + 2 * node.padding[d] - k) // node.stride[d] + 1 for d, k in enumerate((kh, kw)))
    _require(min(space) >= 1 and x.shape[1] + 2 * node.padding[0] >= kh and x.shape[2] + 2 * node.padding[1] >= kw,
             node, "kernel", (kh, kw), f"no larger than the padded input {x.shape[1:]}")  # fmt: skip
    low, high = _with_zero(x)  # also what the padding holds
    per_group = node.weight.reshape(g, o // g, i, kh * kw).astype(np.int64)
    bounds = [
        _dot_interval(w.transpose(0, 2, 1).reshape(o // g, -1), np.tile(lo, kh * kw), np.tile(hi, kh * kw))
        for w, lo, hi in zip(per_group, low.reshape(g, i), high.reshape(g, i), strict=True)
    ]
    return Edge((o, *space), np.concatenate([b[0] for b in bounds]), np.concatenate([b[1] for b in bounds]), x.timed)


def _linear(node: ir.Linear, sources: list[Edge], time_steps: int) -> Edge:
    (x,) = sources
    _check_codes(node)
    _require(len(x.shape) == 1, node, "input shape", x.shape, "(F,)")
    _require(node.weight.ndim == 2 and node.weight.shape[1] == x.shape[0], node, "weight shape", node.weight.shape,
             f"[O, {x.shape[0]}]")  # fmt: skip
    low, high = _dot_interval(node.weight.astype(np.int64), *_with_zero(x))
    return Edge((node.weight.shape[0],), low, high, x.timed)


def affine(value: Int64, multiplier: Int64, shift: Int64, offset: Int64) -> Int64:
    """((m x + half) >> s) + d in int64: the one formula of O4, elementwise over broadcastable arrays."""
    half = (np.int64(1) << shift) >> 1
    return ((multiplier * value + half) >> shift) + offset


def _affine(node: ir.Affine, sources: list[Edge], time_steps: int) -> Edge:
    (x,) = sources
    n = x.shape[0]
    for field, dtype in (("multiplier", np.int32), ("shift", np.uint8), ("offset", np.int32)):
        values = getattr(node, field)
        _require(values.shape == (n,) and values.dtype == dtype, node, field, f"{values.dtype} {values.shape}",
                 f"{np.dtype(dtype)} of shape ({n},)")  # fmt: skip
    _require(int(node.shift.max()) <= 62, node, "shift", int(node.shift.max()), "0 to 62")
    m, s, d = node.multiplier.astype(np.int64), node.shift.astype(np.int64), node.offset.astype(np.int64)
    ends = np.stack([affine(x.low, m, s, d), affine(x.high, m, s, d)])
    return Edge(x.shape, ends.min(0), ends.max(0), x.timed)


def _add(node: ir.Add, sources: list[Edge], time_steps: int) -> Edge:
    _require(len({e.shape for e in sources}) == 1, node, "input shapes", [e.shape for e in sources], "all the same")
    _require(len({e.timed for e in sources}) == 1, node, "inputs", node.inputs, "all before or all after a sumtime")
    parts = [_with_zero(e) for e in sources]
    _require_int32(
        node.name, "a partial sum", *(int(f(sum(p[i] for p in parts))) for i, f in enumerate((np.min, np.max)))
    )
    low = np.sum([e.low for e in sources], axis=0)
    high = np.sum([e.high for e in sources], axis=0)
    return Edge(sources[0].shape, low, high, sources[0].timed)


def _lif(node: ir.Lif, sources: list[Edge], time_steps: int) -> Edge:
    (x,) = sources
    _require(x.timed, node, "input", node.inputs[0], "before any sumtime")
    _require(0 <= node.leak_bits <= 8, node, "leak_bits", node.leak_bits, "0 to 8")
    _require(0 <= node.leak <= 2**node.leak_bits, node, "leak", node.leak, f"0 to {2**node.leak_bits}")
    _require(1 <= node.gain <= 2**node.leak_bits, node, "gain", node.gain, f"1 to {2**node.leak_bits}")
    _require(1 <= node.threshold <= INT32[1], node, "threshold", node.threshold, "1 to 2^31 - 1")
    _require_reset(node)
    if node.membrane is not None:
        _require(node.membrane.bits in range(2, 9), node, "membrane bits", node.membrane.bits, "2 to 8")
        _require(node.membrane.shift in range(1, 23), node, "membrane shift", node.membrane.shift, "1 to 22")
    low, high = int(x.low.min()), int(x.high.max())
    v = (0, 0)
    for _ in range(time_steps):
        charge = (node.leak * v[0] + node.gain * low, node.leak * v[1] + node.gain * high)
        _require_int32(node.name, "the charge", *charge)
        after = _after_reset(node, charge[0] >> node.leak_bits, charge[1] >> node.leak_bits)
        _require_int32(node.name, "the membrane", *after)
        if node.membrane is not None:
            _require_int32(node.name, "the rounded membrane", after[0], after[1] + (1 << node.membrane.shift))
            after = tuple(int(store_membrane(np.int64(r), node.membrane)) for r in after)  # type: ignore[assignment]
        if after == v:
            break
        v = (min(v[0], after[0]), max(v[1], after[1]))
    n = x.shape[0]
    return Edge(x.shape, np.zeros(n, np.int64), np.ones(n, np.int64), timed=True)


def _require_reset(node: ir.Lif) -> None:
    if type(node.reset) is int:
        _require(0 <= node.reset <= INT32[1], node, "reset", node.reset, "0 to 2^31 - 1")
        _require(node.reset != node.threshold, node, "reset", node.reset, "'soft' where it is the threshold")
    else:
        _require(node.reset in ("hard", "soft"), node, "reset", node.reset, "'hard', 'soft' or a whole number")


def _after_reset(node: ir.Lif, low: int, high: int) -> tuple[int, int]:
    silent = min(high, node.threshold - 1)
    if node.drop is None or high < node.threshold:
        return min(low, 0), max(silent, 0)
    return min(low, node.threshold - node.drop, 0), max(silent, high - node.drop, 0)


def store_membrane(r: Int64 | np.int64, membrane: ir.Membrane) -> Int64:
    """clip((r + half) >> shift, -L, L) << shift: the one formula of a k-bit membrane."""
    top = 2 ** (membrane.bits - 1) - 1
    return np.clip((r + (1 << membrane.shift >> 1)) >> membrane.shift, -top, top) << membrane.shift


def _max_pool(node: ir.MaxPool, sources: list[Edge], time_steps: int) -> Edge:
    (x,) = sources
    _require(len(x.shape) == 3, node, "input shape", x.shape, "(C, H, W)")
    _require(1 <= node.kernel <= 64, node, "kernel", node.kernel, "1 to 64")
    _require(1 <= node.stride <= 64, node, "stride", node.stride, "1 to 64")
    _require(0 <= node.padding <= node.kernel // 2, node, "padding", node.padding, "0 to half the kernel")
    space = tuple((d + 2 * node.padding - node.kernel) // node.stride + 1 for d in x.shape[1:])
    _require(min(space) >= 1 and min(x.shape[1:]) + 2 * node.padding >= node.kernel, node, "kernel", node.kernel,
             f"no larger than the padded input {x.shape[1:]}")  # fmt: skip
    return Edge((x.shape[0], *space), x.low, x.high, x.timed)


def _sum_pool(node: ir.SumPool, sources: list[Edge], time_steps: int) -> Edge:
    (x,) = sources
    _require(len(x.shape) == 3, node, "input shape", x.shape, "(C, H, W)")
    _require(1 <= node.kernel <= min(x.shape[1:]), node, "kernel", node.kernel, f"1 to {min(x.shape[1:])}")
    space = tuple(d // node.kernel for d in x.shape[1:])
    return Edge((x.shape[0], *space), x.low * node.kernel**2, x.high * node.kernel**2, x.timed)


def _flatten(node: ir.Flatten, sources: list[Edge], time_steps: int) -> Edge:
    (x,) = sources
    _require(x.size <= MAX_FLAT, node, "input size", x.size, f"at most {MAX_FLAT} values")
    per_channel = x.size // x.shape[0]
    return Edge((x.size,), np.repeat(x.low, per_channel), np.repeat(x.high, per_channel), x.timed)


def _channel_map(node: ir.ChannelMap, sources: list[Edge], time_steps: int) -> Edge:
    (x,), source = sources, node.source
    _require(len(x.shape) == 3, node, "input shape", x.shape, "(C, H, W)")
    _require(source.dtype == np.int16 and source.ndim == 1 and source.size > 0, node, "source",
             f"{source.dtype} {source.shape}", "int16 of shape (C,), not empty")  # fmt: skip
    _require(source.min() >= -1 and source.max() < x.shape[0], node, "source", f"{source.min()}..{source.max()}",
             f"-1..{x.shape[0] - 1}: channels of the input, or -1 for zeros")  # fmt: skip
    _require(1 <= node.stride <= 64, node, "stride", node.stride, "1 to 64")
    space = tuple((d - 1) // node.stride + 1 for d in x.shape[1:])
    low, high = (np.where(source >= 0, end[source], 0) for end in (x.low, x.high))
    return Edge((source.size, *space), low, high, x.timed)


def _sum_time(node: ir.SumTime, sources: list[Edge], time_steps: int) -> Edge:
    (x,) = sources
    _require(x.timed, node, "input", node.inputs[0], "before any other sumtime")
    return Edge(x.shape, x.low * time_steps, x.high * time_steps, timed=False)


_RULES: dict[type[ir.Node], Callable[..., Edge]] = {
    ir.Input: _input,
    ir.Conv: _conv,
    ir.Linear: _linear,
    ir.Affine: _affine,
    ir.Add: _add,
    ir.Lif: _lif,
    ir.MaxPool: _max_pool,
    ir.SumPool: _sum_pool,
    ir.Flatten: _flatten,
    ir.SumTime: _sum_time,
    ir.ChannelMap: _channel_map,
}
