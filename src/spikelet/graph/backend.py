"""A backend is one table: for every operation a rule, or the sentence that refuses it.

    RULES = BackendRules("ONNX", {ir.Conv: conv, ir.Matmul: "ONNX Runtime's MatMulInteger has no heads", ...})
    RULES.of(node)(...)

An operation that the table forgets is an error when the table is made, not when a user's model meets it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Generic, TypeVar

from spikelet.base.errors import GraphError, WrongType
from spikelet.graph.ops import OPERATIONS
from spikelet.graph.ops.operation import Operation

R = TypeVar("R")


class BackendRules(Generic[R]):
    """What a backend does with each operation.

    Args:
        backend: its name in errors.
        table: a rule, or a sentence, for every class of `graph.ops.OPERATIONS`.
        otherwise: the rule of operations that are not ours; None refuses them.
    Raises:
        WrongType: an operation is missing.
    """

    def __init__(self, backend: str, table: Mapping[type[Operation], R | str], otherwise: R | None = None) -> None:
        missing = [operation.__name__ for operation in OPERATIONS if operation not in table]
        if missing:
            raise WrongType(f"{backend} needs a rule, or a sentence that refuses it, for {', '.join(missing)}.")
        self.backend, self._table, self._otherwise = backend, dict(table), otherwise

    def of(self, node: Operation) -> R:
        """The rule of `node`.

        Raises:
            GraphError: the backend refuses it; says why.
        """
        rule = self._table.get(type(node), self._otherwise)
        if rule is None:
            raise GraphError(f"{node.name}: {self.backend} has no rule for {node.word}, an operation of its own.")
        if isinstance(rule, str):
            raise GraphError(f"{node.name}: {self.backend} can't run {node.word}: {rule}.")
        return rule

    def knows(self, node: Operation) -> bool:
        """Whether the table has a rule of its own for `node`."""
        return type(node) in self._table

    @property
    def refused(self) -> dict[str, str]:
        """The sentence of every operation that the backend refuses, by word."""
        return {operation.word: why for operation, why in self._table.items() if isinstance(why, str)}
