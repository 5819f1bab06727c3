"""The ground under a transparent picture for a packed file: the one asked for, else the one of its training."""

from __future__ import annotations

import json
from collections.abc import Mapping

from spikelet.base.ground import WHITE, Ground

MAX_OPTIONS = 4096  # characters that the options of a data set may have


def ground_for(meta: Mapping[str, str], asked: str | None) -> Ground:
    """The ground of the colour `asked`, else of the data options in a packed file's `meta`, else white.

    Raises:
        SpikeletError: `asked` is not a colour. What `meta` says of itself is no reason to fail.
    """
    name = _trained_on(meta) if asked is None else asked
    return WHITE if name is None else Ground.named(name)


def _trained_on(meta: Mapping[str, str]) -> str | None:
    try:
        text = meta.get("data_options", "")
        return str(Ground.named(json.loads(text)["ground"])) if 0 < len(text) <= MAX_OPTIONS else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
