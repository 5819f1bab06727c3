"""The name that was probably meant, where another one was given."""

from __future__ import annotations

import difflib
from collections.abc import Iterable

LONGEST = 100  # characters of what was given that are compared: the time grows with their square


def meant(word: object, names: Iterable[str]) -> str:
    """The question " Did you mean 'digits'?", of the closest of `names`, to end a text with; "" where none is close."""
    near = difflib.get_close_matches(str(word)[:LONGEST], list(names), n=1)
    return f" Did you mean {near[0]!r}?" if near else ""
