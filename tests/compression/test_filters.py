"""Filters choose layers by name, type and place, and combine."""

from __future__ import annotations

import pytest
from torch import nn

from spikelet.compression import CompressionError
from spikelet.compression.filters import Filter, by_name, by_type, everything, first, last, select
from spikelet.nn import Conv2d, Linear
from spikelet.quant import Uniform

LAYERS: list[tuple[str, nn.Module]] = [
    ("stem", Conv2d(1, 1, 3, Uniform(4))),
    ("features.0", nn.Conv2d(1, 1, 3)),
    ("features.1", Conv2d(1, 1, 3, Uniform(4))),
    ("head", Linear(1, 1, Uniform(4))),
]


@pytest.mark.parametrize(
    ("where", "chosen"),
    [
        (everything(), [0, 1, 2, 3]),
        (first(), [0]),
        (last(), [3]),
        (by_name("features.*"), [1, 2]),
        (by_name("stem", "head"), [0, 3]),
        (by_name("features"), None),
        (by_name("HEAD"), None),
        (by_type(nn.Linear), [3]),
        (by_type(Conv2d), [0, 2]),
        (by_type(nn.Conv2d, Linear), [0, 1, 2, 3]),
        (~first() & ~last(), [1, 2]),
        (by_type(Linear) | first(), [0, 3]),
        (~(first() | last()), [1, 2]),
        (by_name("features.*") & by_type(Conv2d), [2]),
        (~everything(), None),
    ],
    ids=str,
)
def test_a_filter_chooses(where: Filter, chosen: list[int] | None):
    if chosen is None:
        with pytest.raises(CompressionError, match="matches no layer"):
            select(LAYERS, where, "Pass")
    else:
        assert select(LAYERS, where, "Pass") == [LAYERS[i] for i in chosen]


def test_a_filter_that_matches_nothing_says_what_there_is():
    with pytest.raises(
        CompressionError,
        match=r"Prune\.where: the filter \(by_name\('x\*', 'y'\) & ~last\(\)\) matches no layer\. "
        r"The model's layers are: stem, features\.0, features\.1, head\.",
    ):
        select(LAYERS, by_name("x*", "y") & ~last(), "Prune.where")


def test_filters_read_as_they_are_written_and_serve_as_keys():
    assert str(by_type(Linear) | ~first() & by_name("a")) == "(by_type(Linear) | (~first() & by_name('a')))"
    assert {by_name("a"): 1, by_name("a"): 2, last(): 3} == {by_name("a"): 2, last(): 3}


def test_the_only_layer_is_the_first_and_the_last():
    assert select(LAYERS[:1], first() & last(), "Pass") == LAYERS[:1]
