"""A new backend is one table: here an exporter to text is written, and its table is complete or refused."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.backend import BackendRules
from tests.artifact_parts import small_graph
from tests.graph.test_an_operation_is_one_file import Mirror

Line = Callable[[ir.Operation], str]


def _plain(node: ir.Operation) -> str:
    return f"{node.name} = {node.word}({', '.join(node.inputs)})"


def _weighted(node: ir.Operation) -> str:
    assert isinstance(node, ir.Conv | ir.Linear)
    return f"{_plain(node)}  # {node.weight.size} weights of {node.bits} bits"


TABLE: dict[type[ir.Operation], Line | str] = {
    **dict.fromkeys(ir.OPERATIONS, _plain),
    ir.Conv: _weighted,
    ir.Linear: _weighted,
    ir.Delay: "text has no loops",
}
TEXT = BackendRules("text", TABLE)


def exported(graph: ir.IntGraph) -> list[str]:
    return [TEXT.of(node)(node) for node in graph.nodes]


def test_an_exporter_is_a_table():
    assert exported(small_graph())[:3] == ["x = input()", "c1 = conv(x)  # 54 weights of 1 bits", "b1 = affine(c1)"]
    assert len(exported(small_graph())) == len(small_graph().nodes)


def test_what_it_refuses_it_names():
    assert TEXT.refused == {"delay": "text has no loops"}
    with pytest.raises(GraphError, match="before: text can't run delay: text has no loops"):
        TEXT.of(ir.Delay("before", ("x",), (1,)))


def test_a_forgotten_operation_is_an_error_when_the_table_is_made():
    some = {operation: _plain for operation in ir.OPERATIONS if operation not in (ir.Gather, ir.Mul)}
    with pytest.raises(TypeError, match="text needs a rule, or a sentence that refuses it, for Mul, Gather"):
        BackendRules("text", some)


def test_an_operation_of_somebody_else_is_refused_or_has_the_common_rule():
    toy = Mirror("m", ("x",), 1, np.zeros(1, np.int32))
    with pytest.raises(GraphError, match="m: text has no rule for mirror, an operation of its own"):
        TEXT.of(toy)
    assert BackendRules("text", TABLE, otherwise=_plain).of(toy)(toy) == "m = mirror(x)"
