"""What can be wrong with a graph or its file; every message names the node or field."""

from __future__ import annotations


class SpikeletError(ValueError):
    """Base of all errors about graphs and files."""


class GraphError(SpikeletError):
    """A graph that has no meaning: unknown name, wrong shape, value out of range."""


class OverflowRefused(GraphError):
    """An edge whose interval does not fit its integers; names the node and the interval."""


class ArtifactError(SpikeletError):
    """A file that is not a valid packed graph; names the field."""
