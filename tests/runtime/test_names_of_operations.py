"""Every operation of a plan says whose rule made it, so that a layer's time can be told."""

from __future__ import annotations

import pytest

from spikelet import Program
from spikelet.graph import ir
from spikelet.runtime.plan.kinds import Kind
from tests.random_graphs import random_graph

SYNAPSES = (
    Kind.CONV_ROWS, Kind.CONV_SLICED, Kind.CONV_NIBBLES, Kind.CONV_VALUES, Kind.CONV_PAIRS, Kind.CONV_QUADS,
    Kind.CONV_DEPTHWISE, Kind.CONV_CUTS, Kind.CONV_BLOCKS, Kind.CONV_PLACES,
)  # fmt: skip


@pytest.mark.parametrize("seed", range(20))
def test_each_layer_with_weights_is_one_operation_of_its_name(seed: int):
    graph = random_graph(seed)
    operations = Program(graph).plan(still=True).operations
    made = [op.node for op in operations if op.kind in SYNAPSES]
    assert sorted(made) == sorted(n.name for n in graph.nodes if isinstance(n, ir.Conv | ir.Linear))
    assert {op.node for op in operations} <= {node.name for node in graph.nodes} | {""}
    assert operations[-1].node == "", "handing out results is no node's"
