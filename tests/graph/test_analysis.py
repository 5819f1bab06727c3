"""Intervals hold for every input, are reached where that is possible, and what does not fit is refused by name."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from spikelet.base.errors import GraphError, OverflowRefused
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from spikelet.graph.reference import Reference
from tests.artifact_parts import small_graph
from tests.nodes import conv, linear
from tests.random_graphs import random_graph, random_input
from tests.small_edges import X1, constant, graph_of

# --- intervals are sound, and tight where they can be -----------------------------------------------


@pytest.mark.parametrize("seed", range(40))
def test_no_value_of_a_random_graph_leaves_its_interval(seed: int) -> None:
    graph = random_graph(seed)
    edges = analyse(graph)
    for batch in (1, 2):
        for name, values in Reference(graph).edges(random_input(graph, 2, 100 * seed + batch)).items():
            edge = edges[name]
            assert values.shape[2:] == edge.shape
            assert values.shape[0] == 1 or edge.timed
            bounds = (-1,) + (1,) * (len(edge.shape) - 1)
            assert (values >= edge.low.reshape(bounds)).all(), name
            assert (values <= edge.high.reshape(bounds)).all(), name


@pytest.mark.parametrize("bits", [1, 2, 3, 4, 8])
@pytest.mark.parametrize("groups", [1, 3])
@pytest.mark.parametrize("padding", [0, 1])
def test_bytes_that_match_the_weights_signs_reach_both_ends_of_a_convolution(
    bits: int, groups: int, padding: int
) -> None:
    rng = np.random.default_rng([bits, groups, padding])
    top = 1 if bits == 1 else 2 ** (bits - 1) - 1
    weight = rng.integers(-top, top + 1, (6, 6 // groups, 3, 3))
    weight = np.where((weight == 0) & (bits == 1), 1, weight).astype(np.int8)
    layer = conv("c", ("x",), weight, bits, (1, 1), (padding, padding), groups)
    graph = graph_of(
        ir.Input("x", (), (6, 3, 3)), layer, ir.Flatten("f", ("c",)), ir.SumTime("y", ("f",)), time_steps=2
    )
    edge = analyse(graph)["c"]
    centre = padding  # the one position whose window lies inside
    for o in range(6):
        first = o // (6 // groups) * (6 // groups)
        for sign, end in ((1, edge.high), (-1, edge.low)):
            x = np.zeros((1, 6, 3, 3), np.uint8)
            x[0, first : first + 6 // groups] = np.where(sign * weight[o].astype(int) > 0, 255, 0)
            assert Reference(graph).edges(x)["c"][0, 0, o, centre, centre] == end[o]


def test_extreme_bytes_reach_both_ends_of_a_whole_chain() -> None:
    rng = np.random.default_rng(5)
    weight = rng.integers(-127, 128, (4, 9)).astype(np.int8)
    m, s = np.array([3, -5, 7, 0], np.int32), np.array([4, 3, 0, 1], np.uint8)
    nodes = (
        ir.Input("x", (), (9,)),
        linear("fc", ("x",), weight, 8),
        ir.Affine("a", ("fc",), m, s, np.array([1, -2, 3, -4], np.int32)),
        ir.Add("sum", ("a", "a", "fc")),
        ir.SumTime("y", ("sum",)),
    )
    edges = analyse(graph_of(*nodes, time_steps=3))
    for o, sign in itertools.product(range(4), (1, -1)):
        x = np.where(sign * weight[o].astype(int) > 0, 255, 0).astype(np.uint8)[None]
        values = Reference(graph_of(*nodes, time_steps=3)).edges(x)
        for name in ("fc", "a"):
            assert values[name][0, 0, o] in (edges[name].low[o], edges[name].high[o])
        if m[o] >= 0:  # else the sum's terms pull in opposite directions, and the interval is wider than needed
            assert values["y"][0, 0, o] == (edges["y"].high[o] if sign > 0 else edges["y"].low[o])


def test_full_bytes_reach_the_ends_of_pools() -> None:
    nodes = (
        ir.Input("x", (), (2, 4, 4)),
        ir.MaxPool("max", ("x",), 3, 1, 1),
        ir.SumPool("sum", ("max",), 2),
        ir.Flatten("f", ("sum",)),
        ir.SumTime("y", ("f",)),
    )
    graph = graph_of(*nodes, time_steps=7)
    for byte in (0, 255):
        values = Reference(graph).edges(np.full((1, 2, 4, 4), byte, np.uint8))
        for name, edge in analyse(graph).items():
            assert set(np.unique(values[name])) <= {edge.high.max() if byte else edge.low.min()}


def test_a_convolutions_interval_holds_zero_for_its_padding_and_its_partial_sums() -> None:
    weight = np.full((1, 1, 1, 3), -1, np.int8)
    nodes = [ir.Input("x", (), (1, 1, 5)), constant("a", "x", 100)]
    for padding, expected in ((0, (-300, 0)), (1, (-300, 0))):
        layer = conv("c", ("a",), weight, 1, (1, 1), (0, padding), 1)
        edge = analyse(graph_of(*nodes, layer, ir.Flatten("f", ("c",)), ir.SumTime("y", ("f",))))["c"]
        assert (edge.low[0], edge.high[0]) == expected


def test_edges_know_shape_size_time_and_whether_they_are_spikes() -> None:
    edges = analyse(small_graph())
    assert {n: e.shape for n, e in edges.items()} == {
        "x": (2, 4, 4), "c1": (3, 4, 4), "b1": (3, 4, 4), "s1": (3, 4, 4), "c2": (3, 4, 4), "b2": (3, 4, 4),
        "s2": (3, 4, 4), "sum": (3, 4, 4), "max": (3, 2, 2), "pool": (3, 2, 2), "flat": (12,),
        "fc": (2,), "logits": (2,),
    }  # fmt: skip
    assert edges["c1"].size == 48
    assert [n for n, e in edges.items() if not e.timed] == ["logits"]
    assert [n for n, e in edges.items() if e.is_spikes] == ["s1", "s2"]


# --- every other refusal ----------------------------------------------------------------------------


def _changed(which: str, /, **fields: Any) -> ir.IntGraph:
    """The small graph with fields of one node changed."""
    graph = small_graph()
    nodes = tuple(dataclasses.replace(n, **fields) if n.name == which else n for n in graph.nodes)
    return dataclasses.replace(graph, nodes=nodes)


def _codes(*shape: int, value: int = 1) -> np.ndarray:
    return np.full(shape, value, np.int8)


def _after_sumtime(*nodes: ir.Operation) -> ir.IntGraph:
    return graph_of(ir.Input("x", (), (2,)), ir.SumTime("t", ("x",)), *nodes)


REFUSED: dict[str, tuple[Callable[[], ir.IntGraph], str]] = {
    "no nodes": (lambda: graph_of(), "a graph needs at least one node, got none"),
    "no time steps": (lambda: graph_of(X1, time_steps=0), "time_steps must be 1 to 1024, got 0"),
    "1025 time steps": (lambda: graph_of(X1, time_steps=1025), "time_steps must be 1 to 1024, got 1025"),
    "a scale of 0": (lambda: graph_of(X1, logit_scale=0.0), "logit_scale must be a positive finite number, got 0.0"),
    "a scale of NaN": (lambda: graph_of(X1, logit_scale=float("nan")), "logit_scale must be .* got nan"),
    "an infinite scale": (lambda: graph_of(X1, logit_scale=float("inf")), "logit_scale must be .* got inf"),
    "a node without name": (lambda: _changed("flat", name=""), "node names must be unique and not empty, got ''"),
    "a name twice": (
        lambda: _changed("flat", name="fc"),
        "node names must be unique and not empty, got 'fc' twice",
    ),
    "no input": (lambda: graph_of(ir.Flatten("f", ())), "f: exactly the first node must be the input"),
    "two inputs": (lambda: graph_of(X1, ir.Input("z", (), (1,))), "z: exactly the first node must be the input"),
    "an unknown source": (lambda: _changed("fc", inputs=("flut",)), "fc: reads 'flut', which no earlier node makes"),
    "itself as a source": (lambda: _changed("fc", inputs=("fc",)), "fc: reads 'fc', which no earlier node makes"),
    "a later source": (lambda: _changed("fc", inputs=("logits",)), "fc: reads 'logits', which no earlier node makes"),
    "an input that reads": (lambda: graph_of(ir.Input("x", ("x",), (1,))), "x: reads 'x', which no earlier node makes"),
    "a source too few": (lambda: _changed("fc", inputs=()), "fc: takes 1 to 1 inputs, got 0"),
    "a source too many": (lambda: _changed("fc", inputs=("flat", "flat")), "fc: takes 1 to 1 inputs, got 2"),
    "an add of one": (lambda: _changed("sum", inputs=("s1",)), "sum: takes 2 to 64 inputs, got 1"),
    "an add of 65": (lambda: _changed("sum", inputs=("s1",) * 65), "sum: takes 2 to 64 inputs, got 65"),
    "an edge of 2^32 values": (
        lambda: graph_of(ir.Input("x", (), (1, 65536, 65536))),
        r"x: its output shape \(1, 65536, 65536\) is empty or too large",
    ),
    "an end that is a map": (
        lambda: graph_of(ir.Input("x", (), (2, 1, 1)), ir.SumTime("t", ("x",))),
        r"t: the first output must be one vector of logits, got \(2, 1, 1\)\.",
    ),
    "too many labels": (
        lambda: graph_of(X1, ir.SumTime("t", ("x",)), labels=("a", "b")),
        "labels must name 1 classes, got 2",
    ),
    "an input of two axes": (lambda: graph_of(ir.Input("x", (), (2, 3))), r"x: shape must be \(C, H, W\) or \(F,\)"),
    "an input of no width": (lambda: graph_of(ir.Input("x", (), (2, 3, 0))), "x: shape must be"),
    "an input of 65537 rows": (lambda: graph_of(ir.Input("x", (), (2, 65537, 1))), "x: shape must be .* to 65536 each"),
    "bits of 0": (lambda: _changed("c1", bits=0), "c1: bits must be 1 to 8, got 0"),
    "bits of 9": (lambda: _changed("fc", bits=9), "fc: bits must be 1 to 8, got 9"),
    "weights that are int16": (
        lambda: _changed("fc", weight=np.ones((2, 12), np.int16)),
        "fc: weight dtype must be int8",
    ),
    "weights of no rows": (lambda: _changed("fc", weight=_codes(0, 12)), "fc: weight shape must be not empty"),
    "a 1-bit code of 3": (
        lambda: _changed("c1", weight=_codes(3, 2, 3, 3, value=1)),
        r"c1: weight must be -1\.\.0 \(w of the code 2 w \+ 1\), got 1\.\.1",
    ),
    "a 2-bit code of -2": (
        lambda: _changed("c2", weight=_codes(3, 1, 1, 1, value=-2)),
        r"c2: weight must be -1\.\.1, got -2\.\.-2",
    ),
    "an 8-bit code of -128": (
        lambda: _changed("fc", weight=_codes(2, 12, value=-128)),
        r"fc: weight must be -127\.\.127, got -128\.\.-128",
    ),
    "a convolution of a vector": (
        lambda: graph_of(X1, conv("c", ("x",), _codes(1, 1, 1, 1), 1, (1, 1), (0, 0), 1)),
        r"c: input shape must be \(C, H, W\), got \(1,\)",
    ),
    "a convolution of rank 3": (
        lambda: _changed("c1", weight=_codes(3, 2, 9, value=0)),
        r"c1: weight shape must be \[O, I, kh, kw\]",
    ),
    "groups of 0": (
        lambda: _changed("c1", groups=0),
        "c1: groups must be a divisor that gives 2 input channels, got 0",
    ),
    "groups that don't divide the output": (lambda: _changed("c1", groups=2), "c1: groups must be a divisor"),
    "groups that miss input channels": (lambda: _changed("c2", groups=1), "c2: groups must be a divisor that gives 3"),
    "a stride of 0": (lambda: _changed("c1", stride=(0, 1)), r"c1: stride must be 1 to 64, got \(0, 1\)"),
    "a stride of 65": (lambda: _changed("c1", stride=(1, 65)), "c1: stride must be 1 to 64"),
    "a negative padding": (lambda: _changed("c1", padding=(-1, 0)), "c1: padding must be 0 to less than the kernel"),
    "a padding of the kernel": (
        lambda: _changed("c1", padding=(1, 3)),
        "c1: padding must be 0 to less than the kernel",
    ),
    "a kernel above its input": (
        lambda: _changed("c1", weight=_codes(3, 2, 7, 3, value=0), padding=(1, 1)),
        r"c1: kernel must be no larger than the padded input \(4, 4\), got \(7, 3\)",
    ),
    "a linear of a map": (
        lambda: graph_of(ir.Input("x", (), (1, 1, 1)), linear("fc", ("x",), _codes(1, 1), 1)),
        r"fc: input shape must be \(F,\), got \(1, 1, 1\)",
    ),
    "a linear of other features": (lambda: _changed("fc", weight=_codes(2, 11)), r"fc: weight shape must be \[O, 12\]"),
    "a linear of rank 3": (lambda: _changed("fc", weight=_codes(2, 12, 1)), r"fc: weight shape must be \[O, 12\]"),
    "an affine of other channels": (
        lambda: _changed("b1", multiplier=np.ones(2, np.int32)),
        r"b1: multiplier must be int32 of shape \[1 or T, 1 or 3\], .* got int32 \(1, 2\)",
    ),
    "an affine of int64": (
        lambda: _changed("b1", offset=np.ones(3, np.int64)),
        r"b1: offset must be int32 of shape \[1 or T, 1 or 3\], .* got int64 \(1, 3\)",
    ),
    "a shift of int32": (lambda: _changed("b1", shift=np.ones(3, np.int32)), "b1: shift must be uint8 of shape"),
    "a shift of 63": (
        lambda: _changed("b1", shift=np.array([0, 63, 1], np.uint8)),
        "b1: shift must be 0 to 62, got 63",
    ),
    "an add of two shapes": (
        lambda: _changed("sum", inputs=("s1", "x")),
        r"sum: input shapes must be all the same, .* got \[\(3, 4, 4\), \(2, 4, 4\)\]",
    ),
    "an add across sumtime": (
        lambda: _after_sumtime(ir.Add("a", ("t", "x"))),
        "a: inputs must be all before or all after a sumtime",
    ),
    "a neuron after sumtime": (
        lambda: _after_sumtime(ir.Lif("s", ("t",), 1, 1, 0, 1, "hard", None)),
        "s: input must be before any sumtime, got t",
    ),
    "a sumtime after sumtime": (
        lambda: _after_sumtime(ir.SumTime("y", ("t",))),
        "y: input must be before any other sumtime, got t",
    ),
    "leak bits of 16": (lambda: _changed("s1", leak_bits=16), "s1: leak_bits must be 0 to 15, got 16"),
    "a leak above 1": (lambda: _changed("s1", leak=257), "s1: leak must be 0 to 256, got 257"),
    "a leak below 0": (lambda: _changed("s1", leak=-1), "s1: leak must be 0 to 256, got -1"),
    "a gain of 0": (lambda: _changed("s1", gain=0), "s1: gain must be 1 to 256, got 0"),
    "a gain above 1": (lambda: _changed("s2", gain=3), "s2: gain must be 1 to 2, got 3"),
    "a threshold of 0": (lambda: _changed("s1", threshold=0), r"s1: threshold must be 1 to 2\^31 - 1, got 0"),
    "a threshold of 2^31": (lambda: _changed("s1", threshold=2**31), r"s1: threshold must be 1 to 2\^31 - 1"),
    "a reset of its own": (lambda: _changed("s1", reset="zero"), "s1: reset must be 'hard', 'soft' or a whole number"),
    "a reset below 0": (lambda: _changed("s1", reset=-1), r"s1: reset must be 0 to 2\^31 - 1, got -1"),
    "a reset of 2^31": (lambda: _changed("s1", reset=2**31), r"s1: reset must be 0 to 2\^31 - 1, got 2147483648"),
    "a soft reset by number": (
        lambda: _changed("s2", reset=2),
        "s2: reset must be 'soft' where it is the threshold, got 2",
    ),
    "a reset that is true": (lambda: _changed("s1", reset=True), "s1: reset must be 'hard', 'soft' or a whole number"),
    "a membrane of 1 bit": (
        lambda: _changed("s1", membrane=ir.Membrane(1, 9)),
        "s1: membrane bits must be 2 to 8, got 1",
    ),
    "a membrane of 9 bits": (
        lambda: _changed("s1", membrane=ir.Membrane(9, 9)),
        "s1: membrane bits must be 2 to 8, got 9",
    ),
    "a membrane step of 1": (
        lambda: _changed("s1", membrane=ir.Membrane(2, 0)),
        "s1: membrane shift must be 1 to 22, got 0",
    ),
    "a membrane shift of 23": (
        lambda: _changed("s1", membrane=ir.Membrane(2, 23)),
        "s1: membrane shift must be 1 to 22, got 23",
    ),
    "a membrane of NumPy's numbers": (
        lambda: _changed("s1", membrane=ir.Membrane(np.int64(2), np.int64(9))),  # type: ignore[arg-type]
        "s1: membrane must be a plain Python number, got ",
    ),
    "a maximum over a vector": (
        lambda: graph_of(X1, ir.MaxPool("p", ("x",), 1, 1, 0)),
        r"p: input shape must be \(C, H, W\), got \(1,\)",
    ),
    "a maximum over nothing": (lambda: _changed("max", kernel=0), r"max: kernel must be 1 to 64, got \(0, 0\)"),
    "a maximum that stands still": (lambda: _changed("max", stride=0), r"max: stride must be 1 to 64, got \(0, 0\)"),
    "a padding beyond half the kernel": (
        lambda: _changed("max", padding=2),
        "max: padding must be 0 to half the kernel",
    ),
    "a maximum above its input": (
        lambda: _changed("max", kernel=7, padding=1),
        r"max: kernel must be no larger than the padded input \(4, 4\), got \(7, 7\)",
    ),
    "a sum over a vector": (
        lambda: graph_of(X1, ir.SumPool("p", ("x",), 1)),
        r"p: input shape must be \(C, H, W\), got \(1,\)",
    ),
    "a sum over nothing": (
        lambda: _changed("pool", kernel=0),
        r"pool: kernel must be 1 to the input's \(2, 2\), got \(0, 0\)",
    ),
    "a sum above its input": (
        lambda: _changed("pool", kernel=3),
        r"pool: kernel must be 1 to the input's \(2, 2\), got \(3, 3\)",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_graph_is_refused_that_has(case: str) -> None:
    make, message = REFUSED[case]
    with pytest.raises(GraphError, match=message):
        analyse(make())


def test_a_graph_that_does_not_start_with_its_input_has_none() -> None:
    with pytest.raises(GraphError, match="the first node must be an input, got Flatten 'f'"):
        _ = graph_of(ir.Flatten("f", ())).input


def test_a_refusal_is_a_value_error_of_the_package() -> None:
    assert issubclass(OverflowRefused, GraphError)
    assert issubclass(GraphError, ValueError)
