"""The C library's structures in Python: `Op` and `Call` are spk_op and spk_call of csrc/spikelet.h, field by field.

The library says the name, place and size of every field of its own, and the names of its kinds; `differences` and
`other_kinds` compare them, so that a library of another build is refused rather than misread.
"""

from __future__ import annotations

import ctypes
import enum

NONE = -1  # an offset that is not there


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


_INT32 = (
    "kind", "source", "T", "in_c", "in_h", "in_w", "in_t", "out_c", "out_h", "out_w", "map_h", "map_w", "pool",
    "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w", "groups", "code_top", "odd", "affine", "split",
    "addend_source", "addend_t", "sum_time", "leak", "gain", "leak_bits", "threshold", "soft_reset",
    "membrane_shift", "membrane_top", "drop", "dilation_h", "dilation_w", "affine_t", "clipped", "rounding", "levels",
    "add_to", "heads", "transpose_a", "transpose_b", "by_row", "narrow", "addend_c", "addend_h", "addend_w",
    "planes", "has_sign", "lane_bits", "wide_charge",
)  # fmt: skip
_INT64 = ("src", "addend", "values", "spikes", "counts", "state", "scratch", "external", "row_bytes")
PLACES = ("src", "addend", "values", "spikes", "counts", "state")  # NONE where an operation has none
_POINTERS = (
    "weight", "multiplier", "shift", "offset", "high", "low", "half", "rest", "addend_zero", "addend_one",
    "channels", "clip_low", "clip_high", "neuron", "index",
)  # fmt: skip


class Op(ctypes.Structure):
    """spk_op: one fused operation."""

    _fields_ = (
        [(name, ctypes.c_int32) for name in _INT32]
        + [(name, ctypes.c_int64) for name in _INT64]
        + [(name, ctypes.c_void_p) for name in _POINTERS]
    )


Callback = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p)  # number, sample, arena


class Call(ctypes.Structure):
    """spk_call: one batch."""

    _fields_ = (
        ("ops", ctypes.c_void_p),
        ("op_count", ctypes.c_int64),
        ("x", ctypes.c_void_p),
        ("x_size", ctypes.c_int64),
        ("batch", ctypes.c_int64),
        ("logits", ctypes.c_void_p),
        ("logit_count", ctypes.c_int64),
        ("spikes", ctypes.c_void_p),
        ("arena", ctypes.c_void_p),
        ("arena_bytes", ctypes.c_int64),
        ("threads", ctypes.c_int32),
        ("set", ctypes.c_int32),
        ("t0", ctypes.c_int64),
        ("state", ctypes.c_void_p),
        ("state_bytes", ctypes.c_int64),
        ("outputs", ctypes.c_void_p),
        ("callback", Callback),
        ("stop", ctypes.c_int32),
    )


class Field(ctypes.Structure):
    """spk_field: one field as the library has it; the last has no name and says how large the whole is."""

    _fields_ = (("name", ctypes.c_char_p), ("offset", ctypes.c_int64), ("size", ctypes.c_int64))


def other_kinds(names: ctypes._Pointer[ctypes.c_char_p]) -> list[str]:
    """How the library's kinds of operations differ from `Kind`: one sentence for the first that does."""
    ours = [kind.name for kind in Kind]
    for i, here in enumerate([*ours, None]):
        name = names[i]
        there = name.decode() if name else None
        if here != there:
            return [f"kind {i} is {there} in the library, {here} here"]
    return []


def differences(mirror: type[ctypes.Structure], fields: ctypes._Pointer[Field]) -> list[str]:
    """How the library's `fields` differ from those of `mirror`: one sentence for each place, in order."""
    names = [field[0] for field in mirror._fields_]
    ours: list[tuple[str | None, int, int]] = [(n, getattr(mirror, n).offset, getattr(mirror, n).size) for n in names]
    ours.append((None, ctypes.sizeof(mirror), 0))
    found = []
    for i, here in enumerate(ours):
        name = fields[i].name
        there = (name.decode() if name else None, fields[i].offset, fields[i].size)
        if here != there:
            found.append(f"field {i} of {mirror.__name__} is {_words(there)} in the library, {_words(here)} here")
        if name is None:
            break
    return found


def _words(field: tuple[str | None, int, int]) -> str:
    name, offset, size = field
    return f"{name} at byte {offset}, {size} long" if name else f"the end, at byte {offset}"
