"""Graphs around the examples of operations, so that files and every backend run them.

    graph, x, name = example_graph(example)       node `name` must give `example.expected`

Sources are constants; a source with frames is a per-step affine of zeros, so its values go by channel.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet.graph import ir
from spikelet.graph.ops.operation import Example, Operation

Nodes = list[Operation]


def example_graph(example: Example) -> tuple[ir.IntGraph, NDArray[np.uint8], str]:
    """A graph whose node "n" computes the example; its first output are logits that read the input."""
    nodes: Nodes = [ir.Input("bytes", (), (1,))]
    names = dict(zip(example.node.inputs, example.sources, strict=True))
    for name, values in names.items():
        add_source(nodes, name, values)
    nodes.append(example.node)
    nodes.append(ir.SumTime("logits", ("bytes",)))
    outputs = (ir.Output("logits", 1.0), ir.Output(example.node.name, 1.0))
    return ir.IntGraph(tuple(nodes), example.time_steps, outputs), np.ones((1, 1), np.uint8), example.node.name


def add_source(nodes: Nodes, name: str, values: NDArray[np.int64]) -> None:
    """Appends nodes whose last, `name`, has `values` [T or 1, *shape]."""
    if len(values) == 1:
        nodes.append(ir.Constant(name, (), values[0].astype(np.int32)))
        return
    by_channel = values.reshape(*values.shape[:2])
    zeros = np.zeros(values.shape[1:], np.int32)
    nodes.append(ir.Constant(f"{name} zeros", (), zeros))
    ones = np.ones(by_channel.shape, np.int32)
    none = np.zeros(by_channel.shape, np.uint8)
    nodes.append(ir.Affine(name, (f"{name} zeros",), ones, none, by_channel.astype(np.int32)))
