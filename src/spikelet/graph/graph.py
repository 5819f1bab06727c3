"""The integer graph: the waist between floating PyTorch and every backend. Plain data.

A graph is a list of operations (graph/ops) over integers; each reads earlier ones, and only a delay may read a later
one. Shapes are those of one sample at one time step, channel first: (C, H, W) or (F,). A graph holds no
float but the scales of its outputs.

Every edge has a time axis in front until a `SumTime` adds it up. Where the input is one still image, edges that no
`Lif` precedes are the same at every step, and backends compute them once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from spikelet.base.errors import GraphError
from spikelet.graph.ops.input import Input
from spikelet.graph.ops.operation import Operation

N = TypeVar("N", bound=Operation)


@dataclasses.dataclass(frozen=True)
class Output:
    """What a graph hands out: a node's integers, and the scale that makes real numbers of them."""

    node: str
    scale: float


@dataclasses.dataclass(frozen=True, eq=False)
class IntGraph:
    """A whole network in integers.

    nodes: exactly one Input, first; each reads earlier nodes, or as a Delay a later Lif.
    time_steps: T, 1..1024.
    outputs: one or more; the first, a vector, is the logits, of the whole run or (where it has a time axis) of every
        step: real logit = integer logit * logit_scale.
    labels: class names, one per logit, or ().
    meta: strings about origin (model, data, seed, commit ...); no effect on the meaning.
    """

    nodes: tuple[Operation, ...]
    time_steps: int
    outputs: tuple[Output, ...]
    labels: tuple[str, ...] = ()
    meta: Mapping[str, str] = dataclasses.field(default_factory=dict)

    @classmethod
    def of_logits(
        cls,
        nodes: tuple[Operation, ...],
        time_steps: int,
        logit_scale: float,
        labels: tuple[str, ...] = (),
        meta: Mapping[str, str] | None = None,
    ) -> IntGraph:
        """The graph whose last node is its only output."""
        last = (Output(nodes[-1].name, logit_scale),) if nodes else ()
        return cls(tuple(nodes), time_steps, last, labels, dict(meta or {}))

    @property
    def input(self) -> Input:
        """The one Input node."""
        node = self.nodes[0]
        if not isinstance(node, Input):
            raise GraphError(f"the first node must be an input, got {type(node).__name__} {node.name!r}.")
        return node

    @property
    def output(self) -> Operation:
        """The node of the first output: the logits."""
        return self.node(self.outputs[0].node)

    @property
    def logit_scale(self) -> float:
        """The scale of the first output."""
        return self.outputs[0].scale

    def node(self, name: str) -> Operation:
        """The node called `name`."""
        return next(n for n in self.nodes if n.name == name)

    def of_type(self, kind: type[N]) -> list[N]:
        """All nodes of one kind, in order."""
        return [n for n in self.nodes if isinstance(n, kind)]
