"""Whichever kernel is chosen for a node that several can run, results are the same."""

from __future__ import annotations

import collections
import dataclasses
import math
import pickle
from typing import Any

import numpy as np
import pytest

from spikelet import Program, Reference
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.runtime import Plan, plan_of
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.sets import set_called
from tests.graph.test_artifact_size import residual_network
from tests.nodes import conv
from tests.random_graphs import random_graph, random_input
from tests.small_edges import graph_of
from tests.support.kernel_sets import SETS
from tests.wide_graphs import wide_graph


def candidates(plan: Plan) -> dict[str, tuple[Kind, ...]]:
    return {op.node: op.candidates for op in plan.operations if op.candidates}


def turns(plan: Plan) -> list[dict[str, Kind]]:
    """Choices such that every node is run by every kernel that can run it."""
    able = candidates(plan)
    most = max(map(len, able.values()), default=0)
    return [{node: kinds[i % len(kinds)] for node, kinds in able.items()} for i in range(most)]


def assert_all_choices_agree(graph: ir.IntGraph, x: np.ndarray, *sets: str) -> set[tuple[Kind, Kind]]:
    """Runs every choice on every one of these sets; which kernels ran in whose place."""
    reference = Reference(graph)
    expected, spikes = reference.outputs(x), reference.spikes(x) if graph.of_type(ir.Lif) else {}
    seen = set()
    for kernels in sets:
        usual = plan_of(graph, kernels)
        able = candidates(usual)
        for choices in turns(usual):
            program = Program(graph, threads=2, kernels=kernels, choices=choices)
            plan = program.plan(still=True)
            assert plan.choices == choices
            assert candidates(plan) == able
            for name, values in program.outputs(x).items():
                np.testing.assert_array_equal(values, expected[name], err_msg=f"{kernels} {choices} {name}")
            fired = program.spikes(x) if spikes else {}
            for name, values in spikes.items():
                np.testing.assert_array_equal(fired[name], values, err_msg=f"{kernels} {choices} {name}")
            seen |= {(able[node][0], kind) for node, kind in choices.items()}
    return seen


