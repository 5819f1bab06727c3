"""The one error of compression."""

from __future__ import annotations


class CompressionError(ValueError):
    """Names the layer, channel or argument that stands in the way, and the way out."""
