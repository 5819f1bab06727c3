"""How the tests' own inputs are laid out."""

from __future__ import annotations

from torch import Tensor

from spikelet.base.time_axis import TimeAxis


def axis_of(x: Tensor) -> TimeAxis:
    """The time axis of a test's bytes: 0 for frames [T, B, C, H, W], None for images [B, C, H, W]."""
    return {4: None, 5: 0}[x.dim()]
