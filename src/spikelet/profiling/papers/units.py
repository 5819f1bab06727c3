"""Units that the papers' tables share: MB of 10^6 bytes, mJ, floats of 32 bits, and their energy of two operations.

    mJ = ( 0.9 pJ * accumulates  +  4.6 pJ * multiply-accumulates ) / 10^9

The prices are those of `HOROWITZ_FP32`, at 45 nm and as if every number were a 32-bit float, whatever its bits.
"""

from __future__ import annotations

from spikelet.profiling.energy import HOROWITZ_FP32

FULL_BITS = 32
BITS_PER_MEGABYTE = 8e6
PJ_PER_MILLIJOULE = 1e9


def millijoules(*, accumulates: float, macs: float) -> float:
    """The energy of so many operations. See the module's equation."""
    return (HOROWITZ_FP32.ac.pj * accumulates + HOROWITZ_FP32.mac.pj * macs) / PJ_PER_MILLIJOULE
