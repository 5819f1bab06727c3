"""Which edges lie in memory, and which are values of one position that the next operation takes over at once.

An edge lies in memory where more than one node reads it, where its reader looks at other positions, where it leaves the
graph, and where a sum over time ends. All others exist one position at a time. An affine that would take more memory
than what it reads is worked out anew by each of its readers.
"""

from __future__ import annotations

import dataclasses
import enum
from collections import defaultdict
from collections.abc import Iterator

from spikelet.export.c.maps import Element, Form, form_of
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.ops.operation import Operation


class Reads(enum.Enum):
    """What an operation looks at to make one position."""

    POSITION = "the same position of each source"
    WINDOW = "positions that no other position of the result looks at, where windows don't overlap"
    MAP = "any positions"


READS: dict[type[Operation], Reads] = {
    **dict.fromkeys((ir.Affine, ir.Add, ir.Mul, ir.Lif, ir.Charge, ir.SumTime), Reads.POSITION),
    **dict.fromkeys((ir.MaxPool, ir.SumPool), Reads.WINDOW),
}


class Layout:
    """What is known of `graph` before a line is written.

    edges: as the analysis derives them.
    needed: names of the nodes that outputs depend on.
    forms: of every edge as it would lie in memory.
    in_memory: names of the edges that a stage writes, in order, those behind all steps last.
    """

    def __init__(self, graph: ir.IntGraph) -> None:
        self.graph, self.edges = graph, analyse(graph)
        self.forms: dict[str, Form] = {name: form_of(edge) for name, edge in self.edges.items()}
        given = self.forms[graph.input.name]
        element = Element.PLANAR if given.positions > 1 else Element.U8
        self.forms[graph.input.name] = dataclasses.replace(given, element=element)
        self.nodes = {node.name: node for node in graph.nodes}
        self.outputs = [output.node for output in graph.outputs]
        self.needed = set(self._leads_to_outputs())
        self._readers: dict[str, list[Operation]] = defaultdict(list)
        for node in graph.nodes:
            for name in node.inputs if node.name in self.needed else ():
                self._readers[name].append(node)
        self.folded = {node.name for node in graph.nodes if self._folds(node)}
        self._again = {node.name for node in graph.nodes if self._is_cheap(node)}
        self._read_again = {self.nodes[name].inputs[0] for name in self._again}
        stored = [node.name for node in graph.nodes if self._lies_in_memory(node)]
        self.in_memory = sorted(stored, key=self.is_late)
        self._stored = set(stored)

    def lies(self, name: str) -> bool:
        """Whether the edge can be read at any position."""
        return name in self._stored or isinstance(self.nodes[name], ir.Input | ir.Constant)

    def is_sum(self, name: str) -> bool:
        """Whether the edge is a sum over all steps."""
        node = self.nodes[name]
        return isinstance(node, ir.SumTime) and not node.running

    def is_late(self, name: str) -> bool:
        """Whether the edge is made once, behind all steps: it reads sums over time."""
        return not self.edges[name].timed and not self.is_sum(name)

    def source(self, name: str) -> str:
        """`name`, or what a flatten that only linear layers read is a flat view of."""
        return self.nodes[name].inputs[0] if name in self.folded else name

    def _leads_to_outputs(self) -> Iterator[str]:
        """Names of the nodes that an output depends on."""
        waiting, seen = list(self.outputs), set(self.outputs)
        while waiting:
            name = waiting.pop()
            yield name
            further = set(self.nodes[name].inputs) - seen
            waiting += further
            seen |= further

    def _folds(self, node: Operation) -> bool:
        """Whether a flatten needs no work: its readers know the order of what it reads."""
        readers = self._readers[node.name]
        linear = all(isinstance(reader, ir.Linear) for reader in readers)
        return isinstance(node, ir.Flatten) and bool(readers) and linear and node.name not in self.outputs

    def _is_cheap(self, node: Operation) -> bool:
        """Whether the node is better worked out by each of its readers than kept."""
        readers = self._readers[node.name]
        if not isinstance(node, ir.Affine) or len(readers) < 2 or node.name in self.outputs:
            return False
        smaller = self.forms[node.inputs[0]].row_bytes < self.forms[node.name].row_bytes
        return smaller and all(self._takes_over(reader, node.name) for reader in readers)

    def _takes_over(self, reader: Operation, name: str) -> bool:
        """Whether `reader` can go on from one position of `name` at a time."""
        reads = READS.get(type(reader), Reads.MAP)
        if reads is Reads.POSITION:
            return self.edges[reader.name].shape == self.edges[name].shape
        if reads is Reads.MAP or self.has_state(name):
            return False
        assert isinstance(reader, ir.MaxPool | ir.SumPool)
        stride = reader.stride if isinstance(reader, ir.MaxPool) else reader.kernel
        return all(s >= k for s, k in zip(stride, reader.kernel, strict=True))

    def has_state(self, name: str) -> bool:
        """Whether the edge, or one that it is taken over from, remembers earlier steps."""
        node = self.nodes[name]
        if isinstance(node, ir.Lif | ir.Charge | ir.Delay | ir.SumTime):
            return True
        return READS.get(type(node)) is Reads.POSITION and any(map(self.has_state, node.inputs))

    def _lies_in_memory(self, node: Operation) -> bool:
        name, readers = node.name, self._readers[node.name]
        if isinstance(node, ir.Input | ir.Constant) or name in self.folded | self._again or name not in self.needed:
            return False
        if name in self.outputs or name in self._read_again or isinstance(node, ir.Delay):
            return True
        if self.is_sum(name):
            return True
        return len(readers) != 1 or not self._takes_over(readers[0], name)

    def channels(self, name: str) -> int:
        """Channels of an edge as a map."""
        return self.forms[name].channels

    def is_still(self, name: str) -> bool:
        """Whether the edge is the same at every step of one still input."""
        node = self.nodes[name]
        if isinstance(node, ir.Lif | ir.Charge | ir.Delay | ir.SumTime):
            return False
        if isinstance(node, ir.Affine) and len(node.shift) > 1:
            return False
        return all(map(self.is_still, node.inputs))
