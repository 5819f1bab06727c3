"""Whole numbers that a caller passes: Python's and NumPy's alike, and no truth values."""

from __future__ import annotations

import numbers
import operator

from spikelet.base.errors import GraphError, SpikeletError
from spikelet.base.strict_json import shown

LARGEST = 1 << 20
"""More channels, classes or pixels a side than any network has; beyond it sizes of tensors leave the machine."""


def is_whole(value: object) -> bool:
    """Whether `value` is a whole number of Python or NumPy, and neither True nor False."""
    return isinstance(value, numbers.Integral) and not isinstance(value, bool)


def power_of_two_from(n: int) -> int:
    """The smallest power of two that is n or more, for n from 1."""
    return 1 << (n - 1).bit_length()


def whole(value: object, name: str, low: int, high: int | None = None, error: type[SpikeletError] = GraphError) -> int:
    """`value` as a Python integer: an int, a NumPy integer, or an array or tensor of one.

    Raises:
        SpikeletError: `error`, by the argument's `name`: it is a truth value, not whole, or outside low..high.
    """
    expected = f"from {low}" if high is None else f"from {low} to {high}"
    refused = error(f"{name} must be a whole number {expected}, got {shown(value)}.")
    if isinstance(value, bool) or str(getattr(value, "dtype", "")).endswith("bool"):
        raise refused
    try:
        number = operator.index(value)  # type: ignore[arg-type]
    except (TypeError, ValueError, RuntimeError):  # the last two: arrays and tensors of several
        raise refused from None
    if number < low or (high is not None and number > high):
        raise refused
    return number


def wholes(values: object, name: str, low: int, high: int, error: type[SpikeletError] = GraphError) -> tuple[int, ...]:
    """A list, tuple or array of whole numbers, one at least, as a tuple of ints. Errors as in `whole`."""
    listed = values.tolist() if hasattr(values, "tolist") else values  # type: ignore[union-attr]
    if not isinstance(listed, tuple | list) or not listed:
        raise error(f"{name} must list whole numbers from {low} to {high}, such as [64, 128], got {shown(values)}.")
    return tuple(whole(value, f"{name}[{i}]", low, high, error) for i, value in enumerate(listed))
