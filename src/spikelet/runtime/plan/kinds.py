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
    CONV_QUADS = 5
    CONV_DEPTHWISE = 6
    POINTWISE = 7
    UNPACK = 8
    MAXPOOL_SPIKES = 9
    MAXPOOL_VALUES = 10
    SUMPOOL = 11
    RESHAPE = 12
    CHANNEL_MAP = 13
    EXPORT_VALUES = 14
    EXPORT_SPIKES = 15
    EXPORT_STEPS = 16
    EXPAND = 17
    MUL = 18
    MATMUL = 19
    MATMUL_BITS = 20
    CONSTANT = 21
    GATHER = 22
    RUNNING = 23
    CARRY = 24
    DELAY = 25
    KEEP = 26
    CALL = 27
    CHARGE = 28
    CONV_CUTS = 29
    ADD_PLANES = 30
    CONV_BLOCKS = 31
    CONV_PLACES = 32


class Form(enum.IntEnum):
    """spk_source: how a map lies in memory."""

    BYTES = 0
    VALUES = 1
    SPIKES = 2
    PLANES = 3  # the bits of values from 0 on, each a map of spikes


class AffineMode(enum.IntEnum):
    """spk_affine: how ((m x + half) >> s) + d is evaluated."""

    NONE = 0
    WIDE = 1
    SPLIT = 2
    LONG = 3
