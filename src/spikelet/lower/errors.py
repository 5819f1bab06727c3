"""The one error of lowering."""

from __future__ import annotations


class LoweringError(ValueError):
    """Names the module that can't become integers, and why."""
