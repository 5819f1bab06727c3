"""Every operation of a plan says whose rule made it, so that a layer's time can be told."""

from __future__ import annotations

import pytest

from spikelet import Program
from spikelet.graph import ir
from spikelet.runtime.structures import Kind
from tests.random_graphs import random_graph

SYNAPSES = (Kind.CONV_ROWS, Kind.CONV_SLICED, Kind.CONV_VALUES, Kind.CONV_PAIRS)


@pytest.mark.parametrize("seed", range(20))
def test_each_layer_with_weights_is_one_operation_of_its_name(seed: int):
    graph = random_graph(seed)
    operations = Program(graph).plan(still=True).operations
    assert len(operations.nodes) == operations.count
    made = [name for name, op in zip(operations.nodes, operations.ops, strict=True) if op.kind in SYNAPSES]
    assert sorted(made) == sorted(n.name for n in graph.nodes if isinstance(n, ir.Conv | ir.Linear))
    assert set(operations.nodes) <= {node.name for node in graph.nodes} | {""}
    assert operations.nodes[-1] == "", "handing out results is no node's"
