"""Counts of values in narrow bins: any size, any order, any batches."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from spikelet.base.errors import ConversionError
from spikelet.conversion.ordinary.histogram import Histogram

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False, allow_subnormal=False)


def counted(*batches: Tensor) -> Histogram:
    histogram = Histogram("relu")
    for batch in batches:
        histogram.add(batch)
    return histogram


@given(st.lists(FLOATS, min_size=1, max_size=20))
def test_every_value_is_counted_within_its_256th_part(values: list[float]):
    middles, counts = counted(torch.tensor(values)).values_and_counts()
    assert int(counts.sum()) == len(values)
    for value in values:
        nearest = (middles - value).abs().min()
        assert nearest <= abs(value) / 256 + 2**-126


def test_batches_and_order_leave_no_trace():
    x = torch.randn(1000, generator=torch.Generator().manual_seed(0))
    whole = counted(x).counts
    assert torch.equal(whole, counted(x.flip(0)[:7], x.flip(0)[7:]).counts)
    assert torch.equal(whole, counted(x.view(10, 10, 10)).counts)


@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_what_is_no_finite_number_is_refused_by_the_layers_name(bad: float):
    with pytest.raises(ConversionError, match="relu was given NaN or infinity"):
        counted(torch.tensor([0.0, bad]))
