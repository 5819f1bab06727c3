"""Limits count what runs: every multiplication of a plan, every byte of weights and constants as kernels read them."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from spikelet.base.errors import ArtifactError, GraphError
from spikelet.graph import ir
from spikelet.graph.file.artifact import dumps, loads
from spikelet.graph.file.limits import OPERATIONS, laid_out, operations
from spikelet.runtime import Program, layout
from spikelet.runtime.plan import Plan
from spikelet.runtime.plan.kinds import Kind
from tests.graph.test_artifact_size import residual_network
from tests.random_graphs import random_graph
from tests.small_edges import graph_of
from tests.wide_graphs import wide_graph

CONVOLUTIONS = (
    Kind.CONV_ROWS, Kind.CONV_SLICED, Kind.CONV_NIBBLES, Kind.CONV_PAIRS, Kind.CONV_QUADS, Kind.CONV_DEPTHWISE,
    Kind.CONV_VALUES, Kind.CONV_CUTS, Kind.CONV_BLOCKS, Kind.CONV_PLACES,
)  # fmt: skip


def _lif(name: str, source: str, levels: int = 1) -> ir.Lif:
    return ir.Lif(name, (source,), 0, 1, 0, 5, "hard", None, levels)


def _steps_of(plan: Plan) -> int:
    """Multiply-accumulates of the plan's convolutions at every step, and the values of every map that is written."""
    total = 0
    for op in plan.operations:
        n = op.number
        pixels = n("out_h") * n("out_w")
        if op.kind in CONVOLUTIONS:
            inputs = n("kernel_h") * n("kernel_w") * (n("in_c") // n("groups")) * n("pool") ** 2
            total += n("T") * pixels * n("out_c") * inputs
        if "values" in op.places or "spikes" in op.places:
            total += pixels * layout.round_up(n("out_c"), 8)
    return total


@pytest.mark.parametrize("make", [random_graph, wide_graph], ids=["formats 1 and 2", "format 3"])
def test_operations_are_no_fewer_than_a_plan_runs(make: Any) -> None:
    for seed in range(60):
        graph = make(seed)
        plan = Program(graph).plan(still=False)
        assert _steps_of(plan) <= operations(graph.nodes, max(op.number("T") for op in plan.operations)), seed


def test_a_layer_after_a_sumpool_of_spikes_counts_every_spike() -> None:
    rows = np.zeros((6000, 16), np.int8)
    nodes = (
        ir.Input("x", (), (1, 512, 512)), _lif("s", "x"), ir.SumPool("p", ("s",), (128, 128)), ir.Flatten("f", ("p",)),
        *(ir.Linear(f"y{i}", ("f",), rows, 1) for i in range(60)),
        ir.Add("sum", tuple(f"y{i}" for i in range(60))), ir.SumTime("logits", ("sum",)),
    )  # fmt: skip
    assert operations(nodes, 1) > 60 * 6000 * 16 * 128**2
    with pytest.raises(
        ArtifactError, match=rf"operations a sample, max_operations allows {OPERATIONS}\. Pass a larger"
    ):
        loads(dumps(graph_of(*nodes)))


def test_every_input_of_a_node_is_counted_as_often_as_it_is_read() -> None:
    ends = (ir.Flatten("f", ("y",)), ir.SumTime("logits", ("f",)))

    def count(inputs: int) -> int:
        channels = ir.ChannelMap("y", ("s",) * inputs, np.zeros(1, np.int16), 1)
        return operations((ir.Input("x", (), (1, 64, 64)), _lif("s", "x"), channels, *ends), 1)

    assert count(64) - count(1) == 2 * 63 * 8 * 64 * 64


def test_a_large_residual_network_is_within_the_default() -> None:
    graph = residual_network((128, 256, 512), (3, 3, 2))
    assert operations(graph.nodes, graph.time_steps) < OPERATIONS
    assert Program(graph).max_bytes > 50 * sum(laid_out(graph.nodes).values())


# --- bytes ---------------------------------------------------------------------------------------------


def _bytes_of(made: Any) -> int:
    if isinstance(made, np.ndarray):
        return made.nbytes
    if isinstance(made, (tuple, list)):
        return sum(map(_bytes_of, made))
    if isinstance(made, dict):
        return sum(map(_bytes_of, made.values()))
    return sum(map(_bytes_of, vars(made).values())) if dataclasses.is_dataclass(made) else 0


@pytest.mark.parametrize("make", [random_graph, wide_graph], ids=["formats 1 and 2", "format 3"])
@pytest.mark.parametrize("kernels", ["scalar", "auto"])
def test_weights_and_constants_take_no_more_than_is_counted(make: Any, kernels: str) -> None:
    for seed in range(60):
        graph = make(seed)
        program = Program(graph, kernels=kernels)
        program.plan(still=True, spikes=bool(graph.of_type(ir.Lif)))
        packed = [_bytes_of(made) for made in program._engine._subject.packed._made.values()]
        assert sum(packed) <= sum(laid_out(graph.nodes).values()), seed


def _thin_layers(count: int) -> ir.IntGraph:
    """Layers of one output, whose rows are padded to 32."""
    layers = [ir.Linear(f"y{i}", ("f",), np.zeros((1, 2**14), np.int8), 1) for i in range(count)]
    return graph_of(
        ir.Input("x", (), (4, 64, 64)), _lif("s", "x"), ir.Flatten("f", ("s",)), *layers,
        ir.Add("sum", tuple(layer.name for layer in layers)), ir.SumTime("logits", ("sum",)),
    )  # fmt: skip


def test_rows_of_few_outputs_are_counted_as_they_are_padded() -> None:
    graph = _thin_layers(24)
    needed = sum(laid_out(graph.nodes).values())
    assert needed > 24 * 32 * 2**14
    with pytest.raises(
        GraphError, match=rf"take up to {needed} bytes as the kernels read them \(y0: \d+\), max_bytes allows"
    ):
        Program(graph, max_bytes=needed - 1)
    with pytest.raises(ArtifactError, match=rf"bytes of memory, max_bytes allows {needed}\. Pass a larger max_bytes"):
        loads(dumps(graph), max_bytes=needed)
    Program(graph, max_bytes=needed + 2**20)


def test_a_table_of_levels_by_channel_is_counted_before_it_is_made() -> None:
    neurons = [_lif(f"s{i}", "x", 255) for i in range(100)]
    graph = graph_of(ir.Input("x", (), (60_000,)), *neurons, ir.SumTime("logits", ("s0",)))
    with pytest.raises(
        GraphError, match=r"as the kernels read them \(s0: \d+\), max_bytes allows 4294967296\. Pass a larger"
    ):
        Program(graph)


def test_maps_and_weights_together_are_at_most_max_bytes() -> None:
    graph = _thin_layers(2)
    weights = sum(laid_out(graph.nodes).values())
    arena = Program(graph).plan(still=True).arena_bytes
    assert Program(graph, max_bytes=weights + arena).plan(still=True).arena_bytes == arena
    with pytest.raises(
        GraphError, match=rf"take {weights + 2 * arena} bytes, max_bytes allows {weights + arena}\. Use fewer"
    ):
        Program(graph, threads=2, max_bytes=weights + arena)
