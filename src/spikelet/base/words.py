"""Figures in words: a share in percent, a time in hours and minutes."""

from __future__ import annotations


def percent(share: float) -> str:
    """A share in percent: 0.9861 as '98.61 %'."""
    return f"{100 * share:.2f} %"


def duration(seconds: float) -> str:
    """A time in words: '8 s', '3 min 05 s' or '2 h 07 min'."""
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"
