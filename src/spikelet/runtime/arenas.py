"""Memory for the maps of a program: one arena a call, all of them together at most `max_bytes`.

A call that would go beyond waits until another ends. An arena that was given back is kept for the next call, and
dropped where its bytes are needed for another.
"""

from __future__ import annotations

import threading
import weakref

import numpy as np
from numpy.typing import NDArray

from spikelet.base.errors import GraphError
from spikelet.runtime import layout

LOOK_S = 0.1  # between two looks at what may have been raised in a thread that waits, where the system can't wake it
Arena = NDArray[np.uint8]


class Held:
    """Bytes of all arenas that have not been freed yet."""

    def __init__(self) -> None:
        self.bytes, self.waiting = 0, 0
        self.lock = threading.RLock()  # may be taken twice by a thread: memory may be freed while it is held
        self._changed = threading.Condition(self.lock)

    def count(self, arena: Arena) -> None:
        """Counts `arena` until it is freed."""
        self.bytes += arena.nbytes
        weakref.finalize(arena, self._freed, arena.nbytes).atexit = False

    def _freed(self, size: int) -> None:
        with self.lock:
            self.bytes -= size
            self.changed()

    def wait(self) -> None:
        """Waits, the lock free meanwhile, until something may have changed."""
        self.waiting += 1
        try:
            self._changed.wait(LOOK_S)
        finally:
            self.waiting -= 1

    def changed(self) -> None:
        """Wakes those that wait; the lock is held."""
        if self.waiting:
            self._changed.notify_all()


class Arenas:
    """The arenas of all calls of one program at once."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._held = Held()
        self._idle: list[Arena] = []

    @property
    def held(self) -> int:
        """Bytes of all arenas, those that wait for a call included."""
        return self._held.bytes

    def take(self, size: int) -> Arena:
        """An arena of at least `size` bytes that no other call has; waits until there is room for it.

        Raises:
            GraphError: `size` alone is beyond `max_bytes`.
        """
        held = self._held
        with held.lock:
            if self._idle and self._idle[-1].nbytes >= size:  # what a call nearly always finds, at no more cost
                return self._idle.pop()
            if size > self.max_bytes:
                raise GraphError(
                    f"one call takes {size} bytes, max_bytes allows {self.max_bytes}. Use fewer threads, or "
                    "pass a larger max_bytes if you trust the graph."
                )
            while (arena := self._find(size)) is None:
                held.wait()
            return arena

    def give(self, arena: Arena) -> None:
        """Keeps `arena` for the next call."""
        held = self._held
        with held.lock:
            self._idle.append(arena)
            if held.waiting:
                held.changed()

    def _find(self, size: int) -> Arena | None:
        """An idle arena, or a new one that fits beside the others once idle ones have gone; None: there is no room."""
        for i in reversed(range(len(self._idle))):
            if self._idle[i].nbytes >= size:
                return self._idle.pop(i)
        while self._idle and self.held + size > self.max_bytes:
            del self._idle[0]
        if self.held + size > self.max_bytes:
            return None
        arena = layout.aligned_empty(size)
        self._held.count(arena)
        return arena
