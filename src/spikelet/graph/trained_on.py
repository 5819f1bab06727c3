"""What a graph's meta says of the data that its network was trained on. Meta is text by somebody: what does not read as
it should is left aside, and is no reason to fail."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

from spikelet.base.errors import SpikeletError
from spikelet.base.logmel import LogMel
from spikelet.graph.ir import IntGraph

MAX_OPTIONS = 4096  # characters that the options of a data set may have


def option_of(meta: Mapping[str, str], name: str) -> Any:
    """The option `name` with which a data set was read; None where `meta` does not say it."""
    text = meta.get("data_options", "")
    try:
        return json.loads(text)[name] if 0 < len(text) <= MAX_OPTIONS else None
    except (ValueError, TypeError, KeyError, RecursionError):
        return None


def front_end_of(graph: IntGraph) -> LogMel | None:
    """The front end that `graph` was trained with; None where its meta says none that makes frames of its size.

    Example:
        >>> from spikelet.export import front_end_of
        >>> front_end_of(spikelet.load("qsnn-vgg-s-nmnist")) is None  # it sees
        True
    """
    numbers = option_of(graph.meta, "sound")
    try:
        found = None if numbers is None else LogMel.of(numbers, "sound")
    except (TypeError, SpikeletError):
        return None
    return found if found and found.bands == math.prod(graph.input.shape) else None
