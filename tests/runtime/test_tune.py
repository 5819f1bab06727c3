"""Tuned programs give the same results, are never slower by their own measure, and travel as plans."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from spikelet import Program, load
from spikelet.base.errors import GraphError, RuntimeUnavailable, SpikeletError
from spikelet.graph import ir
from spikelet.runtime import load_plan, save_plan, tune
from tests.random_graphs import random_graph, random_input

X = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), np.uint8)


def test_a_tuned_program_gives_the_same_logits_and_its_plan_travels(tmp_path: Path) -> None:
    graph = load("qsnn-vgg-s-cifar10")
    found = tune(graph, X, seconds=0.2)
    assert found.contests
    assert found.tuned <= found.by_rule
    save_plan(found.plan, tmp_path / "m.plan.json")
    plan = load_plan(tmp_path / "m.plan.json", graph)
    assert plan.choices == found.choices
    tuned = Program(graph, kernels=plan.kernels, choices=plan.choices)
    np.testing.assert_array_equal(tuned(X), Program(graph)(X))


def test_every_contest_has_the_rules_kernel_and_times_of_all_that_can_run() -> None:
    graph = load("qsnn-vgg-s-nmnist")
    program = Program(graph)
    found = tune(graph, np.zeros((5, 2, *graph.input.shape), np.uint8), seconds=0.1)
    able = {op.node: set(op.candidates) for op in program.plan(still=False).operations if op.candidates}
    assert {contest.node: set(contest.microseconds) for contest in found.contests} == able
    assert {contest.node: contest.by_rule for contest in found.contests} == program.plan(still=False).choices
    for contest in found.contests:
        assert contest.microseconds[contest.best] <= contest.microseconds[contest.by_rule]


@pytest.mark.parametrize("seed", range(6))
def test_tuning_random_graphs_changes_no_result(seed: int) -> None:
    graph = random_graph(seed)
    x = random_input(graph, 2, seed)
    try:
        found = tune(graph, x, seconds=0.01)
    except GraphError as error:
        assert "step by step" in str(error)
        return
    np.testing.assert_array_equal(Program(graph, choices=found.choices)(x), Program(graph)(x))


def test_what_was_found_is_shown_as_a_table() -> None:
    found = tune(load("qsnn-vgg-s-cifar10"), X[:1], seconds=0.05)
    assert all(contest.node in str(found) for contest in found.contests)
    assert "us by the rules" in str(found)
    assert repr(found).startswith("Tuning(")


@pytest.mark.parametrize(
    ("x", "more", "error", "words"),
    [
        (X[:0], {}, GraphError, "at least one sample, got none"),
        (X[:, :1], {}, GraphError, "1, 32, 32"),
        (X, {"seconds": 0}, SpikeletError, "tune.seconds must be"),
        (X, {"kernels": "sse9"}, RuntimeUnavailable, "sse9"),
    ],
)
def test_bad_input_is_refused_in_one_sentence(x: Any, more: dict[str, Any], error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        tune(load("qsnn-vgg-s-cifar10"), x, **more)


def test_a_loop_is_refused_by_name() -> None:
    nodes = (
        ir.Input("x", (), (2,)),
        ir.Delay("before", ("s",), (2,)),
        ir.Add("sum", ("x", "before")),
        ir.Lif("s", ("sum",), 1, 1, 0, 8, "soft", None),
        ir.SumTime("y", ("s",)),
    )
    graph = ir.IntGraph(nodes, 2, (ir.Output("y", 1.0),))
    with pytest.raises(GraphError, match="step by step"):
        tune(graph, np.ones((1, 2), np.uint8))
