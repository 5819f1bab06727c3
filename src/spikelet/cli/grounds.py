"""The ground under a transparent picture for a packed file: the one asked for, else the one of its training."""

from __future__ import annotations

from collections.abc import Mapping

from spikelet.base.errors import SpikeletError
from spikelet.base.ground import WHITE, Ground
from spikelet.graph.trained_on import option_of


def ground_for(meta: Mapping[str, str], asked: str | None) -> Ground:
    """The ground of the colour `asked`, else of the data options in a packed file's `meta`, else white.

    Raises:
        SpikeletError: `asked` is not a colour. What `meta` says of itself is no reason to fail.
    """
    if asked is not None:
        return Ground.named(asked)
    try:
        return Ground.named(option_of(meta, "ground"))
    except (SpikeletError, TypeError):
        return WHITE
