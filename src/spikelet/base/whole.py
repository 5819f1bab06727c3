"""Whole numbers that a caller passes: Python's and NumPy's alike, and no truth values."""

from __future__ import annotations

import operator

from spikelet.base.errors import GraphError, SpikeletError


def whole(value: object, name: str, low: int, high: int | None = None, error: type[SpikeletError] = GraphError) -> int:
    """`value` as a Python integer: an int, a NumPy integer, or an array or tensor of one.

    Raises:
        SpikeletError: `error`, by the argument's `name`: it is a truth value, not whole, or outside low..high.
    """
    expected = f"from {low}" if high is None else f"from {low} to {high}"
    refused = error(f"{name} must be a whole number {expected}, got {_shown(value)}.")
    if isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool"):
        raise refused
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):  # the last two: arrays and tensors of several
        raise refused from None
    if number < low or (high is not None and number > high):
        raise refused
    return number


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
