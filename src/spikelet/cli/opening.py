"""A packed file or a shipped model, opened within the limits that the command line says."""

from __future__ import annotations

from spikelet.cli.limits import said
from spikelet.graph.ir import IntGraph
from spikelet.zoo import load


def opened(model: str) -> IntGraph:
    """The graph of a packed file, or of a shipped model by name.

    Raises:
        FileNotFoundError, ValueError, OSError: what `spikelet.load` raises.
    """
    return load(model, **said())
