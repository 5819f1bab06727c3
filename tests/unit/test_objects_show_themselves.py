"""What a user prints or leaves at the end of a notebook's cell is a table, and its repr is one line."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest
import torch

import spikelet
from spikelet.base.page import NAME, ROWS, WIDTH, Displayed
from spikelet.base.text import shortened
from spikelet.compression import Prune
from spikelet.compression.criteria import WeightL1
from spikelet.conversion.accuracy import AccuracyOverSteps
from spikelet.conversion.ordinary.report import Changes
from spikelet.conversion.ordinary.report import Row as Change
from spikelet.graph import ir
from spikelet.graph.file.document import LATEST, arrays_of, stored_bytes
from spikelet.graph.summary import nodes_table
from spikelet.interop.comparison import Comparison, LayerSpikes
from spikelet.lowering.verify import Verification
from spikelet.profiling import HOROWITZ_INT, TABLES, profile_graph
from tests.random_graphs import random_graph, random_input

SCREENS = 64  # lines


@pytest.mark.parametrize("name", spikelet.zoo.names())
def test_a_shipped_model_prints_as_a_table_of_a_screen_or_two(name: str) -> None:
    graph = spikelet.load(name)
    lines = str(graph).splitlines()
    assert max(map(len, lines)) <= WIDTH
    assert len(lines) <= SCREENS
    rows = [(shortened(n.name, NAME), type(n).__name__) for n in graph.nodes]
    shown = [name for name, kind in rows if any(line.startswith(f"{name} ") and kind in line for line in lines)]
    if len(rows) <= ROWS:
        assert shown == [name for name, _ in rows]
    else:
        assert len(shown) == ROWS - 1
        assert lines.count(f"... {len(rows) - len(shown):,} more") == 1
    assert all(label in str(graph).partition("classes ")[2] for label in graph.labels)
    assert repr(graph) == f"IntGraph({lines[0]})"
    assert len(repr(graph)) < WIDTH


@pytest.mark.parametrize("seed", range(12))
def test_a_graph_s_table_adds_up(seed: int) -> None:
    graph = random_graph(seed)
    table = nodes_table(graph.nodes)
    cells = [dict(zip(table.columns, row, strict=True)) for row in (*table.rows, *table.footer)]
    for title in ("bytes", "neurons", "operations/step"):
        found = [int(row[title].replace(",", "") or 0) for row in cells]
        assert sum(found[:-1]) == found[-1], title
    for node, row in zip(graph.nodes, cells, strict=False):
        assert row["bytes"] == (f"{sum(a.nbytes for _, a in arrays_of(node, LATEST)):,}" if stored_bytes(node) else "")
        weight = getattr(node, "weight", None)
        assert row["weights"] == ("" if weight is None else f"{weight.size:,}")
        assert row["neurons"] == (f"{np.prod(shapes(graph)[node.name]):,}" if isinstance(node, ir.Neuron) else "")
    assert str(graph).splitlines()[0] == repr(graph)[len("IntGraph(") : -1]


def shapes(graph: ir.IntGraph) -> dict[str, tuple[int, ...]]:
    """As the reference has them, which knows nothing of tables."""
    x = np.zeros((1, *graph.input.shape), np.uint8)
    return {name: values.shape[2:] for name, values in spikelet.Reference(graph).edges(x).items()}


@pytest.mark.parametrize(
    "broken",
    [
        ir.IntGraph((), 2, ()),
        ir.IntGraph((ir.Flatten("f", ("nothing",)),), 0, ()),
        ir.IntGraph((ir.Input("x", (), (2, 2, 2)), ir.Add("a", ("b", "c"))), 2, ()),
        ir.IntGraph((ir.Input("x", (), (2, 2, 2)), ir.Linear("l", ("x",), np.ones((2, 3), np.int8), 1)), 2, ()),
        ir.IntGraph((ir.Input("x", (), (2,)),), 2, (ir.Output("x", float("nan")), ir.Output("y", 1))),
    ],
    ids=["empty", "without input", "unknown edges", "wrong shapes", "wrong outputs"],
)
def test_a_graph_without_meaning_can_be_looked_at(broken: ir.IntGraph) -> None:
    assert "\n" not in repr(broken)
    assert repr(broken)[len("IntGraph(") : -1] in str(broken)
    assert "total" in str(broken)


def test_a_long_graph_is_folded_and_hostile_words_are_harmless() -> None:
    adds = [ir.Add(f"add{i}", (f"add{i - 1}", "x") if i else ("x", "x")) for i in range(500)]
    name = "<script>\x1b[2J‮" * 30
    nodes = (ir.Input("x", (), (3,)), *adds, ir.Add(name, ("add499", "x")))
    graph = ir.IntGraph.of_logits(nodes, 1, 1.0, ("<b>", "\n", "c"), {"model": name})
    text, page = str(graph), graph._repr_html_()
    assert len(text.splitlines()) <= SCREENS
    assert max(map(len, text.splitlines()[1:])) <= WIDTH
    assert "... 455 more" in text
    assert all(line.isprintable() for line in (repr(graph), *text.splitlines()))
    assert "<script>" not in page and "&lt;script&gt;" in page
    assert "<b>\n" not in page and "\x1b" not in page


def test_a_program_says_what_it_runs_on_and_what_it_takes() -> None:
    graph = random_graph(4)
    program = spikelet.Program(graph, threads=2, kernels="scalar")
    assert repr(program) == f"Program({graph.in_short()}, kernels='scalar', threads=2)"
    assert repr(spikelet.Reference(graph)) == f"Reference({graph.in_short()})"
    assert f"{program.plan(still=True).arena_bytes:,} bytes a thread" in str(program)
    assert str(graph) in str(program)


def test_a_profile_prints_the_tables_of_its_parts() -> None:
    graph = next(graph for graph in map(random_graph, range(20)) if len(graph.of_type(ir.Lif)) > 1)
    report = profile_graph(graph, random_input(graph, 2, 0))
    text = str(report)
    assert str(report.table("size")) in text or max(map(len, str(report.table("size")).splitlines())) > WIDTH
    assert str(report.table("energy")) in text
    assert max(map(len, text.splitlines())) <= WIDTH
    assert f"{report.total.macs:,.0f}" in text
    assert repr(report) == f"Report(graph, T = {report.time_steps}, 2 samples, {len(report.layers)} layers)"
    assert "<table>" in report._repr_html_()


def test_energy_tables_may_be_left_out_and_are_those_of_the_package() -> None:
    graph = next(graph for graph in map(random_graph, range(20)) if graph.of_type(ir.Lif))
    x = random_input(graph, 1, 0)
    assert profile_graph(graph, x).tables == TABLES
    assert profile_graph(graph, x, tables=(HOROWITZ_INT,)).tables == (HOROWITZ_INT,)
    assert profile_graph(graph, x, tables=()).tables == ()


@pytest.mark.parametrize("name", [name for name in spikelet.__all__ if not name.endswith("Error")])
def test_help_begins_with_a_signature_that_can_be_read(name: str) -> None:
    assert len(str(inspect.signature(getattr(spikelet, name)))) < 600


def test_a_compression_shows_itself_before_and_after() -> None:
    torch.manual_seed(0)
    model = spikelet.create_model("qsnn_vgg_s", num_classes=3, in_channels=1, image_size=8, widths=[8], time_steps=1)
    small = spikelet.compress(model, [Prune(0.5, WeightL1())], torch.zeros(2, 1, 8, 8, dtype=torch.uint8))
    before, after = small.report.size
    layers = len(small.report.after)
    assert repr(small.report) == f"Report({layers} layers, {before:,} → {after:,} bytes)"
    assert str(small.report.table()) in str(small.report)


EQUAL = Verification(10, 1000, {"lif": 0, "other": 0}, 100, 0, 0.5, 0.5)
SHOWN: dict[str, tuple[Displayed, str, list[str]]] = {
    "equal": (
        EQUAL,
        "Verification(10 samples, 0 values differ of 1,100)",
        ["PyTorch 50.00%, integers 50.00% on 10 samples; of 1,000 spikes and 100 logits differ: 0 and 0"],
    ),
    "different": (
        dataclasses.replace(EQUAL, spike_mismatches={"lif": 7, "other": 0}, logit_mismatches=2),
        "Verification(10 samples, 9 values differ of 1,100)",
        ["logits differ: 7 and 2", "values that differ", "lif"],
    ),
    "changes": (Changes((Change("norm", "LayerNorm", "BatchNorm"),)), "Changes(1 changes)", ["where", "LayerNorm"]),
    "no changes": (Changes(()), "Changes(0 changes)", ["nothing to repair"]),
    "accuracies": (
        AccuracyOverSteps(5, 0.75, {1: 0.5}, {1: 0.25, 3: 0.5}),
        "AccuracyOverSteps(5 samples, the network 75.00 %, up to 3 steps)",
        ["steps  ", "barrier", "25.00 %"],
    ),
    "comparison": (
        Comparison("integers", 4, (LayerSpikes("lif1", 40, 12, 13, 1), LayerSpikes("lif2", 8, 1, 2, None)), 3, 2, 4),
        "Comparison(4 samples, 1 spikes differ of 40)",
        ["layer  original  integers", "2.50%", "other shape", "the same class for 75.00%"],
    ),
}


@pytest.mark.parametrize("case", SHOWN)
def test_results_show_their_figures(case: str) -> None:
    made, short, words = SHOWN[case]
    assert repr(made) == short
    for word in words:
        assert word in str(made)
        assert word.split("  ")[0] in made._repr_html_()
    if case == "equal":
        assert len(str(made).splitlines()) == 1


def test_everything_that_shows_itself_keeps_its_equality_and_copies() -> None:
    for made, _, _ in SHOWN.values():
        other: Any = dataclasses.replace(made)  # type: ignore[type-var]
        assert other == made
        assert str(other) == str(made)
