"""What stands where a graph is meant: a graph, or one sentence that says how to get one."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from spikelet.base.errors import GraphError
from spikelet.graph.graph import IntGraph


def require_graph(graph: object) -> None:
    """Raises GraphError unless `graph` is an IntGraph; says what to pass instead."""
    if not isinstance(graph, IntGraph):
        raise GraphError(
            "graph must be an IntGraph, as spikelet.lower and spikelet.load give it, got "
            f"{type(graph).__name__}.{_way_out(graph)}"
        )


def _way_out(given: object) -> str:
    if isinstance(given, str | os.PathLike):
        if Path(given).is_dir():
            return " A run's folder becomes a file by spikelet pack DIR --out FILE; pass spikelet.load(FILE)."
        return " Pass spikelet.load(path)."
    if isinstance(getattr(given, "graph", None), IntGraph):
        return " Pass its graph."
    if any(base.__module__.startswith("torch.nn.") for base in type(given).__mro__):
        return " Pass spikelet.lower(model, example)."
    if isinstance(given, Mapping):
        return " Load the weights into their model, and pass spikelet.lower(model, example)."
    return ""
