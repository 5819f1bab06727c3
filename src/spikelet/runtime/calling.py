"""A native call that ends soon when its caller is interrupted.

Python sees Ctrl-C only when its main thread runs Python again. So a call that may take long runs in a thread of its
own while the caller waits; what is raised in the caller raises the stop flag, which kernels look at
(csrc/stop.h), and goes on once they have returned. A call as short as the last one showed runs where it is.
"""

from __future__ import annotations

import contextvars
import ctypes
import math
import threading
import time
from _thread import start_new_thread
from collections.abc import Callable

from spikelet.runtime.arenas import LOOK_S
from spikelet.runtime.library import library
from spikelet.runtime.structures import Call

SHORT_S = 0.002  # a call whose input holds 200 times the spikes of the last one still ends within half a second


class NativeCall:
    """One call of the library.

    Args:
        call: what the library is given.
        keep: everything else that the call's addresses point to.
        give_back: returns what the call has borrowed, once the library has returned.
    """

    def __init__(self, call: Call, keep: object, give_back: Callable[[], None]) -> None:
        self._call, self._keep, self._give_back = call, keep, give_back

    def here(self) -> None:
        """Runs the call in this thread: nothing that is raised ends it."""
        try:
            library().spk_run(ctypes.byref(self._call))
        finally:
            self._give_back()

    def interruptible(self) -> None:
        """Runs the call in a thread of its own; whatever is raised in this one ends it first."""
        done = threading.Lock()
        done.acquire()
        ended: list[bool] = []

        def work() -> None:
            try:
                self.here()
            finally:
                ended.append(True)
                done.release()

        runs = False
        try:
            runs = _started(work)
            if runs:
                _wait(done, ended)
            else:
                self.here()
        except BaseException:
            library().spk_stop(ctypes.byref(self._call))
            if runs:
                _wait(done, ended)
            raise


def _started(work: Callable[[], None]) -> bool:
    """Whether `work` runs in a thread of its own; the system may have no more."""
    try:
        start_new_thread(contextvars.copy_context().run, (work,))
    except RuntimeError:
        return False
    return True


def _wait(done: threading.Lock, ended: list[bool]) -> None:
    while not ended:
        done.acquire(timeout=LOOK_S)


class Pace:
    """How long the calls of one plan take, as the last one showed. A first call counts as long."""

    def __init__(self) -> None:
        self._seconds = math.inf  # of the samples that run side by side

    def run(self, call: NativeCall, rounds: int, *, short: bool = True) -> None:
        """Runs `call` of so many samples one after the other; where it is not `short`, always interruptibly."""
        begin = time.perf_counter()
        if short and self._seconds * rounds <= SHORT_S:
            call.here()
        else:
            call.interruptible()
        if rounds:
            self._seconds = (time.perf_counter() - begin) / rounds
