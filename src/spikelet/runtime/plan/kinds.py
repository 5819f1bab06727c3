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
    CONV_DEPTHWISE = 4
    POINTWISE = 5
    UNPACK = 6
    MAXPOOL_SPIKES = 7
    MAXPOOL_VALUES = 8
    SUMPOOL = 9
    RESHAPE = 10
    CHANNEL_MAP = 11
    EXPORT_VALUES = 12
    EXPORT_SPIKES = 13
    EXPORT_STEPS = 14
    EXPAND = 15
    MUL = 16
    MATMUL = 17
    MATMUL_BITS = 18
    CONSTANT = 19
    GATHER = 20
    RUNNING = 21
    CARRY = 22
    DELAY = 23
    KEEP = 24
    CALL = 25
    CHARGE = 26


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
