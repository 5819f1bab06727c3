"""Odd codes (spec Q5): what they mean to conv and linear, their intervals, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from spikelet.base.codes import has_zero, stored, top_code
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.reference import Reference
from tests.artifact_parts import odd_graph
from tests.meaning import meaning
from tests.nodes import conv, linear
from tests.small_edges import graph_of


def odd_codes(rng: np.random.Generator, bits: int, *shape: int) -> np.ndarray:
    return 2 * rng.integers(0, 2**bits, shape) - (2**bits - 1)


@pytest.mark.parametrize(
    ("bits", "grid", "top", "zero"),
    [
        (1, "symmetric", 1, False),
        (2, "symmetric", 1, True),
        (8, "symmetric", 127, True),
        (2, "odd", 3, False),
        (4, "odd", 15, False),
        (8, "odd", 255, False),
        (2, "full", 2, True),
        (8, "full", 128, True),
    ],
)
def test_a_grid_by_hand(bits: int, grid: str, top: int, zero: bool) -> None:
    assert (top_code(bits, grid), has_zero(bits, grid)) == (top, zero)


def test_the_example_of_the_specification_holds() -> None:
    node = linear("fc", ("x",), np.array([[3, -1, -3], [1, 1, 3]], np.int8), 2, "odd")
    x = np.array([10, 20, 30])[None, None]
    assert meaning(node, x, T=1)[0, 0].tolist() == [-80, 120]
    wide = dataclasses.replace(node, weight=stored(np.array([[255, -255, 1]]), 8, "odd"), bits=8)
    assert meaning(wide, x, T=1)[0, 0].tolist() == [-2520]


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("groups", [1, 3])
def test_bytes_that_match_the_weights_signs_reach_both_ends(bits: int, groups: int) -> None:
    rng = np.random.default_rng([bits, groups])
    weight = odd_codes(rng, bits, 6, 6 // groups, 3, 3)
    layer = conv("c", ("x",), weight, bits, (1, 1), (0, 0), groups, "odd")
    graph = graph_of(
        ir.Input("x", (), (6, 3, 3)), layer, ir.Flatten("f", ("c",)), ir.SumTime("y", ("f",)), time_steps=2
    )
    edge = analyse(graph)["c"]
    for o in range(6):
        first = o // (6 // groups) * (6 // groups)
        for sign, end in ((1, edge.high), (-1, edge.low)):
            x = np.zeros((1, 6, 3, 3), np.uint8)
            x[0, first : first + 6 // groups] = np.where(sign * weight[o].astype(int) > 0, 255, 0)
            assert Reference(graph).edges(x)["c"][0, 0, o, 0, 0] == end[o]


def changed(which: str, /, **fields: Any) -> ir.IntGraph:
    """The graph of format 2 with fields of one node changed."""
    graph = odd_graph()
    nodes = tuple(dataclasses.replace(n, **fields) if n.name == which else n for n in graph.nodes)
    return dataclasses.replace(graph, nodes=nodes)


def codes(value: int, dtype: type = np.int8) -> np.ndarray:
    return np.full((2, 20), value, dtype)


@pytest.mark.parametrize(
    ("node", "fields", "message"),
    [
        ("fc", {"grid": "even"}, "fc: grid must be 'symmetric', 'odd' or 'full', got 'even'"),
        ("fc", {"grid": None}, "fc: grid must be 'symmetric', 'odd' or 'full', got None"),
        ("fc", {"bits": 1, "weight": codes(0)}, "fc: grid must be 'symmetric' at 1 bit, got 'odd'"),
        ("fc", {"weight": codes(16)}, r"fc: weight must be -16\.\.15 \(w of the code 2 w \+ 1\), got 16\.\.16"),
        ("fc", {"weight": codes(-17)}, r"fc: weight must be -16\.\.15 \(w of the code 2 w \+ 1\), got -17\.\.-17"),
        ("fc", {"weight": codes(1, np.int16)}, "fc: weight dtype must be int8, got int16"),
        ("c3", {"weight": np.full((4, 4, 1, 1), 2, np.int8)}, r"c3: weight must be "),
    ],
)
def test_weights_off_their_grid_are_refused(node: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        analyse(changed(node, **fields))
