"""The C library: where it lies, whether it fits these files, its kernel sets."""

from __future__ import annotations

import ctypes
import dataclasses
import functools
import sys
from pathlib import Path

from spikelet.base.errors import RuntimeUnavailable
from spikelet.runtime.plan.kinds import Kind
from spikelet.runtime.plan.sets import SETS, KernelSet
from spikelet.runtime.structures import Call, Field, Op, differences, other_kinds

NAMES = ("libspikelet_runtime.so", "libspikelet_runtime.dylib", "spikelet_runtime.dll", "libspikelet_runtime.dll")
MAX_THREADS = 64


@dataclasses.dataclass(frozen=True)
class NativeSet:
    """A kernel set that this machine can run: its number in the library, and what plans know of it."""

    index: int
    kernels: KernelSet

    @property
    def name(self) -> str:
        """The set's."""
        return self.kernels.name


@functools.cache
def library() -> ctypes.CDLL:
    """The opened library.

    Raises:
        RuntimeUnavailable: it was not built, or belongs to another version of these files.
    """
    folders = [Path(folder) for folder in sys.modules["spikelet.runtime"].__path__]
    path = next((folder / name for folder in folders for name in NAMES if (folder / name).is_file()), None)
    if path is None:
        raise RuntimeUnavailable(
            f"the native runtime is not built: no {NAMES[0]} in {', '.join(map(str, folders))}. "
            "Build it with a C compiler at hand: pip install . (in a checkout of spikelet)."
        )
    return opened_at(path)


def opened_at(path: Path) -> ctypes.CDLL:
    """The library in the file `path`.

    Raises:
        RuntimeUnavailable: its structures are not those of these files.
    """
    return checked(ctypes.CDLL(str(path)), path)


def checked(opened: ctypes.CDLL, path: Path) -> ctypes.CDLL:
    """`opened`, the library of the file `path`, whose functions are told their types.

    Raises:
        RuntimeUnavailable: its structures are not those of these files.
    """
    try:
        _declare(opened)
        found = (
            other_kinds(opened.spk_kind_names())
            + differences(Op, opened.spk_op_fields())
            + differences(Call, opened.spk_call_fields())
            + _other_sets(opened)
        )
    except AttributeError as missing:
        found = [str(missing)]
    if found:
        raise RuntimeUnavailable(
            f"{path} was built from other sources than these ({found[0]}). Build it again: pip install ."
        )
    return opened


def _other_sets(opened: ctypes.CDLL) -> list[str]:
    """How the library's kernel sets differ from those that plans know: one sentence for each that does."""
    found = []
    for i in range(opened.spk_set_count()):
        name = opened.spk_set_name(i).decode()
        kinds = frozenset(kind for kind in Kind if opened.spk_set_offers(i, kind))
        if name not in SETS or SETS[name].kinds != kinds:
            found.append(f"its kernel set {name!r} has other operations than it has here")
    return found


def _declare(opened: ctypes.CDLL) -> None:
    i32, i64, address = ctypes.c_int32, ctypes.c_int64, ctypes.c_void_p
    signatures = {
        "spk_kind_names": ([], ctypes.POINTER(ctypes.c_char_p)),
        "spk_op_fields": ([], ctypes.POINTER(Field)),
        "spk_call_fields": ([], ctypes.POINTER(Field)),
        "spk_set_count": ([], i32),
        "spk_set_name": ([i32], ctypes.c_char_p),
        "spk_set_available": ([i32], i32),
        "spk_set_offers": ([i32, i32], i32),
        "spk_op_scratch": ([i32, ctypes.POINTER(Op)], i64),
        "spk_run": ([ctypes.POINTER(Call)], None),
        "spk_stop": ([ctypes.POINTER(Call)], None),
        "spk_pool_bytes": ([], i64),
        "spk_pool_open": ([address], None),
        "spk_pool_close": ([address], None),
    }
    for name, (arguments, result) in signatures.items():
        function = getattr(opened, name)
        function.argtypes, function.restype = arguments, result


@functools.cache
def kernel_sets() -> tuple[NativeSet, ...]:
    """The sets that this machine can run, slowest first."""
    lib = library()
    return tuple(
        NativeSet(i, SETS[lib.spk_set_name(i).decode()]) for i in range(lib.spk_set_count()) if lib.spk_set_available(i)
    )


def choose(kernels: str) -> NativeSet:
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
