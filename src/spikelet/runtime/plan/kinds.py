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
    CONV_NIBBLES = 2
    CONV_VALUES = 3
    CONV_PAIRS = 4
    CONV_DEPTHWISE = 5
    POINTWISE = 6
    UNPACK = 7
    MAXPOOL_SPIKES = 8
    MAXPOOL_VALUES = 9
    SUMPOOL = 10
    RESHAPE = 11
    CHANNEL_MAP = 12
    EXPORT_VALUES = 13
    EXPORT_SPIKES = 14
    EXPORT_STEPS = 15
    EXPAND = 16
    MUL = 17
    MATMUL = 18
    MATMUL_BITS = 19
    CONSTANT = 20
    GATHER = 21
    RUNNING = 22
    CARRY = 23
    DELAY = 24
    KEEP = 25
    CALL = 26
    CHARGE = 27


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
