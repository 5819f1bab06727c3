"""Odd codes (spec Q5): what they mean to conv and linear, their intervals, and what is refused."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest

from spikelet.base.codes import dtype_of, has_zero, top_code
from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.reference import MEANING, Reference
from tests.artifact_parts import odd_graph
from tests.small_edges import graph_of


def odd_codes(rng: np.random.Generator, bits: int, *shape: int) -> np.ndarray:
    return (2 * rng.integers(0, 2**bits, shape) - (2**bits - 1)).astype(dtype_of(bits, "odd"))


@pytest.mark.parametrize(
    ("bits", "grid", "top", "zero", "dtype"),
    [
        (1, "symmetric", 1, False, np.int8),
        (2, "symmetric", 1, True, np.int8),
        (8, "symmetric", 127, True, np.int8),
        (2, "odd", 3, False, np.int8),
        (4, "odd", 15, False, np.int8),
        (7, "odd", 127, False, np.int8),
        (8, "odd", 255, False, np.int16),
    ],
)
def test_a_grid_by_hand(bits: int, grid: str, top: int, zero: bool, dtype: type) -> None:
    assert (top_code(bits, grid), has_zero(bits, grid), dtype_of(bits, grid)) == (top, zero, dtype)


def test_the_example_of_the_specification_holds() -> None:
    node = ir.Linear("fc", ("x",), np.array([[3, -1, -3], [1, 1, 3]], np.int8), 2, "odd")
    x = np.array([10, 20, 30])[None, None]
    assert MEANING[ir.Linear](node, x, T=1)[0, 0].tolist() == [-80, 120]
    wide = dataclasses.replace(node, weight=np.array([[255, -255, 1]], np.int16), bits=8)
    assert MEANING[ir.Linear](wide, x, T=1)[0, 0].tolist() == [-2520]


@pytest.mark.parametrize("bits", range(2, 9))
@pytest.mark.parametrize("groups", [1, 3])
def test_bytes_that_match_the_weights_signs_reach_both_ends(bits: int, groups: int) -> None:
    rng = np.random.default_rng([bits, groups])
    weight = odd_codes(rng, bits, 6, 6 // groups, 3, 3)
    conv = ir.Conv("c", ("x",), weight, bits, (1, 1), (0, 0), groups, "odd")
    graph = graph_of(ir.Input("x", (), (6, 3, 3)), conv, ir.Flatten("f", ("c",)), ir.SumTime("y", ("f",)), time_steps=2)
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


def codes(value: int, dtype: type = np.int8, *shape: int) -> np.ndarray:
    return np.full(shape or (2, 20), value, dtype)


@pytest.mark.parametrize(
    ("node", "fields", "message"),
    [
        ("fc", {"grid": "even"}, "fc: grid must be 'symmetric' or 'odd', got 'even'"),
        ("fc", {"grid": None}, "fc: grid must be 'symmetric' or 'odd', got None"),
        ("fc", {"bits": 1, "weight": codes(1)}, "fc: grid must be 'symmetric' at 1 bit, got 'odd'"),
        ("fc", {"weight": codes(2)}, r"fc: weight codes must be -31\.\.31, all odd, got 2\.\.2"),
        ("fc", {"weight": codes(0)}, r"fc: weight codes must be -31\.\.31, all odd, got 0\.\.0"),
        ("fc", {"weight": codes(33)}, r"fc: weight codes must be -31\.\.31, all odd, got 33\.\.33"),
        ("fc", {"weight": codes(-33)}, r"fc: weight codes must be -31\.\.31, all odd, got -33\.\.-33"),
        ("fc", {"weight": codes(1, np.int16)}, "fc: weight dtype must be int8, got int16"),
        ("c1", {"weight": codes(1, np.int8, 3, 2, 3, 3)}, "c1: weight dtype must be int16, got int8"),
        ("c1", {"weight": codes(256, np.int16, 3, 2, 3, 3)}, r"c1: weight codes must be -255\.\.255, all odd"),
        ("c1", {"weight": codes(257, np.int16, 3, 2, 3, 3)}, r"c1: weight codes must be -255\.\.255, all odd"),
        ("c3", {"grid": "odd"}, r"c3: weight codes must be -3\.\.3, all odd, got -1\.\.1"),
    ],
)
def test_codes_off_their_grid_are_refused(node: str, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(GraphError, match=message):
        analyse(changed(node, **fields))
