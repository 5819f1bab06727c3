"""The one error of conversion."""

from __future__ import annotations


class ConversionError(ValueError):
    """Names the module of the other library that can't become spikelet layers, and the way out."""
