"""O11: channels by number, at a stride."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from spikelet.base.errors import GraphError
from spikelet.graph import ir
from spikelet.graph.analysis import analyse
from tests.meaning import meaning
from tests.small_edges import X1, constant, graph_of


def channel_map(source: Any, stride: int = 1, dtype: type = np.int16) -> ir.ChannelMap:
    return ir.ChannelMap("m", ("x",), np.array(source, dtype), stride)


def run(node: ir.ChannelMap, x: Any) -> list:
    return meaning(node, np.asarray(x, np.int64)[None, None], T=1)[0, 0].tolist()


def test_the_examples_of_the_specification_hold() -> None:
    x = [[[1, 2, 3], [4, 5, 6], [7, 8, 9]], [[-1, -2, -3], [-4, -5, -6], [-7, -8, -9]]]
    assert run(channel_map([1, -1, 0], 2), x) == [[[-1, -3], [-7, -9]], [[0, 0], [0, 0]], [[1, 3], [7, 9]]]
    assert run(channel_map([0, 0], 3), x) == [[[1]], [[1]]]
    assert run(channel_map([0, 1]), x) == x


@pytest.mark.parametrize("seed", range(20))
def test_it_is_the_choice_of_its_statement(seed: int) -> None:
    rng = np.random.default_rng(seed)
    c, h, w = rng.integers(1, 6, 3)
    source, stride = rng.integers(-1, c, rng.integers(1, 9)), int(rng.integers(1, 4))
    x = rng.integers(-99, 99, (c, h, w))
    expected = [
        [[0 if s < 0 else int(x[s, i, j]) for j in range(0, w, stride)] for i in range(0, h, stride)] for s in source
    ]
    assert run(channel_map(source, stride), x) == expected


def test_a_channels_interval_is_its_sources_or_zero() -> None:
    nodes = (
        ir.Input("x", (), (2, 3, 3)),
        constant("a", "x", 5, -7),
        ir.ChannelMap("m", ("a",), np.array([1, -1, 0, 1], np.int16), 2),
        ir.Flatten("f", ("m",)),
        ir.SumTime("y", ("f",)),
    )
    edge = analyse(graph_of(*nodes))["m"]
    assert edge.shape == (4, 2, 2)
    assert edge.low.tolist() == edge.high.tolist() == [-7, 0, 5, -7]


def test_spikes_stay_spikes() -> None:
    nodes = (
        ir.Input("x", (), (2, 3, 3)),
        ir.Lif("s", ("x",), 1, 1, 0, 9, "hard", None),
        ir.ChannelMap("m", ("s",), np.array([-1, 1], np.int16), 1),
        ir.Flatten("f", ("m",)),
        ir.SumTime("y", ("f",)),
    )
    assert analyse(graph_of(*nodes))["m"].is_spikes


@pytest.mark.parametrize(
    ("node", "message"),
    [
        (channel_map([2]), r"m: source must be -1\.\.1: channels of the input, or -1 for zeros, got 2\.\.2"),
        (channel_map([0, -2]), r"m: source must be -1\.\.1: channels of the input.* got -2\.\.0"),
        (channel_map([]), r"m: source must be int16 of shape \(C,\), not empty, got int16 \(0,\)"),
        (channel_map([[0]]), r"m: source must be int16 of shape \(C,\), not empty, got int16 \(1, 1\)"),
        (channel_map([0], dtype=np.int32), r"m: source must be int16 .* got int32 \(1,\)"),
        (channel_map([0], 0), "m: stride must be 1 to 64, got 0"),
        (channel_map([0], 65), "m: stride must be 1 to 64, got 65"),
    ],
)
def test_a_map_without_meaning_is_refused(node: ir.ChannelMap, message: str) -> None:
    with pytest.raises(GraphError, match=message):
        analyse(graph_of(ir.Input("x", (), (2, 3, 3)), node, ir.Flatten("f", ("m",)), ir.SumTime("y", ("f",))))


def test_a_map_of_a_vector_is_refused() -> None:
    with pytest.raises(GraphError, match=r"m: input shape must be \(C, H, W\), got \(1,\)"):
        analyse(graph_of(X1, channel_map([0]), ir.SumTime("y", ("m",))))
