"""Which integers weight codes are, by grid and bits, and the type that holds them (spec Q5).

    symmetric   -L .. L,  L = 2^(b-1) - 1, b = 2 .. 8        and at 1 bit -1, +1
    odd         -s, -s + 2 .. s,  s = 2^b - 1, b = 2 .. 8    (at 1 bit the two grids are one, called symmetric)

All fit int8 but the odd codes of 8 bits, -255 .. 255, which are int16.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

GRIDS = ("symmetric", "odd")

Codes = NDArray[np.int8 | np.int16]


def top_code(bits: int, grid: str) -> int:
    """The largest code; the smallest is its negative."""
    return 2**bits - 1 if grid == "odd" or bits == 1 else 2 ** (bits - 1) - 1


def has_zero(bits: int, grid: str) -> bool:
    """Whether 0 is a code; where it is not, all codes are odd."""
    return grid == "symmetric" and bits > 1


def dtype_of(bits: int, grid: str) -> np.dtype[Any]:
    """int8, or int16 where codes need it."""
    return np.dtype(np.int8 if top_code(bits, grid) < 128 else np.int16)
