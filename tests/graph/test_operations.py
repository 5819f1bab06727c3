"""What holds for every operation: its examples, its file, its limits, its interval."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.file.artifact import dumps, loads
from spikelet.graph.file.limits import shapes_of
from spikelet.graph.ops.operation import Example
from spikelet.graph.reference import Reference
from tests.example_graphs import example_graph
from tests.meaning import meaning

EXAMPLES = [e for operation in ir.OPERATIONS for e in operation.examples()]


def _id(example: Example) -> str:
    return f"{example.node.word}{[e for e in EXAMPLES if type(e.node) is type(example.node)].index(example)}"


@pytest.fixture(params=EXAMPLES, ids=_id)
def example(request: pytest.FixtureRequest) -> Example:
    return request.param


def test_every_operation_but_the_input_has_an_example():
    assert {type(e.node) for e in EXAMPLES} == set(ir.OPERATIONS) - {ir.Input}


def test_words_are_unique():
    assert len({operation.word for operation in ir.OPERATIONS}) == len(ir.OPERATIONS) == 17


def test_the_meaning_of_an_example_is_what_was_computed_by_hand(example: Example):
    sources = [x[:, None] for x in example.sources]
    y = meaning(example.node, *sources, T=example.time_steps)[:, 0]
    assert np.broadcast_to(y, example.expected.shape).tolist() == example.expected.tolist()


def test_an_example_runs_in_a_graph(example: Example):
    graph, x, name = example_graph(example)
    y = Reference(graph).edges(x)[name][:, 0]
    assert np.broadcast_to(y, example.expected.shape).tolist() == example.expected.tolist()


def test_an_example_lies_in_its_interval_and_has_the_shape_that_limits_expect(example: Example):
    graph, x, _ = example_graph(example)
    edges = analyse(graph)
    values = Reference(graph).edges(x)
    for node in graph.nodes:
        by_channel = values[node.name].reshape(-1, edges[node.name].shape[0], *values[node.name].shape[3:])
        axes = tuple(i for i in range(by_channel.ndim) if i != 1)
        assert (edges[node.name].low <= by_channel.min(axes)).all()
        assert (by_channel.max(axes) <= edges[node.name].high).all()
    assert shapes_of(graph.nodes) == {name: edge.shape for name, edge in edges.items()}


def test_an_example_survives_its_file(example: Example):
    graph, x, name = example_graph(example)
    data = dumps(graph)
    again = loads(data)
    assert dumps(again) == data
    assert Reference(again).edges(x)[name].tolist() == Reference(graph).edges(x)[name].tolist()
    assert [o.node for o in again.outputs] == ["logits", name]


def test_arrays_of_a_node_are_its_own_and_can_not_be_written_to(example: Example):
    for field in dataclasses.fields(example.node):
        value = getattr(example.node, field.name)
        if isinstance(value, np.ndarray):
            with pytest.raises(ValueError, match="read-only"):
                value[...] = 0


def test_an_array_that_its_maker_changes_later_does_not_change_the_node():
    values = np.array([1, 2], np.int32)
    node = ir.Constant("c", (), values)
    values[:] = 7
    assert node.values.tolist() == [1, 2]
