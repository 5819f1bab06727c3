"""Limits and how they are written."""

from __future__ import annotations

import pytest

from spikelet.base.words import parse_bytes
from spikelet.fitting import Budget, Choices


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("100000", 100_000),
        ("100k", 100_000),
        ("100 kB", 100_000),
        ("48K", 48_000),
        ("1.5M", 1_500_000),
        ("96Ki", 98_304),
        ("1Mi", 2**20),
    ],
)
def test_sizes_are_read_as_people_write_them(text: str, expected: int):
    assert parse_bytes(text) == expected


@pytest.mark.parametrize("text", ["", "k", "-3k", "0", "many", "1e999", "nan", "10 G"])
def test_a_text_that_is_no_size_is_refused(text: str):
    with pytest.raises(ValueError, match=r"a size must be a number of bytes such as 100000, 100k, 1\.5M or 96Ki, got"):
        parse_bytes(text)


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"max_bytes": 0}, r"Budget\.max_bytes must be a number above 0, got 0"),
        ({"max_sops": float("nan")}, r"Budget\.max_sops must be a number above 0, got nan"),
        ({"max_bytes": 1, "max_accuracy_drop": -1}, r"Budget\.max_accuracy_drop must be 0 or more"),
        ({}, "Budget needs max_bytes, or max_sops, or both"),
    ],
)
def test_a_limit_out_of_range_is_refused(limits: dict[str, float], message: str):
    with pytest.raises(ValueError, match=message):
        Budget(**limits)  # type: ignore[arg-type]


def test_a_budget_holds_up_to_its_limit():
    budget = Budget(max_bytes=100, max_sops=5.0)
    assert budget.holds(100, 5.0) and not budget.holds(101, 5.0) and not budget.holds(100, 5.1)


WRONG_CHOICES = [{"bits": (0,)}, {"first_last_bits": (1,)}, {"ratios": (0.5,)}, {"ratios": (0.0, 1.0)}]


@pytest.mark.parametrize("change", WRONG_CHOICES)
def test_choices_out_of_range_are_refused(change: dict[str, tuple[float, ...]]):
    with pytest.raises(ValueError, match="Choices"):
        Choices(**change)  # type: ignore[arg-type]
