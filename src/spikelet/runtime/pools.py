"""Threads that wait for the calls of a program, which start at once on cores that are free.

A pool of them (csrc/threads.c) has one call at a time. Calls that are made at once have a pool each; one that was given
back waits for the next call.
"""

from __future__ import annotations

import os
import weakref
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from spikelet.runtime import layout
from spikelet.runtime.library import library


class Pool:
    """Threads of the library: started by the calls that first need them, ended with this object.

    address: where the library's own record of them is.
    close: ends them; no call may have the pool.
    """

    def __init__(self) -> None:
        lib = library()
        memory = layout.aligned_empty(lib.spk_pool_bytes())
        self.address = memory.ctypes.data
        lib.spk_pool_open(self.address)
        self.close = weakref.finalize(self, _close, lib.spk_pool_close, memory, os.getpid())
        self.close.atexit = False  # a call may still run in a daemon thread


class Pools:
    """The pools of all calls of one program at once. Those that wait are closed with it, or when the process ends."""

    def __init__(self) -> None:
        self._idle: list[Pool] = []
        weakref.finalize(self, _close_all, self._idle)

    def take(self) -> Pool:
        """A pool that no other call has."""
        try:
            return self._idle.pop()
        except IndexError:
            return Pool()

    def give(self, pool: Pool) -> None:
        """Keeps `pool` for the next call."""
        self._idle.append(pool)


def _close(close: Callable[[int], None], memory: NDArray[np.uint8], process: int) -> None:
    """Ends the threads of the pool in `memory`; a forked child has none of its parent's."""
    if os.getpid() == process:
        close(memory.ctypes.data)


def _close_all(pools: list[Pool]) -> None:
    while pools:
        pools.pop().close()
