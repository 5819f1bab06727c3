"""The C library's structures in Python: `Op` and `Call` are spk_op and spk_call of csrc/spikelet.h, field by field.

The library says the name, place and size of every field of its own, and the names of its kinds; `differences` and
`other_kinds` compare them, so that a library of another build is refused rather than misread.
"""

from __future__ import annotations

import ctypes

from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.operation import ARRAYS, NUMBERS, PLACES, SIZES

NONE = -1  # a place or state that is not there


class Op(ctypes.Structure):
    """spk_op: one fused operation."""

    _fields_ = (
        [(name, ctypes.c_int32) for name in NUMBERS]
        + [(name, ctypes.c_int64) for name in (*PLACES, *SIZES)]
        + [(name, ctypes.c_void_p) for name in ARRAYS]
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
        ("pool", ctypes.c_void_p),
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
