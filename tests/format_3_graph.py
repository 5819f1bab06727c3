"""A graph with everything that format 3 adds, as its golden file holds it."""

from __future__ import annotations

import dataclasses

import numpy as np

from spikelet.graph import ir
from spikelet.graph.ops.operation import Example, Operation
from tests.example_graphs import add_source

TIME_STEPS = 3


def format_3_graph() -> ir.IntGraph:
    """The examples of all operations that run for 3 steps or for any number, a recurrent neuron, and its logits."""
    nodes: list[Operation] = [ir.Input("x", (), (2, 4, 4)), *_recurrent_neuron("x")]
    outputs = [ir.Output("logits", 0.5), ir.Output("so far", 0.25)]
    operations = [operation for operation in ir.OPERATIONS if operation.first_format <= 3]
    _add_examples(nodes, outputs, operations)
    return ir.IntGraph(tuple(nodes), TIME_STEPS, tuple(outputs), ("cat", "dog"), {"seed": "0"})


def charge_graph() -> ir.IntGraph:
    """The examples of the operation that came after: what membranes reach."""
    nodes: list[Operation] = [ir.Input("x", (), (2, 4, 4)), *_recurrent_neuron("x")]
    outputs = [ir.Output("logits", 0.5)]
    _add_examples(nodes, outputs, [ir.Charge])
    return ir.IntGraph(tuple(nodes), TIME_STEPS, tuple(outputs))


def _add_examples(nodes: list[Operation], outputs: list[ir.Output], operations: list[type[Operation]]) -> None:
    for i, example in enumerate(e for operation in operations for e in operation.examples() if _fits(e)):
        names = {name: f"{i} {name}" for name in example.node.inputs}
        for name, values in zip(names.values(), example.sources, strict=True):
            add_source(nodes, name, values)
        node = dataclasses.replace(example.node, name=f"{i} {example.node.word}", inputs=tuple(names.values()))
        nodes.append(node)
        outputs.append(ir.Output(node.name, 2.0**-i))


def _fits(example: Example) -> bool:
    still = all(len(x) == 1 for x in example.sources) and not isinstance(example.node, ir.Affine)
    return example.time_steps == TIME_STEPS or still


def _recurrent_neuron(source: str) -> list[Operation]:
    """Two neurons that read their own spikes of the step before, and their count as logits."""
    constants = {name: np.array(values, np.int32) for name, values in CONSTANTS.items()}
    ones, zero = np.array([[1, -1], [1, 1]], np.int8), np.zeros((1, 1), np.int32)
    neuron = {"leak_bits": 12, "reset": "soft", "membrane": None, "levels": 3, "rounding": "half"}
    return [
        ir.SumPool("pool", (source,), (2, 4)),
        ir.SumPool("whole", ("pool",), (2, 1)),
        ir.Flatten("flat", ("whole",)),
        ir.Delay("before", ("spikes",), (2,)),
        ir.Linear("back", ("before",), ones, 2),
        ir.Affine("scaled", ("back",), zero + 300, zero.astype(np.uint8), zero),
        ir.Affine("per step", ("flat",), *_per_step(), clip=(-5000, 5000)),
        ir.Add("current", ("per step", "scaled")),
        ir.Lif("spikes", ("current",), **neuron, **constants),  # type: ignore[arg-type]
        ir.SumTime("so far", ("spikes",), True),
        ir.SumTime("logits", ("spikes",)),
    ]  # fmt: skip


CONSTANTS = {"leak": (4055, 2048), "gain": (4096, 1000), "threshold": (700, 400), "step": (500, 70), "start": (350, -9)}


def _per_step() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    multiplier = np.array([[1, 2], [40000, 3], [1, 1]], np.int32)
    shift = np.array([[1, 1], [16, 2], [0, 1]], np.uint8)
    return multiplier, shift, np.array([[0, 100], [-7, 8], [3, 3]], np.int32)
