"""The integer graph: the waist between floating PyTorch and every backend.

A graph is a list of operations in topological order over integers. Shapes are those of one sample at
one time step, channel first: (C, H, W) or (F,). Each operation's meaning is a numbered statement of
docs/spec/operations.md and a function of graph/reference.py; its integer interval is in
graph/analysis.py. A graph holds no float but `logit_scale`.

Every edge has a time axis in front until `SumTime` adds it up. Where the input is one still image, edges
before the first `Lif` are the same at every step, and backends compute them once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from spikelet.base.codes import Codes
from spikelet.base.errors import GraphError

N = TypeVar("N", bound="Node")
Grid = Literal["symmetric", "odd"]
Int16 = NDArray[np.int16]
Int32 = NDArray[np.int32]


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """One operation: a unique name and the names of the operations it reads."""

    name: str
    inputs: tuple[str, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Input(Node):
    """Bytes from outside, 0..255, of `shape`. O1."""

    shape: tuple[int, ...]


@dataclasses.dataclass(frozen=True, eq=False)
class Conv(Node):
    """n = sum of code * x over a zero-padded window. O2.

    weight: codes [O, I / groups, kh, kw], int8, or int16 for odd ones of 8 bits.
    bits, grid: which integers the codes are, see codes.py; 1 bit is "symmetric". Q5.
    """

    weight: Codes
    bits: int
    stride: tuple[int, int]
    padding: tuple[int, int]
    groups: int
    grid: Grid = "symmetric"


@dataclasses.dataclass(frozen=True, eq=False)
class Linear(Node):
    """n = weight @ x; weight [O, I], codes as in Conv. O3."""

    weight: Codes
    bits: int
    grid: Grid = "symmetric"


@dataclasses.dataclass(frozen=True, eq=False)
class Affine(Node):
    """y[c] = ((multiplier[c] * x[c] + half) >> shift[c]) + offset[c],  half = (1 << shift[c]) >> 1. O4.

    One entry a channel (axis 0). The product is 64-bit, the result 32-bit. shift is 0..62.
    """

    multiplier: Int32
    shift: NDArray[np.uint8]
    offset: Int32


@dataclasses.dataclass(frozen=True, eq=False)
class Add(Node):
    """Sum of two or more edges of one shape. O5."""


@dataclasses.dataclass(frozen=True, eq=False)
class Membrane:
    """Storage of the residual membrane r: v = clip((r + half) >> shift, -L, L) << shift,
    L = 2^(bits-1) - 1, half = (1 << shift) >> 1, bits 2..8, shift 1..22."""

    bits: int
    shift: int


@dataclasses.dataclass(frozen=True, eq=False)
class Lif(Node):
    """Leaky integrate and fire over T steps, from v = 0. O6.

    h = (leak * v + gain * x) >> leak_bits;  s = h >= threshold;
    r = 0 if s else h  (hard)   or   r = h - drop * s  (soft: drop = threshold; a number: that);
    v = r, or the k-bit `membrane` of r. Output 0 or 1, [T].
    """

    leak: int
    gain: int
    leak_bits: int
    threshold: int
    reset: Literal["hard", "soft"] | int
    membrane: Membrane | None

    @property
    def drop(self) -> int | None:
        """What a spike takes from the membrane; None where it takes everything."""
        if self.reset == "hard":
            return None
        return self.threshold if self.reset == "soft" else int(self.reset)


@dataclasses.dataclass(frozen=True, eq=False)
class MaxPool(Node):
    """Maximum over kernel x kernel windows; positions in the padding don't take part. On spikes: OR. O7."""

    kernel: int
    stride: int
    padding: int


@dataclasses.dataclass(frozen=True, eq=False)
class SumPool(Node):
    """Sum over kernel x kernel windows at stride = kernel, no padding. O8."""

    kernel: int


@dataclasses.dataclass(frozen=True, eq=False)
class Flatten(Node):
    """(C, H, W) -> (C*H*W,), row-major. O9."""


@dataclasses.dataclass(frozen=True, eq=False)
class ChannelMap(Node):
    """y[c, i, j] = x[source[c], i * stride, j * stride], or 0 where source[c] is -1. O11.

    source: int16 [C'], each -1 or a channel of x (C, H, W).
    """

    source: Int16
    stride: int


@dataclasses.dataclass(frozen=True, eq=False)
class SumTime(Node):
    """Sum over the T time steps; a still edge counts T times; no time axis after it. O10."""


OPERATIONS: dict[str, type[Node]] = {
    cls.__name__.lower(): cls
    for cls in (Input, Conv, Linear, Affine, Add, Lif, MaxPool, SumPool, Flatten, SumTime, ChannelMap)
}


@dataclasses.dataclass(frozen=True, eq=False)
class IntGraph:
    """A whole network in integers.

    nodes: in topological order; exactly one Input, first; the last node is the output, whose int32
        values are the logits: real logit = integer logit * logit_scale.
    time_steps: T, 1..1024.
    labels: class names, one per logit, or ().
    meta: strings about origin (model, data, seed, commit ...); no effect on the meaning.
    """

    nodes: tuple[Node, ...]
    time_steps: int
    logit_scale: float
    labels: tuple[str, ...] = ()
    meta: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @property
    def input(self) -> Input:
        """The one Input node."""
        node = self.nodes[0]
        if not isinstance(node, Input):
            raise GraphError(f"the first node must be an input, got {type(node).__name__} {node.name!r}.")
        return node

    @property
    def output(self) -> Node:
        """The node whose values are the logits."""
        return self.nodes[-1]

    def of_type(self, kind: type[N]) -> list[N]:
        """All nodes of one kind, in order."""
        return [n for n in self.nodes if isinstance(n, kind)]
