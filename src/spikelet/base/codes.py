"""Which integers weight codes are, by grid and bits, and the one notation in which graphs hold them (spec Q5).

    symmetric   -L .. L,  L = 2^(b-1) - 1, b = 2 .. 8
    odd         -s, -s + 2 .. s,  s = 2^b - 1, b = 2 .. 8
    full        -2^(b-1) .. 2^(b-1) - 1, b = 2 .. 8
    1 bit       -1, +1, called symmetric

A graph holds w, int8: the code itself, or where codes are odd (odd, 1 bit) the w of code = 2 w + 1.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import GraphError

GRIDS = ("symmetric", "odd", "full")

Codes = NDArray[np.int8]


def is_odd(bits: int, grid: str) -> bool:
    """Whether every code is odd, so that w stands for 2 w + 1."""
    return bits == 1 or grid == "odd"


def has_zero(bits: int, grid: str) -> bool:
    """Whether 0 is a code."""
    return not is_odd(bits, grid)


def top_code(bits: int, grid: str) -> int:
    """The largest magnitude of a code."""
    if is_odd(bits, grid):
        return 2**bits - 1
    return 2 ** (bits - 1) - (grid == "symmetric")


def w_range(bits: int, grid: str) -> tuple[int, int]:
    """The smallest and the largest w."""
    half = 2 ** (bits - 1)
    return -half + (has_zero(bits, grid) and grid == "symmetric"), half - 1


def values_of(w: Codes, bits: int, grid: str) -> NDArray[np.int16]:
    """The codes that `w` stands for, of the same shape."""
    wide = w.astype(np.int16)
    return 2 * wide + 1 if is_odd(bits, grid) else wide


def stored(codes: NDArray[np.integer] | NDArray[np.floating], bits: int, grid: str = "symmetric") -> Codes:
    """The w of `codes`, int8 of the same shape: the only place where codes change notation.

    Raises:
        GraphError: `bits` or `grid` does not exist, or a code is not one of the grid's.
    """
    if bits not in range(1, 9):
        raise GraphError(f"bits must be 1 to 8, got {bits}.")
    if grid not in GRIDS:
        raise GraphError(f"grid must be one of {', '.join(map(repr, GRIDS))}, got {grid!r}.")
    whole = np.asarray(codes).astype(np.int64)
    odd = is_odd(bits, grid)
    low, high = ((2 * w + 1 if odd else w) for w in w_range(bits, grid))
    smallest, largest = (int(whole.min()), int(whole.max())) if whole.size else (low, high)
    even = odd and not bool((whole & 1).all())
    if smallest < low or largest > high or even or not bool((whole == codes).all()):
        wanted = "-1 or +1" if bits == 1 else f"{low} to {high}{', all odd' if odd else ''}"
        got = f"{smallest} to {largest}{' with even ones' if even else ''}"
        raise GraphError(f"codes of {bits} bits must be {wanted}, got {got}.")
    return ((whole - 1) // 2 if odd else whole).astype(np.int8)
