"""The integer graph: the waist between floating PyTorch and every backend. Plain data.

A graph is a list of operations (graph/ops) over integers; each reads earlier ones, and only a delay may read a later
one. Shapes are those of one sample at one time step, channel first: (C, H, W) or (F,). A graph holds no
float but the scales of its outputs.

Every edge has a time axis in front until a `SumTime` adds it up. Where the input is one still image, edges that no
`Lif`, `Charge`, `Delay` or `Affine` by time step precedes are the same at every step, and backends compute them once.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import TypeVar

from spikelet.base.errors import GraphError
from spikelet.base.page import NAME, Displayed, Facts, Heading, Page
from spikelet.base.text import fit_to_print
from spikelet.graph.ops.input import Input
from spikelet.graph.ops.operation import Operation
from spikelet.graph.summary import SHORT, bytes_facts, meaning_facts, nodes_table, work_fact

N = TypeVar("N", bound=Operation)


@dataclasses.dataclass(frozen=True)
class Output:
    """What a graph hands out: a node's integers, and the scale that makes real numbers of them."""

    node: str
    scale: float


@dataclasses.dataclass(frozen=True, eq=False, repr=False)
class IntGraph(Displayed):
    """A whole network in integers. `print(graph)` shows it node by node.

        >>> spikelet.load("qsnn-vgg-s-nmnist")
        IntGraph(qsnn_vgg_s, 26 nodes, T = 5, uint8 [2, 34, 34] to 10 classes)

    nodes: exactly one Input, first; each reads earlier nodes, or as a Delay a later Lif.
    time_steps: T, 1..1024.
    outputs: one or more; the first, a vector, is the logits, of the whole run or (where it has a time axis) of every
        step: real logit = integer logit * logit_scale.
    labels: class names, one per logit, or ().
    meta: strings about origin (model, data, seed, commit ...); no effect on the meaning.

    Example:
        >>> graph = spikelet.load("qsnn-vgg-s-nmnist")
        >>> isinstance(graph, spikelet.IntGraph), graph.time_steps, graph.input.shape
        (True, 5, (2, 34, 34))
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

    @property
    def title(self) -> str:
        """What it calls itself: the model of its origin, or "a graph"."""
        return fit_to_print(self.meta.get("model", "a graph"), NAME)

    def page(self) -> Page:
        """The nodes as a table, what they take, what goes in and what comes out."""
        facts = [*bytes_facts(self.nodes), work_fact(self.nodes, self.time_steps)]
        if self._is_whole:
            scales = {output.node: output.scale for output in self.outputs}
            facts += meaning_facts(self.input.shape, self.time_steps, scales, self.labels)
        return Page((Heading(self.in_short()), nodes_table(self.nodes, SHORT), Facts(tuple(facts))))

    def in_short(self) -> str:
        """Name, number of nodes, T, input and classes."""
        said = f"{self.title}, {len(self.nodes)} nodes, T = {self.time_steps}"
        if not self._is_whole:
            return f"{said}, without a first Input or an output"
        classes = f"{len(self.labels)} classes" if self.labels else fit_to_print(self.outputs[0].node, NAME)
        return f"{said}, uint8 {list(self.input.shape)} to {classes}"

    @property
    def _is_whole(self) -> bool:
        return bool(self.nodes) and isinstance(self.nodes[0], Input) and bool(self.outputs)
