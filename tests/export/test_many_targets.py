"""200 random graphs and every shipped model on each processor that is emulated, as `make verify` asks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import spikelet
from tests.export.self_tests import PROCESSORS, many, passes, project
from tests.random_graphs import random_graph
from tests.wide_graphs import wide_graph

TOGETHER, FIRST = 25, 3000  # graphs of each kind in a program; the first seed, which no other test has


@pytest.mark.slow
@pytest.mark.parametrize("first", range(FIRST, FIRST + 100, TOGETHER))
@pytest.mark.parametrize("processor", PROCESSORS)
def test_random_graphs(processor: str, first: int, tmp_path: Path) -> None:
    seeds = range(first, first + TOGETHER)
    assert passes(many([make(seed) for make in (random_graph, wide_graph) for seed in seeds], tmp_path), processor)


@pytest.mark.slow
@pytest.mark.parametrize("name", spikelet.zoo.names())
@pytest.mark.parametrize("processor", PROCESSORS)
def test_shipped_models(processor: str, name: str, tmp_path: Path) -> None:
    assert passes(project(spikelet.load(name), tmp_path), processor)


@pytest.mark.parametrize("model", [0, 2])
def test_a_wrong_value_of_one_model_of_many_is_told(model: int, tmp_path: Path) -> None:
    folder = many([random_graph(seed) for seed in (29, 30, 31)], tmp_path)
    assert passes(folder, "wasm32")
    test = folder / "src" / f"m{model}_selftest.c"
    test.write_text(re.sub(r"(expected_runs_\d+\[\d+\] = \{\s*)-?\d+", r"\g<1>123456", test.read_text()))
    assert not passes(folder, "wasm32")
