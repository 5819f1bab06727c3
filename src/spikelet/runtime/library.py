"""The C library: where it lies, its structures, its kernel sets.

`Op` and `Call` mirror `spk_op` and `spk_call` of csrc/spikelet.h field by field; their sizes are compared
when the library is opened, so that a library of another build is refused rather than misread.
"""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import functools
from pathlib import Path

import spikelet.runtime
from spikelet.base.errors import RuntimeUnavailable

NAMES = ("libspikelet_runtime.so", "libspikelet_runtime.dylib", "spikelet_runtime.dll", "libspikelet_runtime.dll")
MAX_THREADS = 64
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


_INT32 = (
    "kind", "source", "T", "in_c", "in_h", "in_w", "in_t", "out_c", "out_h", "out_w", "map_h", "map_w", "pool",
    "kernel_h", "kernel_w", "stride_h", "stride_w", "pad_h", "pad_w", "groups", "code_top", "odd", "affine", "split",
    "addend_source", "addend_t", "sum_time", "leak", "gain", "leak_bits", "threshold", "soft_reset",
    "membrane_shift", "membrane_top", "drop",
)  # fmt: skip
_INT64 = ("src", "addend", "values", "spikes", "scratch", "external", "row_bytes")
_POINTERS = (
    "weight", "multiplier", "shift", "offset", "high", "low", "half", "rest", "addend_zero", "addend_one",
    "channels",
)  # fmt: skip


class Op(ctypes.Structure):
    """spk_op: one fused operation."""

    _fields_ = (
        [(name, ctypes.c_int32) for name in _INT32]
        + [(name, ctypes.c_int64) for name in _INT64]
        + [(name, ctypes.c_void_p) for name in _POINTERS]
    )


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
    )


@dataclasses.dataclass(frozen=True)
class KernelSet:
    """One implementation of the operations: its number in the library, its name, the kinds it has."""

    index: int
    name: str
    kinds: frozenset[Kind]


@functools.cache
def library() -> ctypes.CDLL:
    """The opened library.

    Raises:
        RuntimeUnavailable: it was not built, or belongs to another version of these files.
    """
    folders = [Path(folder) for folder in spikelet.runtime.__path__]
    path = next((folder / name for folder in folders for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        raise RuntimeUnavailable(
            f"the native runtime is not built: no {NAMES[0]} in {', '.join(map(str, folders))}. "
            "Build it with a C compiler at hand: pip install . (in a checkout of spikelet)."
        )
    opened = ctypes.CDLL(str(path))
    _declare(opened)
    sizes = opened.spk_sizeof_op(), opened.spk_sizeof_call()
    if sizes != (ctypes.sizeof(Op), ctypes.sizeof(Call)):
        raise RuntimeUnavailable(f"{path} was built from other sources than these. Build it again: pip install .")
    return opened


def _declare(opened: ctypes.CDLL) -> None:
    i32, i64 = ctypes.c_int32, ctypes.c_int64
    signatures = {
        "spk_sizeof_op": ([], i64),
        "spk_sizeof_call": ([], i64),
        "spk_set_count": ([], i32),
        "spk_set_name": ([i32], ctypes.c_char_p),
        "spk_set_available": ([i32], i32),
        "spk_set_offers": ([i32, i32], i32),
        "spk_op_scratch": ([i32, ctypes.POINTER(Op)], i64),
        "spk_run": ([ctypes.POINTER(Call)], None),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(opened, name)
        function.argtypes, function.restype = arguments, result


@functools.cache
def kernel_sets() -> tuple[KernelSet, ...]:
    """The sets that this machine can run, slowest first."""
    lib = library()
    return tuple(
        KernelSet(i, lib.spk_set_name(i).decode(), frozenset(k for k in Kind if lib.spk_set_offers(i, k)))
        for i in range(lib.spk_set_count())
        if lib.spk_set_available(i)
    )


def choose(kernels: str) -> KernelSet:
    """The set called `kernels`; "auto" is the fastest.

    Raises:
        RuntimeUnavailable: there is no such set here.
    """
    sets = kernel_sets()
    if kernels == "auto":
        return sets[-1]
    for one in sets:
        if one.name == kernels:
            return one
    names = ", ".join(repr(s.name) for s in sets)
    raise RuntimeUnavailable(f"kernels must be 'auto' or one that this machine has ({names}), got {kernels!r}.")
