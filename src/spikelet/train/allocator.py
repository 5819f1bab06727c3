"""Freed memory stays with the process: what a training step allocates, the next one has without asking the kernel.

A step makes and frees buffers of 0.1 to 32 MB. The C library of most Linux systems, glibc, gives them back to the
kernel, which hands out the same pages anew in the next step, filled with zeros, one page fault for each 4 kB.

    M_MMAP_THRESHOLD  32 MiB    buffers up to here come from the heap, and do not go back one by one
    M_TRIM_THRESHOLD  never     the heap's free end stays
    M_TOP_PAD         64 MiB    the heap grows in steps of so much

The price: a process holds the most that it ever needed, and buffers of mixed sizes leave gaps between them. Results
stay the same, bit for bit. It is a setting of the whole process, therefore a program's choice: `spikelet train` makes
it, importing the library or a training from Python does not. What the environment says (MALLOC_TRIM_THRESHOLD_=131072,
MALLOC_MMAP_THRESHOLD_, MALLOC_TOP_PAD_) stays as it says.
"""

from __future__ import annotations

import ctypes
import os
import sys
from typing import NamedTuple


class Setting(NamedTuple):
    """A number of mallopt(3): the environment's name for it, its code in malloc.h, and what it is set to, in bytes."""

    variable: str
    code: int
    value: int


SETTINGS = (
    Setting("MALLOC_MMAP_THRESHOLD_", -3, 32 << 20),  # the largest that glibc takes
    Setting("MALLOC_TRIM_THRESHOLD_", -1, -1),
    Setting("MALLOC_TOP_PAD_", -2, 64 << 20),
)


def keep_freed_memory() -> bool:
    """Whether this process's allocator took every setting that the environment leaves open.

    False, and nothing is done, where there is no mallopt(3): on macOS, Windows, and Linux with musl.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is None:
        return False
    taken = [mallopt(s.code, s.value) for s in SETTINGS if s.variable not in os.environ]
    return all(taken)
