"""Things that a forked child makes anew: a lock that another thread held at the fork is never given back there."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Generic, TypeVar

T = TypeVar("T")


class PerProcess(Generic[T]):
    """What `make` gives, once in every process."""

    def __init__(self, make: Callable[[], T]) -> None:
        self._make, self._process, self._made = make, os.getpid(), make()

    def get(self) -> T:
        """The one of this process."""
        process = os.getpid()
        if self._process != process:
            self._made, self._process = self._make(), process
        return self._made
