"""One JSON text per value, and a reader that accepts no more than it must.

Written: keys sorted, no spaces, integers and strings only, characters beyond ASCII as they are.
Read: duplicate keys, fractions, NaN, Infinity and anything that isn't JSON are refused.
"""

from __future__ import annotations

import json
from typing import Any, NoReturn

from spikelet.base.errors import ArtifactError


def canonical(value: Any) -> str:
    """The one text of `value` (dicts, lists, strings, integers, None)."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def strict(text: str, what: str) -> Any:
    """The value of a JSON text.

    Args:
        text: the JSON.
        what: its name in error messages.
    Raises:
        ArtifactError: not JSON, a key that repeats, a number that is no integer, or nested too deep.
    """

    def unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        value: dict[str, Any] = {}
        for name, item in pairs:
            if name in value:
                raise ArtifactError(f"{what}: the key {shown(name)} appears twice.")
            value[name] = item
        return value

    def no_fraction(number: str) -> NoReturn:
        raise ArtifactError(f"{what}: numbers must be integers, got {number[:40]}.")

    try:
        return json.loads(text, object_pairs_hook=unique, parse_float=no_fraction, parse_constant=no_fraction)
    except ArtifactError:
        raise
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{what}: not valid JSON ({error}).") from None


def fields(value: Any, names: set[str], what: str) -> dict[str, Any]:
    """`value`, checked to be an object with exactly the fields `names`.

    Raises:
        ArtifactError: names the first missing or unknown field.
    """
    if not isinstance(value, dict):
        raise ArtifactError(f"{what}: must be an object, got {shown(value)}.")
    for name in sorted(names - value.keys()):
        raise ArtifactError(f"{what}: the field {name!r} is missing.")
    for name in sorted(value.keys() - names):
        raise ArtifactError(f"{what}: unknown field {name!r}; known are {', '.join(sorted(names))}.")
    return value


def integer(value: Any, what: str, low: int = 0, high: int = 2**31 - 1) -> int:
    """`value`, checked to be an integer in low..high (true and false are not)."""
    if type(value) is not int or not low <= value <= high:
        raise ArtifactError(f"{what}: must be an integer from {low} to {high}, got {shown(value)}.")
    return value


def integers(value: Any, what: str, length: tuple[int, int], low: int = 0) -> tuple[int, ...]:
    """`value`, checked to be a list of length[0] to length[1] integers from `low` up."""
    if not isinstance(value, list) or not length[0] <= len(value) <= length[1]:
        few = str(length[0]) if length[0] == length[1] else f"{length[0]} to {length[1]}"
        raise ArtifactError(f"{what}: must be a list of {few} integers, got {shown(value)}.")
    return tuple(integer(v, what, low) for v in value)


def string(value: Any, what: str) -> str:
    """`value`, checked to be a string that UTF-8 can hold."""
    if not isinstance(value, str):
        raise ArtifactError(f"{what}: must be a string, got {shown(value)}.")
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        raise ArtifactError(f"{what}: must be valid Unicode, got {shown(value)}.") from None
    return value


def shown(value: Any) -> str:
    """A value as error messages show it: short."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
