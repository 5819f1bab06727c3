"""Exported C computes exactly what the reference computes: random graphs, every operation, whole and as streams."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from spikelet.graph import ir
from tests.example_graphs import example_graph
from tests.export.compiled import SANITIZE, Batch, needs_compiler
from tests.format_3_graph import charge_graph, format_3_graph
from tests.random_graphs import random_graph
from tests.wide_graphs import wide_graph

pytestmark = needs_compiler


def graphs(first: int, count: int) -> list[ir.IntGraph]:
    """`count` of each kind of random graph, from seed `first` on."""
    return [make(seed) for make in (random_graph, wide_graph) for seed in range(first, first + count)]


@pytest.mark.parametrize(("first", "count", "level"), [(0, 60, "-O0"), (60, 15, "-O3")])
def test_random_graphs_without_a_warning_or_a_difference(first: int, count: int, level: str, tmp_path: Path) -> None:
    assert Batch(graphs(first, count)).wrong(tmp_path, level) == {}


def test_random_graphs_are_clean_under_the_sanitizers(tmp_path: Path) -> None:
    assert Batch(graphs(100, 8)).wrong(tmp_path, *SANITIZE) == {}


@pytest.mark.slow
@pytest.mark.parametrize("first", range(1000, 6000, 100))
@pytest.mark.parametrize("flags", [("-O0",), ("-O3",), SANITIZE], ids=lambda flags: flags[0])
def test_many_random_graphs(first: int, flags: tuple[str, ...], tmp_path: Path) -> None:
    assert Batch(graphs(first, 100)).wrong(tmp_path, *flags) == {}


def test_the_random_graphs_have_every_operation() -> None:
    found = {type(node) for graph in graphs(0, 60) for node in graph.nodes}
    assert found == set(ir.OPERATIONS)


def test_every_operation_computes_its_examples(tmp_path: Path) -> None:
    examples = [example for operation in ir.OPERATIONS for example in operation.examples()]
    batch = Batch([*(example_graph(example)[0] for example in examples), format_3_graph(), charge_graph()])
    assert batch.wrong(tmp_path, *SANITIZE) == {}


def test_a_difference_is_seen(tmp_path: Path) -> None:
    batch = Batch([random_graph(0), random_graph(1)])
    files, give = batch.cases[1].model.files, re.compile(r"(spk_give\(output \+ 0, .*\);)")
    files["m1_run.c"] = give.sub(r"\1 output[0]++;", files["m1_run.c"])
    assert batch.wrong(tmp_path / "run", "-O0") == {1: ["run"]}
    files["m1_stream.c"] = give.sub(r"\1 output[0]++;", files["m1_stream.c"])
    assert batch.wrong(tmp_path / "both", "-O0") == {1: ["run", f"step {batch.cases[1].model.sizes.steps - 1}"]}