@pytest.mark.parametrize("kernels", SETS)
def test_every_legal_choice_gives_the_same_on_random_graphs(kernels: str):
    seen: set[tuple[Kind, Kind]] = set()
    for seed in range(16):
        for graph in (random_graph(seed), wide_graph(seed)):
            seen |= assert_all_choices_agree(graph, random_input(graph, 3, seed), kernels)
    replaced = collections.defaultdict(set)
    for usual, kind in seen - {(kind, kind) for kind in Kind}:
        replaced[usual].add(kind)
    if kernels == "scalar":
        assert replaced == {Kind.CONV_ROWS: {Kind.CONV_VALUES}}
    else:
        products = {Kind.CONV_BLOCKS, Kind.CONV_QUADS, Kind.CONV_PAIRS, Kind.CONV_VALUES}
        events = {Kind.CONV_ROWS, Kind.CONV_SLICED, Kind.CONV_NIBBLES}
        for usual in events:
            of_bits = events if usual is not Kind.CONV_ROWS else {usual}
            assert replaced[usual] >= (products | of_bits) - {usual}
        assert replaced[Kind.CONV_ROWS] == products
        assert {Kind.CONV_VALUES, Kind.CONV_ROWS} <= replaced[Kind.CONV_PAIRS] <= (products | events)
        costs = set_called(kernels).costs
        assert costs is not None
        small = math.isinf(costs.blocks) or costs.depth > 1  # blocks that are mostly empty here
        first = Kind.CONV_QUADS if small else Kind.CONV_BLOCKS
        assert products - {first} <= replaced[first] <= products | events | {Kind.CONV_CUTS}
        assert replaced[Kind.MATMUL] == {Kind.MATMUL_BITS}


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("outputs", [1, 8, 33, 64, 65, 129])
@pytest.mark.parametrize("bits", [1, 2, 8])
def test_every_legal_choice_gives_the_same_for_a_pooled_layer(kernels: str, outputs: int, bits: int):
    """Pooled spikes are events, or sums that are computed first."""
    rng = np.random.default_rng([outputs, bits])
    weight = rng.choice([-1, 1] if bits == 1 else [-1, 0, 1], (outputs, 5, 3, 3))
    graph = graph_of(
        ir.Input("x", (), (5, 8, 8)), ir.Lif("s", ("x",), 0, 1, 0, 90, "hard", None), ir.SumPool("p", ("s",), (2, 2)),
        conv("c", ("p",), weight, bits, (1, 1), (1, 1), 1), ir.Flatten("f", ("c",)),
        ir.SumTime("logits", ("f",)),
    )  # fmt: skip
    x = rng.integers(0, 256, (2, 5, 8, 8)).astype(np.uint8)
    seen = assert_all_choices_agree(graph, x, kernels)
    assert len(seen) == (2 if kernels == "scalar" else 7 if bits == 1 else 5)


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize(("levels", "outputs"), [(2, 63), (4, 129), (16, 33)])
@pytest.mark.parametrize(("bits", "grid"), [(1, "symmetric"), (4, "odd"), (8, "symmetric")])
def test_every_legal_choice_gives_the_same_for_counts(
    kernels: str, groups: int, levels: int, outputs: int, bits: int, grid: str
):
    """Counts are events, as often as they say, or values; all of them where every neuron fires at its most."""
    rng = np.random.default_rng([levels, outputs, bits])
    codes = rng.choice([-1, 1] if bits == 1 else [-3, -1, 1, 3, 7], (outputs, 69 // groups, 3, 3))
    graph = graph_of(
        ir.Input("x", (), (69, 4, 5)),
        ir.Lif("s", ("x",), 0, 1, 0, 20, "hard", None, levels=levels, step=235 // levels),
        conv("c", ("s",), codes, bits, (1, 1), (1, 1), groups, grid), ir.Flatten("f", ("c",)),
        ir.SumTime("logits", ("f",)), time_steps=2,
    )  # fmt: skip
    x = rng.integers(0, 256, (2, 3, 69, 4, 5)).astype(np.uint8)
    x[:, 0], x[:, 1] = 0, 255
    seen = assert_all_choices_agree(graph, x, kernels)
    assert kernels == "scalar" or {kind for _, kind in seen} >= {Kind.CONV_ROWS, Kind.CONV_VALUES}


@pytest.mark.parametrize("kernels", SETS)
@pytest.mark.parametrize(
    ("window", "stride", "padding"), [((2, 2), 1, 1), ((1, 3), 1, 0), ((3, 2), 2, 2), ((4, 1), 2, 1)]
)
@pytest.mark.parametrize("outputs", [3, 65, 130])
def test_every_legal_choice_gives_the_largest_of_neighbouring_sums(
    kernels: str, outputs: int, window: tuple[int, int], stride: int, padding: int
):
    """A MaxPool of sums is part of the layer, whatever it reads and whatever is left over at the edges."""
    rng = np.random.default_rng([outputs, *window])
    moved = (stride, stride), (padding, padding), 1
    first, second, third = (rng.choice([-1, 1], (n, i, 3, 3)) for n, i in ((5, 2), (outputs, 5), (outputs, 5)))
    graph = graph_of(
        ir.Input("x", (), (2, 41, 31)),
        conv("a", ("x",), first, 2, *moved), ir.MaxPool("am", ("a",), window, window, (0, 0)),
        ir.Lif("s", ("am",), 0, 1, 0, 90, "hard", None), ir.SumPool("p", ("s",), (2, 2)),
        conv("b", ("s",), second, 1, (1, 1), (padding, padding), 1), ir.MaxPool("bm", ("b",), window, window, (0, 0)),
        ir.Lif("t", ("bm",), 1, 2, 1, 3, "soft", None),
        conv("c", ("p",), third, 1, (1, 1), (2, 2), 1), ir.MaxPool("cm", ("c",), (1, 1), (1, 1), (0, 0)),
        ir.Flatten("f", ("t",)), ir.SumTime("logits", ("f",)), time_steps=3,
    )  # fmt: skip
    graph = dataclasses.replace(graph, outputs=(*graph.outputs, ir.Output("cm", 1.0)))
    plan = plan_of(graph, kernels, result="outputs")
    fused = [(op.number("max_h"), op.number("max_w")) for op in plan.operations if "weight" in op.arrays]
    assert fused == [window, window, (1, 1)]
    assert not any(op.kind is Kind.MAXPOOL_VALUES for op in plan.operations)
    assert_all_choices_agree(graph, rng.integers(0, 256, (2, 2, 41, 31)).astype(np.uint8), kernels)


@pytest.mark.parametrize("steps", [1, 2, 17, 34])
@pytest.mark.parametrize("outputs", [7, 64, 100, 257])
def test_every_legal_choice_gives_the_same_however_many_spikes_come(steps: int, outputs: int):
    """None, a few, most or all; the last of an odd number of steps has no neighbour to share a vector with."""
    rng = np.random.default_rng([outputs, steps])
    one = rng.choice([-1, 1], (outputs, 70, 3, 2))
    two, eight = rng.choice([-3, -1, 1, 3], (outputs, 70, 1, 1)), rng.integers(-127, 128, (outputs, 70, 2, 2))
    lif = ir.Lif("s", ("x",), 0, 1, 0, 128, "hard", None)
    graph = graph_of(
        ir.Input("x", (), (70, 3, 4)), lif, conv("a", ("s",), one, 1, (1, 1), (1, 1), 1),
        conv("b", ("s",), two, 2, (1, 1), (0, 0), 1, "odd"), conv("c", ("s",), eight, 8, (2, 2), (1, 1), 1),
        *(ir.Flatten(f"{name}f", (name,)) for name in "abc"), ir.SumTime("logits", ("af",)), time_steps=steps,
    )  # fmt: skip
    graph = dataclasses.replace(graph, outputs=tuple(ir.Output(name, 1.0) for name in ("logits", "bf", "cf", "af")))
    few = rng.random((steps, 1, 70, 3, 4)) < 0.1
    for x in (few, few[:1] | few, ~few, np.zeros_like(few), np.ones_like(few)):
        assert_all_choices_agree(graph, 255 * x.astype(np.uint8), *SETS)


def test_a_pool_that_reaches_far_or_is_padded_is_an_operation_of_its_own():
    """As is one of sums that somebody else reads."""
    ends = ir.Flatten("f", ("m",)), ir.SumTime("logits", ("f",))
    for fields in (((5, 5), (5, 5), (0, 0)), ((2, 2), (1, 1), (0, 0)), ((2, 2), (2, 2), (1, 1))):
        nodes = ir.Input("x", (), (1, 9, 9)), conv("a", ("x",), np.ones((1, 1, 1, 1)), 2, (1, 1), (0, 0), 1)
        graph = graph_of(*nodes, ir.MaxPool("m", ("a",), *fields), *ends)
        assert Kind.MAXPOOL_VALUES in {op.kind for op in plan_of(graph).operations}
    read = graph_of(*nodes, ir.MaxPool("m", ("a",), (3, 3), (3, 3), (0, 0)), *ends)
    assert Kind.MAXPOOL_VALUES not in {op.kind for op in plan_of(read).operations}
    read = dataclasses.replace(read, outputs=(*read.outputs, ir.Output("a", 1.0)))
    assert Kind.MAXPOOL_VALUES in {op.kind for op in plan_of(read, result="outputs").operations}


def test_a_program_keeps_its_choices_when_it_is_copied():
    graph = residual_network((8, 8), (1, 1))
    choices = turns(plan_of(graph))[-1]
    program = Program(graph, choices={node: kind.name for node, kind in choices.items()})
    assert program.plan(still=True).choices == choices == pickle.loads(pickle.dumps(program)).plan(still=True).choices
    assert choices != plan_of(graph).choices


@pytest.mark.parametrize(
    ("choices", "words"),
    [
        (["c"], r"choices must map names of nodes to kernels, as Plan\.choices does, got \['c'\]\."),
        ({"d": "CONV_ROWS"}, r"choices must name convolutions, .* of the graph, got 'd'\. Plan\.choices lists"),
        ({"s": "CONV_ROWS"}, r"choices must name convolutions, .* of the graph, got 's'\."),
        ({"c": "rows"}, r"choices must hold kernels by their names, such as 'CONV_ROWS', got 'rows' for c\."),
        ({"c": 0}, r"choices must hold kernels by their names, .* got 0 for c\."),
        ({"c": "MATMUL"}, r"choices: MATMUL can't run c on the kernel set 'portable'; choose CONV_ROWS or"),
        ({"c": Kind.CONV_SLICED}, r"choices: CONV_SLICED can't run c on the kernel set 'portable'; choose CONV_ROWS"),
    ],
)
def test_a_choice_that_is_none_is_refused_by_name(choices: Any, words: str):
    weight = np.ones((3, 2, 1, 1))
    graph = graph_of(
        ir.Input("x", (), (2, 4, 4)), ir.Lif("s", ("x",), 0, 1, 0, 9, "hard", None),
        conv("c", ("s",), weight, 2, (1, 1), (0, 0), 1), ir.Flatten("f", ("c",)),
        ir.SumTime("logits", ("f",)),
    )  # fmt: skip
    for make in (lambda: plan_of(graph, choices=choices), lambda: Program(graph, kernels="portable", choices=choices)):
        with pytest.raises(GraphError, match=words):
            make()
