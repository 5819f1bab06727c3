"""Rounding, the grid of currents, and gains as m * 2^-e: against Python's exact fractions."""

from __future__ import annotations

import math
from fractions import Fraction

import pytest
import torch

from spikelet.quant.grid import (
    FRACTION_BITS,
    floor_to_grid,
    round_half_up,
    round_to_grid,
    snap_gain,
    split_gain,
    straight_through,
)

STEP = 2.0**-FRACTION_BITS


def test_halves_round_up():
    assert round_half_up(torch.tensor([0.5, -0.5, 1.5, -1.5, 2.4, -2.6])).tolist() == [1, 0, 2, -1, 2, -3]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_every_value_on_the_grid_stays_where_it_is(dtype: torch.dtype):
    integers = torch.cat([torch.randint(-(2**24), 2**24, (10_000,)), torch.arange(2**24 - 100, 2**24)])
    x = integers.to(dtype) * STEP
    assert torch.equal(round_to_grid(x), x)
    assert torch.equal(floor_to_grid(x), x)


def test_rounding_to_the_grid_is_exact_for_every_float():
    x = torch.cat([torch.randn(800) * 10.0 ** torch.randint(-6, 4, (800,)), torch.tensor([0.49999997 * STEP])])
    for value, rounded, floored in zip(x.tolist(), round_to_grid(x).tolist(), floor_to_grid(x).tolist(), strict=True):
        units = Fraction(value) / Fraction(STEP)
        assert rounded == math.floor(units + Fraction(1, 2)) * STEP
        assert floored == math.floor(units) * STEP


def test_rounding_keeps_the_dtype():
    for dtype in (torch.float32, torch.float64):
        assert round_to_grid(torch.zeros(2, dtype=dtype)).dtype == dtype
        assert floor_to_grid(torch.zeros(2, dtype=dtype)).dtype == dtype


def test_a_gain_is_its_nearest_15_bit_mantissa():
    gains = torch.cat(
        [
            torch.randn(800, dtype=torch.float64) * 2.0 ** torch.randint(-60, 60, (800,)),
            torch.tensor([1.0, -1.0, 0.99999, -0.99999, 2.0**-1000, 32767.5 / 32768], dtype=torch.float64),
        ]
    )
    m, e = split_gain(gains)
    assert (m.abs() >= 2**14).all()
    assert (m.abs() < 2**15).all()
    for gain, mantissa, exponent in zip(gains.tolist(), m.tolist(), e.tolist(), strict=True):
        snapped = Fraction(mantissa) / Fraction(2) ** exponent
        assert abs(snapped - Fraction(gain)) <= abs(Fraction(gain)) / 2**15


def test_snapping_a_gain_twice_changes_nothing():
    snapped = snap_gain(torch.randn(1000, dtype=torch.float64))
    assert torch.equal(snap_gain(snapped), snapped)


def test_the_gain_zero_is_zero():
    m, e = split_gain(torch.tensor([0.0, -0.0]))
    assert m.tolist() == [0, 0]
    assert e.tolist() == [0, 0]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_gain_that_is_no_number_is_refused(value: float):
    with pytest.raises(ValueError, match=f"gain must be finite, got {value}"):
        split_gain(torch.tensor([1.0, value]))


def test_straight_through_gives_the_value_exactly_and_the_gradient_untouched():
    x = torch.randn(100, requires_grad=True)
    value = torch.randn(100)
    y = straight_through(x, value)
    assert torch.equal(y, value)
    y.backward(torch.arange(100.0))
    assert x.grad is not None
    assert torch.equal(x.grad, torch.arange(100.0))
