"""Who reads which node of a graph, counting only nodes that some wanted result depends on."""

from __future__ import annotations

from collections.abc import Container

from spikelet.graph import ir


class Readers:
    """The part of `graph` that `roots` depend on.

    live: the names of that part.
    """

    def __init__(self, graph: ir.IntGraph, roots: set[str]) -> None:
        self._nodes = {n.name: n for n in graph.nodes}
        self._position = {n.name: i for i, n in enumerate(graph.nodes)}
        self._roots = roots
        self.live = self._reached(roots)
        self._users: dict[str, list[ir.Operation]] = {n.name: [] for n in graph.nodes}
        for node in graph.nodes:
            for name in dict.fromkeys(node.inputs) if node.name in self.live else ():
                self._users[name].append(node)

    def needed_by(self, name: str, made: Container[str]) -> set[str]:
        """The node called `name` and all that it depends on at the same step, but for what is `made`, which depends on
        made nodes alone. What a node reads later in the graph, it reads of the step before."""
        return self._reached({name}, made, forward_only=True)

    def _reached(self, names: set[str], made: Container[str] = (), *, forward_only: bool = False) -> set[str]:
        needed, left = set(names), list(names)
        while left:
            node = self._nodes[left.pop()]
            for name in node.inputs:
                if name in needed or name in made or (forward_only and self.comes_later(name, node)):
                    continue
                needed.add(name)
                left.append(name)
        return needed

    def in_order(self, names: set[str]) -> list[ir.Operation]:
        """The nodes called `names`, in the order of the graph."""
        return [self._nodes[name] for name in sorted(names, key=self._position.__getitem__)]

    def comes_later(self, name: str, node: ir.Operation) -> bool:
        """Whether the node called `name` is `node` or stands behind it."""
        return self._position[name] >= self._position[node.name]

    def of(self, node: ir.Operation) -> list[ir.Operation]:
        """The nodes that read `node`, in the order of the graph."""
        return self._users[node.name]

    def is_root(self, node: ir.Operation) -> bool:
        """Whether the node is a wanted result itself."""
        return node.name in self._roots

    def is_read(self, node: ir.Operation, but_by: ir.Operation | None) -> bool:
        """Whether anybody needs the node's values, `but_by` apart."""
        return self.is_root(node) or any(user is not but_by for user in self.of(node))

    def only(self, node: ir.Operation | None) -> ir.Operation | None:
        """The node's one reader; None where it has several, or is a result itself."""
        if node is None or self.is_root(node) or len(self.of(node)) != 1:
            return None
        return self.of(node)[0]
