"""The numbers of a configuration: plain Python ones, in range, refused by their owner's and their field's name.

plain   np.float32(1e-3), np.int64(3), np.bool_(True), arrays and tensors of no axis -> float, int, bool
whole   an int, never a bool, in low .. high                 number   an int or float, never a bool, finite
seed    a whole number from 0 to 2^32 - 1, everywhere

One argument of a function, which may be NumPy's, is whole.py's.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any

from spikelet.base.errors import SpikeletError
from spikelet.base.strict_json import shown

MAX_WHOLE = 2**31 - 1
MAX_SEED = 2**32 - 1
MAX_DEPTH = 16  # of lists and dicts in each other


def plain(value: Any, what: str, depth: int = 0) -> Any:
    """`value` with every NumPy scalar, array or tensor as a Python value; containers are copied.

    Args:
        value: a setting, or dicts, lists and tuples of such.
        what: its name, for the error.
        depth: of the containers around it.
    Raises:
        SpikeletError: it is nested too deep to be written down.
    """
    if depth > MAX_DEPTH:
        raise SpikeletError(f"{what} must not nest lists and dicts deeper than {MAX_DEPTH}.")
    if isinstance(value, dict):
        return {plain(k, what, depth + 1): plain(v, what, depth + 1) for k, v in value.items()}
    if type(value) in (list, tuple):
        return type(value)(plain(item, what, depth + 1) for item in value)
    return value.tolist() if hasattr(value, "shape") and hasattr(value, "tolist") else value


def make_plain(settings: Any) -> None:
    """Replaces every field of a frozen dataclass by its plain value; called first in `__post_init__`."""
    for field in dataclasses.fields(settings):
        what = f"{type(settings).__name__}.{field.name}"
        object.__setattr__(settings, field.name, plain(getattr(settings, field.name), what))


def whole_numbers(owner: str, low: int = 1, high: int = MAX_WHOLE, unit: str = "", **values: Any) -> None:
    """Raises SpikeletError unless every value is a whole number in low .. high; names the owner and the field."""
    for name, value in values.items():
        if type(value) is not int or value < low:
            raise SpikeletError(f"{owner}.{name} must be a whole number{unit} from {low} on, got {shown(value)}.")
        if value > high:
            raise SpikeletError(f"{owner}.{name} must be at most {high}, got {shown(value)}.")


def seed(owner: str, **values: Any) -> None:
    """Raises SpikeletError unless every value is a seed: a whole number from 0 to 2^32 - 1."""
    whole_numbers(owner, 0, MAX_SEED, **values)


def positive(owner: str, **values: Any) -> None:
    """Raises SpikeletError unless every value is a finite number above 0; names the owner and the field."""
    for name, value in values.items():
        if not _is_finite(value) or value <= 0:
            raise SpikeletError(f"{owner}.{name} must be a number above 0, got {shown(value)}.")


def not_negative(owner: str, unit: str = "", **values: Any) -> None:
    """Raises SpikeletError unless every value is a finite number from 0 on; names the owner and the field."""
    for name, value in values.items():
        if not _is_finite(value) or value < 0:
            raise SpikeletError(f"{owner}.{name} must be 0 or more{unit}, got {shown(value)}.")


def share(owner: str, hint: str = "", **values: Any) -> None:
    """Raises SpikeletError unless every value is a number from 0 to below 1; names the owner and the field."""
    for name, value in values.items():
        if not _is_finite(value) or not 0 <= value < 1:
            raise SpikeletError(f"{owner}.{name} must lie in [0, 1), got {shown(value)}.{hint}")


def flag(owner: str, **values: Any) -> None:
    """Raises SpikeletError unless every value is True or False; names the owner and the field."""
    for name, value in values.items():
        if type(value) is not bool:
            raise SpikeletError(f"{owner}.{name} must be True or False, got {shown(value)}.")


def one_of(owner: str, choices: Any, **values: Any) -> None:
    """Raises SpikeletError unless every value is one of the strings `choices`; names the owner and the field."""
    for name, value in values.items():
        if not isinstance(value, str) or value not in choices:
            raise SpikeletError(f"{owner}.{name} must be one of {choices}, got {shown(value)}.")


def instance(owner: str, kind: type, **values: Any) -> None:
    """Raises SpikeletError unless every value is a `kind`; names the owner and the field."""
    for name, value in values.items():
        if not isinstance(value, kind):
            raise SpikeletError(f"{owner}.{name} must be a {kind.__name__}, got {shown(value)}.")


def _is_finite(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= 1e300 and math.isfinite(value)
