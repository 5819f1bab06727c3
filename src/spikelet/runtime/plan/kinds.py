"""The words of a plan: what an operation does, how a map lies in memory, how an affine step is evaluated.

Their numbers are those of spk_kind, spk_source and spk_affine (csrc/spikelet.h); structures.py compares the kinds with
the library's.
"""

from __future__ import annotations

import enum


class Kind(enum.IntEnum):
    """spk_kind: what an operation does."""

    CONV_ROWS = 0
    CONV_SLICED = 1
    CONV_VALUES = 2
    CONV_PAIRS = 3
    POINTWISE = 4
    UNPACK = 5
    MAXPOOL_SPIKES = 6
    MAXPOOL_VALUES = 7
    SUMPOOL = 8
    RESHAPE = 9
    CHANNEL_MAP = 10
    EXPORT_VALUES = 11
    EXPORT_SPIKES = 12
    EXPORT_STEPS = 13
    EXPAND = 14
    MUL = 15
    MATMUL = 16
    MATMUL_BITS = 17
    CONSTANT = 18
    GATHER = 19
    RUNNING = 20
    CARRY = 21
    DELAY = 22
    KEEP = 23
    CALL = 24
    CHARGE = 25


class Form(enum.IntEnum):
    """spk_source: how a map lies in memory."""

    BYTES = 0
    VALUES = 1
    SPIKES = 2


class AffineMode(enum.IntEnum):
    """spk_affine: how ((m x + half) >> s) + d is evaluated."""

    NONE = 0
    WIDE = 1
    SPLIT = 2
    LONG = 3
