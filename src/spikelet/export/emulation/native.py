"""The counter of blocks (counter.c) as a library of this machine, built by Zig's C compiler once a process."""

from __future__ import annotations

import ctypes
import functools
import subprocess
import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from spikelet.base.errors import SpikeletError
from spikelet.export.emulation.build import zig

BLOCKS, MARKS = 1 << 16, 256


class _Block(ctypes.Structure):
    _fields_ = (
        ("address", ctypes.c_uint32),
        ("size", ctypes.c_uint32),
        ("times", ctypes.c_uint64),
        ("mark", ctypes.c_uint32),
        ("unused", ctypes.c_uint32),
    )


class _Counter(ctypes.Structure):
    _fields_ = (
        ("blocks", _Block * BLOCKS), ("taken", ctypes.c_uint64), ("next", ctypes.c_uint32), ("full", ctypes.c_uint32),
        ("marks", ctypes.c_uint32 * MARKS), ("mark", ctypes.c_uint32),
    )  # fmt: skip


class Watch:
    """What a machine of Unicorn's runs, from now on.

    marks: at most 256 addresses at which parts of the program begin; a block belongs to the part that was entered last.
    """

    def __init__(self, uc: Any, machine: Any, marks: Sequence[int] = ()) -> None:
        self._counter, self._library = _Counter(), _library()  # both live as long as the machine may call them
        self._counter.next = 1  # no code lies there: the first block is jumped to
        self._counter.marks[: len(marks)] = list(marks)
        add, handle = _unicorn(uc).uc_hook_add, ctypes.c_size_t()
        status = add(
            machine._uch, ctypes.byref(handle), uc.UC_HOOK_BLOCK, self._library.count_block,
            ctypes.byref(self._counter), ctypes.c_uint64(1), ctypes.c_uint64(0),
        )  # fmt: skip
        if status:
            raise SpikeletError(f"Unicorn takes no counter of blocks (its error {status}); it may be a later version.")

    @property
    def blocks(self) -> Counter[tuple[int, int, int]]:
        """How often each (address, bytes) of code ran, in the part of this number: from 1 on, 0 before all."""
        self._require_room()
        return Counter({(one.address, one.size, one.mark): one.times for one in self._counter.blocks if one.times})

    @property
    def code_bytes(self) -> int:
        """Bytes of all the code that ran, each as often as it did: instructions by their size."""
        self._require_room()
        blocks = np.ctypeslib.as_array(self._counter.blocks)
        return int((blocks["size"] * blocks["times"]).sum())

    def _require_room(self) -> None:
        if self._counter.full:
            raise SpikeletError(
                f"the program has more than {BLOCKS} blocks of code; its instructions can't be counted."
            )

    @property
    def taken(self) -> int:
        """Jumps: blocks that did not follow the one before."""
        return self._counter.taken


def _unicorn(uc: Any) -> Any:
    """Unicorn's own library, which the binding has loaded."""
    for path in sorted((Path(uc.__file__).parent / "lib").iterdir()):
        if path.name.startswith(("libunicorn.so", "libunicorn.2.dylib", "unicorn.dll")):
            return ctypes.CDLL(str(path))
    raise SpikeletError(f"there is no library of Unicorn's beside {uc.__file__}. Install it anew: pip install unicorn")


@functools.cache
def _library() -> ctypes.CDLL:
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as place:
        out = Path(place) / "counter.so"
        command = [*zig(), "cc", "-O2", "-shared", "-fPIC", "-fno-sanitize=undefined"]
        source = Path(__file__).with_name("counter.c")
        done = subprocess.run([*command, str(source), "-o", str(out)], capture_output=True, text=True, check=False)
        if done.returncode:
            raise SpikeletError(f"the counter of blocks can't be built: {done.stderr.strip()[-2000:]}")
        return ctypes.CDLL(str(out))
