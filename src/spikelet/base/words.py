"""Figures in words: a share in percent, a time in hours and minutes, bytes with a unit."""

from __future__ import annotations

import math

from spikelet.base.errors import SpikeletError


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


def parse_bytes(text: str) -> int:
    """Bytes from "100000", "100k", "100K", "1.5M" (powers of ten) or "96Ki", "1Mi" (powers of two).

    Raises:
        ValueError: not such a number.
    """
    units = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "Ki": 2**10, "Mi": 2**20}
    stripped = text.strip().removesuffix("B").strip()
    unit = next((u for u in sorted(units, key=len, reverse=True) if stripped.endswith(u)), "")
    try:
        value = float(stripped.removesuffix(unit)) * units[unit]
    except ValueError:
        value = math.nan
    if not (value >= 1 and math.isfinite(value)):
        raise SpikeletError(f"a size must be a number of bytes such as 100000, 100k, 1.5M or 96Ki, got {text!r}.")
    return int(value)
